"""What commands print: whole lines, in which every character of text from outside is visible.

    say(f"{source}: {count} lines")     one line on standard output, whatever the source is called
    complain(...)                       the same on standard error
    progress(...)                       over the line before, where standard error is a terminal

A name that holds a line end or an escape sequence stays in its line: no f-string of a command is written otherwise.
"""

import sys

WIPED = " " * 70 + "\r"
"""What stands over a line of progress when there is nothing more to tell."""


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(_visible(text) + "\n")


def complain(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(_visible(text) + "\n")


def progress(text: str) -> None:
    """Print over the line before on standard error, where that is a terminal; nothing wipes that line away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r" + (_visible(text) or WIPED))
        sys.stderr.flush()


def _visible(text: str) -> str:
    from state.visible import visible  # when something is printed: the overview of commands loads nothing

    return visible(text)

"""Text from outside as it may be shown: what every terminal, log, error body and table of ours passes it through.

A name or a value that somebody else chose can hold an escape sequence, a line end or a mark that turns the reading
direction: with those it draws over a screen, forges a line of a log or an answer of `why`, or reads differently from
what it is. Each such character is written as its escape instead, `\\x1b`, `\\n`, `\\u202e`; everything else, Chinese
and emoji included, stays.

Nothing here shortens a subscriber's number or hides anything: see the callers for that.
"""

import json
import re

CHARS_MAX = 20_000
_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters, C0 and C1: ESC, CSI, line ends, tab
    "\xad"  # soft hyphen
    "\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f"  # marks without width, and those that turn the direction
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # halves of pairs: bytes of a file name that are no UTF-8
    "\ufeff\ufff9-\ufffb\ufffe\uffff"  # the last two are no characters, and XML takes neither
    "\U000e0000-\U000e007f"  # tags: text that nobody sees
    "]"
)


def visible(text: str, chars_max: int = CHARS_MAX) -> str:
    """Return a text on one line, with every character visible, and no longer than `chars_max` and an ellipsis."""
    if len(text) > chars_max:
        text = text[:chars_max] + "…"
    return _HIDDEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return a text of several lines of ours, each as `visible` would."""
    return "\n".join(visible(line) for line in text.split("\n"))


def visible_json(text: str) -> str:
    """Return a line of JSON that shows the same characters as JSON escapes, so that it reads back as it was."""
    return _HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()

"""The error of a command that cannot do what was asked."""


class CommandError(Exception):
    """The command cannot do what was asked; the text is the line to print."""

"""The version of what is written to logs, journals and topics, and which older ones are still read.

One number stands for frames, decision records, pages, control records and outcomes together. It is raised when a
release before could misread any of them: a changed layout, a new kind of frame, a new action of a control record.
Every release reads what the one before it wrote. What is newer than `FORMAT` is never guessed at: `NewerFormatError`.
"""

FORMAT = 2
OLDEST = 1
"""What the release before wrote."""
NEWEST = 9
"""What a digit can say; a larger number was written by no release."""


class NewerFormatError(Exception):
    """Something was written by a newer release; the text says what, its format and ours."""

    def __init__(self, what: str, found: int) -> None:
        super().__init__(f"{what} has format={found}, this release reads {OLDEST} to {FORMAT}: upgrade it")


def magic(name: bytes) -> bytes:
    """Return the four bytes that begin a record of this release: three letters and the format's digit."""
    return name + _DIGITS[FORMAT : FORMAT + 1]


def format_of(name: bytes, found: bytes) -> int:
    """Return the format of the record that four bytes begin, 0 when it is none that this release reads.

    NewerFormatError when a newer release wrote it.
    """
    if found[:3] != name or found[3:] not in _DIGITS:
        return 0
    version = _DIGITS.index(found[3:])
    if version > FORMAT:
        raise NewerFormatError(f"a record {name.decode()}", version)
    return version if version >= OLDEST else 0


_DIGITS = b"0123456789"

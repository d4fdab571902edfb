"""Files that a command is given: their text, or one line that says why it is none."""

from pathlib import Path

from engine.commands.shared.error import CommandError


def text_of(path: Path) -> str:
    """Return the text of a file, of standard input for `-`; CommandError where it is no UTF-8."""
    octets = Path("/dev/stdin").read_bytes() if path == Path("-") else path.read_bytes()
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = octets.count(b"\n", 0, fault.start) + 1
        raise CommandError(f"{path}:{line}: byte 0x{octets[fault.start]:02x} is not UTF-8") from fault

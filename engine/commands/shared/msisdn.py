"""Subscribers' numbers on the command line."""

from engine.commands.shared.error import CommandError


def number(text: str) -> int:
    """Return a subscriber's number, digits with the country code; CommandError when it is none."""
    digits = text.removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or not 0 < len(digits) <= 15:
        raise CommandError(f"msisdn={text!r} must be up to 15 digits")
    return int(digits)

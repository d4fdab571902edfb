"""Subscribers' numbers: whatever a feed, a phone or a clerk writes becomes one MSISDN, or one clear error.

    numbers = NumberPlan("86", {"13": 11, "19": 11})
    numbers.subscriber("138 0000 0001") == numbers.subscriber("+86-138-0000-0001") == 8613800000001

A subscriber is an international number, 1 to 15 digits without a leading zero, as an int. What is read:

    +..., 00...          international: the digits after it
    0 + national         national, where the plan has it
    as many digits as a prefix of the plan says, and that prefix    national: the country code is put before
    other digits         international already

Blanks, dashes, dots, brackets and marks of direction are left out; full-width signs count as the plain ones. Without a
country nothing is national. Keys that were stored before a plan was set stay as they are: `is_national` finds them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DIGITS_MAX = 15
NATIONAL_DIGITS_MIN = 4
CHARS_MAX = 60
SHOWN_CHARS_MAX = 40
EXIT = "00"
TRUNK = "0"
_LEFT_OUT = re.compile(r"[\s\-\u2010-\u2015\u2212./()\[\]\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_FULL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94)}
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


class NumberError(ValueError):
    """A text is no subscriber's number; the text says why."""


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """The operator's country code, and its national numbers: digits by prefix; of two prefixes the longer one holds.

    ValueError names a code, prefix or length that cannot be.
    """

    country: str = ""
    national: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.country and (not _DIGITS.fullmatch(self.country) or self.country[0] == "0" or len(self.country) > 3):
            raise ValueError(f"country={self.country!r} must be 1 to 3 digits without a leading 0, or empty")
        for prefix, digits in self.national.items():
            if not _DIGITS.fullmatch(prefix) or prefix[0] == "0":
                raise ValueError(f"prefix={prefix!r} must be digits without a leading 0")
            least = max(len(prefix), NATIONAL_DIGITS_MIN)
            if not least <= digits <= DIGITS_MAX - len(self.country):
                bound = f">= {least} and <= {DIGITS_MAX - len(self.country)}"
                raise ValueError(f"digits={digits} of prefix={prefix!r} must be {bound}")

    def subscriber(self, written: str | int, *, is_national: bool | None = None) -> int:
        """Return the MSISDN that is written; NumberError when there is none.

        `is_national` is what a network says of the type of the number, None where it says nothing: an international one
        is read as it stands, a national one must be in the plan. Without a country it changes nothing.
        """
        signs = _signs(written)
        digits = signs.removeprefix("+")
        if not _DIGITS.fullmatch(digits):
            raise _refused(written, f"must be up to {DIGITS_MAX} digits")
        if self.country and is_national is not None:
            return self._of_type(written, digits, is_national=is_national)
        if signs[0] == "+" or digits.startswith(EXIT):
            return self._international(written, digits.removeprefix(EXIT) if signs[0] != "+" else digits)
        national = digits.removeprefix(TRUNK)
        if self.is_national(national):
            return int(self.country + national)
        if digits[0] == TRUNK:
            raise _refused(written, "begins with 0 and is not in the number plan")
        return self._international(written, digits)

    def is_national(self, digits: str | int) -> bool:
        """Return whether digits, a stored key too, are a national number by the plan."""
        text = str(digits)
        if not self.country:
            return False
        known = [prefix for prefix in self.national if text.startswith(prefix)]
        return bool(known) and len(text) == self.national[max(known, key=len)]

    def _of_type(self, written: str | int, digits: str, *, is_national: bool) -> int:
        if not is_national:
            return self._international(written, digits.removeprefix(EXIT))
        for national in (digits.removeprefix(TRUNK), digits.removeprefix(EXIT).removeprefix(self.country)):
            if self.is_national(national):  # the second: a network that puts the country code before it all the same
                return int(self.country + national)
        raise _refused(written, "is said to be national and is not in the number plan")

    def _international(self, written: str | int, digits: str) -> int:
        rest = digits.removeprefix(self.country) if self.country else digits
        if rest != digits and rest.startswith(TRUNK) and self.is_national(rest[1:]):
            digits = self.country + rest[1:]  # +86 (0) 138 ...
        if digits[:1] in ("", TRUNK) or len(digits) > DIGITS_MAX:
            raise _refused(written, f"must be 1 to {DIGITS_MAX} digits, the first one not 0")
        return int(digits)


NO_PLAN = NumberPlan()
"""Every number is international already."""
CHINA = NumberPlan("86", {f"1{second}": 11 for second in range(3, 10)})
"""Mobile numbers of mainland China."""


def _signs(written: str | int) -> str:
    """Return a number's signs without what is left out."""
    if isinstance(written, int):
        return str(written) if 0 < written < 10**DIGITS_MAX and not isinstance(written, bool) else ""
    if len(written) > CHARS_MAX:
        return ""
    text = written.translate(_FULL_WIDTH)
    return "" if text.lstrip()[:1] == "-" else _LEFT_OUT.sub("", text)


def _refused(written: str | int, why: str) -> NumberError:
    shown = str(written)[:SHOWN_CHARS_MAX] if isinstance(written, str) or written.bit_length() < 256 else "too long"
    return NumberError(f"number={shown!r} {why}")

"""Subscribers' numbers, masked where who reads need not know them: `861****`.

Whatever looks like a number is masked, also within a longer text: a run of seven digits or more. The time of an event
and a price are shorter or have other signs in between.
"""

import re

_NUMBER = re.compile(r"\d{7,}")


def masked(text: str) -> str:
    """Return a text with only the first three digits of what may be a subscriber's number."""
    return _NUMBER.sub(lambda found: f"{found[0][:3]}****", text)

"""Subscribers' numbers on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError

if TYPE_CHECKING:
    from state.numbers import NumberPlan


def number(text: str, numbers: NumberPlan) -> int:
    """Return a subscriber's number, however it is written; CommandError when it is none."""
    from state.numbers import NumberError

    try:
        return numbers.subscriber(text)
    except NumberError as fault:
        raise CommandError(str(fault).replace("number=", "msisdn=", 1)) from fault

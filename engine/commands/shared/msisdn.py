"""Subscribers' numbers on the command line."""

from engine.commands.shared.error import CommandError
from state.numbers import NumberError, NumberPlan


def number(text: str, numbers: NumberPlan) -> int:
    """Return a subscriber's number, however it is written; CommandError when it is none."""
    try:
        return numbers.subscriber(text)
    except NumberError as fault:
        raise CommandError(str(fault).replace("number=", "msisdn=", 1)) from fault

"""Subscribers' numbers on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError

if TYPE_CHECKING:
    from engine.settings.config import Config


def number(text: str, config: Config) -> int:
    """Read a subscriber's number by the number plan; CommandError when it is none."""
    from state.numbers import NumberError

    try:
        return config.numbers.plan().subscriber(text)
    except NumberError as fault:
        raise CommandError(str(fault).replace("number=", "msisdn=", 1)) from fault

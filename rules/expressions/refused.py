"""Why a call reads nothing that is kept of a subscriber."""

from __future__ import annotations

from dataclasses import dataclass

from rules.codes import Code

__all__ = ["Refused"]


@dataclass(frozen=True, slots=True)
class Refused:
    """What is wrong with argument number `at` of a call."""

    code: Code
    at: int
    message: str
    hint: str = ""

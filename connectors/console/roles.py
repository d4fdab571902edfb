"""Roles of the console's users, and what each may do."""

from enum import StrEnum
from typing import Literal

Role = Literal["author", "operator", "clerk lead", "auditor"]


class Right(StrEnum):
    """Something that a user may do, or may not."""

    SWITCH = "pause, resume and kill"
    NUMBERS = "see subscribers' numbers"
    WHY = "ask why for a number"
    BOOKS = "read books and what changed, rehearse"
    ROLL_BACK = "put an earlier book back"
    REPORT = "make reports"
    AUDIT = "read the audit log"


RIGHTS: dict[str, frozenset[Right]] = {
    "author": frozenset({Right.WHY, Right.BOOKS, Right.ROLL_BACK, Right.REPORT}),
    "operator": frozenset(Right),
    "clerk lead": frozenset({Right.WHY, Right.NUMBERS, Right.REPORT}),
    "auditor": frozenset({Right.WHY, Right.BOOKS, Right.REPORT, Right.AUDIT}),
}
"""Everybody who is signed in sees the live figures, which hold no subscriber."""

"""The gates as the tests know them: their numbers on disk, written down once more, so that none changes unseen."""

from enum import IntEnum


class Gate(IntEnum):
    """What stopped a candidate, by its number in decision records."""

    NONE = 0
    PAUSED = 1
    STALE = 2
    ELIGIBILITY = 3
    LIST = 4
    HOLDOUT = 5
    OUTRANKED = 6
    CHANNEL_PAUSED = 7
    NO_VISIT = 8
    CHANNEL_FULL = 9
    CAP = 10
    CONTACTS_FULL = 11
    OFFER = 12
    NO_VALUE = 13
    OWNER = 14
    SHADOW = 15
    ARM = 16

    @property
    def word(self) -> str:
        """The gate's name in books and records."""
        return self.name.lower().replace("_", " ")


ON_CHANNELS = (
    Gate.NONE,
    Gate.CHANNEL_PAUSED,
    Gate.NO_VISIT,
    Gate.CHANNEL_FULL,
    Gate.NO_VALUE,
    Gate.CAP,
    Gate.CONTACTS_FULL,
)
"""How far a channel came: each gate lets pass what the next one stops."""

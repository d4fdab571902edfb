"""A journal says at once what it cannot read, and holds nothing afterwards."""

from pathlib import Path

import pytest

from state.disk import DamagedError
from state.journal import Journal
from tests.fakes.disk import SimulatedDisk

FOLDER = Path("journal")


def test_an_entry_too_short_for_a_position_is_damage_and_does_not_keep_the_folder_locked() -> None:
    disk = SimulatedDisk()
    journal = Journal(FOLDER, disk)
    journal._segments.append([b"short"], append_ms=0)
    journal._segments.sync()
    journal.close()

    for _ in range(2):
        with pytest.raises(DamagedError, match="position=0 of 5 bytes must have >= 8"):
            Journal(FOLDER, disk)

"""Data directories of earlier releases open and answer as they did; a recorded world that differs is found.

`released/` holds recorded worlds (`tests.simulation.recorded`), each named after the release that wrote it. A release
that changes a format on disk adds its own, and opens those before it.
"""

import zipfile
from pathlib import Path

import pytest

from tests.simulation.judges import BrokenError
from tests.simulation.recorded import check, record

RELEASED = sorted((Path(__file__).parent / "released").glob("*.zip"))
WITH_DECISIONS = 6
"""A seed whose world decides often."""


@pytest.mark.parametrize("path", RELEASED, ids=[path.stem for path in RELEASED])
def test_a_data_directory_of_an_earlier_release_opens_and_gives_the_same_decisions_and_answers(path: Path) -> None:
    frames, entries = check(path)

    assert frames > 50
    assert entries > 10


def test_there_is_a_data_directory_of_an_earlier_release() -> None:
    assert RELEASED


def test_a_world_recorded_by_this_code_is_the_same_to_this_code(tmp_path: Path, seed: int) -> None:
    record(seed, tmp_path / "world.zip")

    frames, _ = check(tmp_path / "world.zip")

    assert frames > 0


@pytest.mark.parametrize(("part", "found"), [("journal/0", "the same journal"), ("answers.json", "the same answers")])
def test_one_changed_byte_of_an_earlier_release_is_found(tmp_path: Path, part: str, found: str) -> None:
    changed = _changed(RELEASED[0], tmp_path / "changed.zip", part)

    with pytest.raises(BrokenError, match=found):
        check(changed)


def test_one_changed_byte_of_a_decision_is_found(tmp_path: Path) -> None:
    record(WITH_DECISIONS, tmp_path / "world.zip")
    changed = _changed(tmp_path / "world.zip", tmp_path / "changed.zip", "journal/0")

    with pytest.raises(BrokenError, match="the same decisions"):
        check(changed)


def _changed(world: Path, changed: Path, part: str) -> Path:
    """Copy a recorded world with one byte of a part changed."""
    with zipfile.ZipFile(world) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, _with_a_changed_byte(data) if name == part else data)
    return changed


def _with_a_changed_byte(data: bytes) -> bytes:
    """Change the last digit of a text, the last byte of anything else."""
    last = max(at for at, byte in enumerate(data) if not data.startswith(b"{") or chr(byte).isdigit())
    return data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :]

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


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("journal/0", "the same decisions"),
        ("answers.json", "the same answers"),
    ],
)
def test_one_changed_byte_of_decisions_or_answers_is_found(tmp_path: Path, part: str, found: str) -> None:
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(RELEASED[0]) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, _with_a_changed_byte(data) if name == part else data)

    with pytest.raises(BrokenError, match=found):
        check(changed)


def _with_a_changed_byte(data: bytes) -> bytes:
    """Change the last digit of a text, the last byte of anything else."""
    last = max(at for at, byte in enumerate(data) if not data.startswith(b"{") or chr(byte).isdigit())
    return data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :]

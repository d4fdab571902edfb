"""Texts by their hashes, through crashes, bounds and other processes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import strings as module
from state.disk import DamagedError, RealDisk
from state.hashing import hash_text
from state.strings import TEXT_BYTES_MAX, Strings

DISK = RealDisk()


def pairs(*texts: str) -> list[tuple[int, bytes]]:
    return [(hash_text(text.encode()), text.encode()) for text in texts]


def read(strings: Strings, *texts: str) -> list[str | None]:
    found = [strings.text(hash_text(text.encode())) for text in texts]
    return [None if text is None else text.decode() for text in found]


def test_a_text_is_stored_once_and_found_after_reopening(tmp_path: Path) -> None:
    strings = Strings(DISK, tmp_path / "texts", 100)
    assert strings.add(pairs("北京", "", "上海", "北京")) == 3
    assert strings.add(pairs("上海", "a" * 300)) == 1
    assert strings.add([]) == 0
    strings.sync()
    strings.close()
    size = (tmp_path / "texts").stat().st_size

    again = Strings(DISK, tmp_path / "texts", 100)
    assert read(again, "北京", "", "上海", "a" * 300, "广州") == ["北京", "", "上海", "a" * 300, None]
    assert (again.add(pairs("北京")), again.count, (tmp_path / "texts").stat().st_size) == (0, 4, size)


def test_a_reader_sees_what_the_writer_adds_later(tmp_path: Path) -> None:
    writer = Strings(DISK, tmp_path / "texts", 100)
    reader = Strings(DISK, tmp_path / "texts", 100, writable=False)
    assert read(reader, "早") == [None]
    writer.add(pairs("早"))
    writer.add(pairs("晚"))
    assert read(reader, "晚", "早", "午") == ["晚", "早", None]


def test_texts_above_the_bound_are_refused_and_counted(tmp_path: Path) -> None:
    strings = Strings(DISK, tmp_path / "texts", 2)
    assert strings.add(pairs("a", "b", "c")) == 2
    assert strings.add(pairs("d", "a")) == 0
    assert (strings.count, strings.refused, read(strings, "a", "b", "c")) == (2, 2, ["a", "b", None])


def test_a_text_too_long_is_cut(tmp_path: Path) -> None:
    strings = Strings(DISK, tmp_path / "texts", 2)
    strings.add([(77, b"x" * (TEXT_BYTES_MAX + 1))])
    assert strings.text(77) == b"x" * TEXT_BYTES_MAX


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A file of five blocks, and where each ends."""
    path = tmp_path_factory.mktemp("strings") / "texts"
    strings = Strings(DISK, path, 100)
    ends = [8]
    for k in range(5):
        strings.add(pairs(f"one {k}", f"two {k}"))
        ends.append(path.stat().st_size)
    return path.read_bytes(), ends


@given(cut=st.integers(0, 400), flip=st.integers(0, 400) | st.none())
@settings(max_examples=100, deadline=None)
def test_whatever_a_crash_leaves_the_whole_blocks_before_it_are_read_and_writing_goes_on(
    written: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    data, ends = written
    left = bytearray(data[:cut])
    if flip is not None and 8 <= flip < len(left):
        left[flip] ^= 0x10
    sound = len(left) if flip is None or not 8 <= flip < len(left) else flip
    whole = sum(end <= sound for end in ends[1:])
    path = tmp_path_factory.mktemp("torn") / "texts"
    path.write_bytes(left)

    strings = Strings(DISK, path, 100)
    assert strings.count == 2 * whole
    assert path.stat().st_size == ends[whole]
    strings.add(pairs("after", "one 4"))
    strings.close()
    assert read(Strings(DISK, path, 100), "after", "one 4", "one 0") == ["after", "one 4", "one 0" if whole else None]


def test_thousands_of_texts_in_one_call_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_TEXTS_MAX", 500)
    strings = Strings(DISK, tmp_path / "texts", 10_000)
    texts = [f"cell-{k}" for k in range(5_000)]
    assert strings.add(pairs(*texts)) == 5_000
    assert read(strings, *texts[::97]) == texts[::97]
    assert Strings(DISK, tmp_path / "texts", 10_000).count == 5_000


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes(b"something else")
    with pytest.raises(DamagedError, match="must be b'OPTEXTS1'"):
        Strings(DISK, tmp_path / "texts", 5)


def test_a_bound_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="strings_max=0 must be >= 1"):
        Strings(DISK, tmp_path / "texts", 0)

"""The table of texts of format 1 is read as it was written, up to a torn tail; nothing is written to it."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from state.disk import DamagedError, RealDisk
from state.hashing import hash_text
from state.strings import Strings

DISK = RealDisk()


def block(texts: Sequence[str]) -> bytes:
    """A block as format 1 wrote it."""
    encoded = [text.encode() for text in texts]
    body = b"".join(struct.pack("<qI", hash_text(text), len(text)) for text in encoded) + b"".join(encoded)
    tail = struct.pack("<II", len(encoded), 0)
    return struct.pack("<II", len(body), zlib.crc32(body, zlib.crc32(tail))) + tail + body


def read(strings: Strings, *texts: str) -> list[str | None]:
    found = [strings.text(hash_text(text.encode())) for text in texts]
    return [text.decode() if text is not None else None for text in found]


def test_texts_of_every_block_are_found_by_their_hashes(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    many = [f"text number {number}" for number in range(5_000)]
    path.write_bytes(b"OPTEXTS1" + block(["北京", ""]) + block(["上海", "a" * 300]) + block(many))
    strings = Strings(DISK, path)
    assert read(strings, "北京", "", "上海", "a" * 300, "天津") == ["北京", "", "上海", "a" * 300, None]
    assert read(strings, *many[::97]) == many[::97]
    strings.close()


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_torn_tail_is_left_unread_and_stays(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "texts"
    whole = b"OPTEXTS1" + block(["one"]) + block(["two", "three"])
    path.write_bytes(whole[:-cut])
    assert read(Strings(DISK, path), "one", "two", "three") == ["one", None, None]
    assert path.read_bytes() == whole[:-cut]


def test_a_directory_that_never_had_a_table_has_no_texts_and_gets_none(tmp_path: Path) -> None:
    strings = Strings(DISK, tmp_path / "strings" / "texts")
    assert read(strings, "one") == [None]
    strings.close()
    assert not (tmp_path / "strings").exists()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes(b"NOTEXTS1 at all")
    with pytest.raises(DamagedError, match="begins with b'NOTEXTS1', must be b'OPTEXTS1'"):
        Strings(DISK, tmp_path / "texts")

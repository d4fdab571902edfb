"""Files are read once: over restarts, growth, gzip, long lines and broken archives."""

import asyncio
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sources.contract import Chunk
from connectors.sources.files import client
from connectors.sources.files.client import FilesSource
from connectors.sources.files.config import FilesConfig
from connectors.sources.files.entries import Stat, stat_of
from connectors.sources.mapping import Mapping


@pytest.fixture
def opened() -> Iterator[Callable[..., FilesSource]]:
    """Make sources that are closed at the end."""
    made: list[FilesSource] = []

    def make(*args: Any, **settings: Any) -> FilesSource:
        made.append(FilesSource(*args, **settings))
        return made[-1]

    yield make
    for source in made:
        source.close()


def config(folder: Path, **settings: object) -> FilesConfig:
    return FilesConfig.model_validate({"name": "cdr", "directory": folder, **settings})


def text(chunk: Chunk) -> bytes:
    return chunk.data[: chunk.length].tobytes()


def drained(source: FilesSource, bytes_max: int = 1 << 16) -> Iterator[Chunk]:
    while (chunk := source.next_chunk(bytes_max)) is not None:
        yield chunk


def read_all(folder: Path, positions: dict[str, int], bytes_max: int = 1 << 16, **settings: object) -> list[bytes]:
    """Read what is new as one run would, storing positions."""
    source = FilesSource(config(folder, **settings), dict(positions), drain=True)
    asyncio.run(source.start())
    lines: list[bytes] = []
    for chunk in drained(source, bytes_max):
        positions[chunk.key] = chunk.end
        lines += text(chunk).splitlines()
    assert source.exhausted
    source.close()
    return lines


def test_files_are_read_oldest_first_and_only_once(tmp_path: Path) -> None:
    (tmp_path / "b.ndjson").write_bytes(b"1\n2\n")
    (tmp_path / "a.ndjson").write_bytes(b"3\n4")
    os.utime(tmp_path / "b.ndjson", ns=(1, 1))
    positions: dict[str, int] = {}

    assert read_all(tmp_path, positions) == [b"1", b"2", b"3", b"4"]
    assert read_all(tmp_path, positions) == []
    assert all(position < 0 for position in positions.values())


def test_a_gzip_file_is_read_like_a_plain_one_and_never_unpacked_again(tmp_path: Path) -> None:
    body = b"".join(b"%d\n" % number for number in range(5000))
    (tmp_path / "a.gz").write_bytes(gzip.compress(body[:9001]) + gzip.compress(body[9001:]))
    positions: dict[str, int] = {}

    assert b"\n".join(read_all(tmp_path, positions, bytes_max=70_000)) + b"\n" == body
    (tmp_path / "a.gz").write_bytes((tmp_path / "a.gz").read_bytes()[:5000])
    assert read_all(tmp_path, positions) == []


def test_a_file_that_grows_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "live.ndjson"
    path.write_bytes(b"1\n")
    positions: dict[str, int] = {}
    assert read_all(tmp_path, positions) == [b"1"]

    with path.open("ab") as stream:
        stream.write(b"2\n3\n")

    assert read_all(tmp_path, positions) == [b"2", b"3"]


def test_a_new_file_under_an_old_name_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "today.ndjson"
    path.write_bytes(b"old 1\nold 2\n")
    positions: dict[str, int] = {}
    read_all(tmp_path, positions)

    path.write_bytes(b"new 1\nnew 2\nnew 3\n")

    assert read_all(tmp_path, positions) == [b"new 1", b"new 2", b"new 3"]


def test_a_file_cut_to_nothing_and_written_anew_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "today.ndjson"
    path.write_bytes(b"same start\n" * 900)
    positions: dict[str, int] = {}
    read_all(tmp_path, positions)

    path.write_bytes(b"same start\n" * 500)

    assert len(read_all(tmp_path, positions)) == 500


def test_an_unfinished_last_line_waits_until_the_file_has_settled(
    tmp_path: Path, opened: Callable[..., FilesSource]
) -> None:
    path = tmp_path / "live.ndjson"
    path.write_bytes(b"1\n2")
    now = [path.stat().st_mtime_ns + 1]
    source = opened(config(tmp_path, poll_ms=10), {}, now_ns=lambda: now[0])

    first = source.next_chunk(1000)
    assert first is not None
    assert (text(first), first.done, first.end) == (b"1\n", False, 2)
    assert source.next_chunk(1000) is None
    now[0] += 20_000_000
    assert source.next_chunk(1000) is None
    assert not source.exhausted
    now[0] += 6_000_000_000
    last = source.next_chunk(1000)

    assert last is not None
    assert (text(last), last.done, last.start, last.line) == (b"2", True, 2, 2)
    now[0] += 20_000_000
    assert source.next_chunk(1000) is None
    assert source.exhausted


def test_a_whole_json_value_in_another_encoding_needs_no_line_end_either(
    tmp_path: Path, opened: Callable[..., FilesSource]
) -> None:
    line = '{"city":"杭州"}'.encode("gbk")
    path = tmp_path / "live.ndjson"
    path.write_bytes(line)
    now = path.stat().st_mtime_ns + 6_000_000_000
    source = opened(config(tmp_path, poll_ms=10, mapping=Mapping(encoding="gbk")), {}, now_ns=lambda: now)

    last = source.next_chunk(1000)
    assert last is not None
    assert (text(last), last.done) == (line, True)


def test_lines_are_numbered_over_a_restart(tmp_path: Path, opened: Callable[..., FilesSource]) -> None:
    (tmp_path / "a").write_bytes(b"12345678\n" * 2000)
    positions: dict[str, int] = {}
    source = opened(config(tmp_path, mapping=Mapping(line_bytes_max=64)), positions, drain=True)
    first = source.next_chunk(900)
    assert first is not None
    positions[first.key] = first.end

    again = opened(config(tmp_path), positions, drain=True)
    second = again.next_chunk(1 << 16)

    assert second is not None
    assert first.length == 900
    assert (second.start, second.line) == (900, 101)


def test_a_line_beyond_the_bound_is_cut_and_read_past(tmp_path: Path, opened: Callable[..., FilesSource]) -> None:
    (tmp_path / "a").write_bytes(b"1\n" + b"x" * 100_000 + b"\n2\n" + b"y" * 500)
    source = opened(config(tmp_path, mapping=Mapping(line_bytes_max=64)), {}, drain=True)
    chunks = list(drained(source, 128))

    assert [text(chunk) for chunk in chunks] == [b"1\n", b"x" * 65, b"2\n", b"y" * 65]
    assert [chunk.line for chunk in chunks] == [1, 2, 3, 4]
    assert [chunk.start for chunk in chunks] == [0, 2, 100_003, 100_005]
    assert ~chunks[-1].end == 100_505


def test_a_header_goes_with_every_chunk_and_is_no_line(tmp_path: Path, opened: Callable[..., FilesSource]) -> None:
    (tmp_path / "a.csv").write_bytes(b"msisdn,time\n1,2\n3,4\n")
    mapping = Mapping(format="delimited", header=True, type="call")
    source = opened(config(tmp_path, mapping=mapping), {}, drain=True)
    chunk = source.next_chunk(1000)

    assert chunk is not None
    assert (text(chunk), chunk.header, chunk.start, chunk.line) == (b"1,2\n3,4\n", b"msisdn,time", 12, 2)
    again = opened(config(tmp_path, mapping=mapping), {chunk.key: 16}, drain=True).next_chunk(1000)
    assert again is not None
    assert (text(again), again.header, again.line) == (b"3,4\n", b"msisdn,time", 3)


@pytest.mark.parametrize("damage", [b"no gzip at all", gzip.compress(b"1\n2\n" * 9999)[:-700] + b"x" * 700])
def test_a_broken_archive_is_told_and_does_not_stop_the_others(
    tmp_path: Path, opened: Callable[..., FilesSource], damage: bytes
) -> None:
    (tmp_path / "a.gz").write_bytes(damage)
    (tmp_path / "b").write_bytes(b"fine\n")
    source = opened(config(tmp_path), {}, drain=True)
    lines = b"".join(text(chunk) for chunk in drained(source))

    assert lines.endswith(b"fine\n")
    assert [fault.path for fault in source.faults] == [str(tmp_path / "a.gz")]
    assert source.exhausted


def test_a_cut_archive_gives_its_whole_lines_and_waits_for_the_rest(
    tmp_path: Path, opened: Callable[..., FilesSource]
) -> None:
    body = b"".join(b"%d\n" % (number * number) for number in range(40_000))
    packed = gzip.compress(body)
    path = tmp_path / "a.gz"
    path.write_bytes(packed[: len(packed) // 2])
    now = [path.stat().st_mtime_ns + 1]
    source = opened(config(tmp_path, poll_ms=10), {}, now_ns=lambda: now[0])
    half = b"".join(text(chunk) for chunk in drained(source))
    assert half
    assert body.startswith(half)
    assert source.faults == []

    path.write_bytes(packed)
    now[0] += 20_000_000

    assert half + b"".join(text(chunk) for chunk in drained(source)) == body


@pytest.mark.parametrize("name", ["\\xff" * 200, "a" * 300, "a/" * 3_000])
def test_a_position_of_a_name_that_no_file_can_have_is_one_of_a_file_that_is_gone(
    name: str, tmp_path: Path, opened: Callable[..., FilesSource]
) -> None:
    key = f"cdr:{name}#1"

    assert not opened(config(tmp_path, pattern="*.json"), {key: 5}).holds(key)


def test_a_file_that_went_with_its_disk_while_it_was_given_up_is_a_fault_of_its_own(
    tmp_path: Path, opened: Callable[..., FilesSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b\x09broken")
    asked: list[Path] = []

    def first_away(path: Path) -> Stat:
        asked.append(path)
        if len(asked) == 1:
            raise OSError(5, "Input/output error")
        return stat_of(path)

    monkeypatch.setattr(client, "stat_of", first_away)
    source = opened(config(tmp_path), {}, drain=True)

    assert source.next_chunk(100) is None
    assert [fault.path for fault in source.faults] == [str(tmp_path / "broken.gz")]
    assert len(asked) > 1


def test_a_missing_directory_is_named(tmp_path: Path, opened: Callable[..., FilesSource]) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere"):
        asyncio.run(opened(config(tmp_path / "nowhere"), {}).start())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=90).map(lambda line: line.replace(b"\n", b"")), max_size=60),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_cut_where_no_line_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], stops: int, packed: bool, ended: bool
) -> None:
    folder = tmp_path_factory.mktemp("law")
    body = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    (folder / ("a.gz" if packed else "a")).write_bytes(gzip.compress(body) if packed else body)
    mapping = Mapping(line_bytes_max=100)
    positions: dict[str, int] = {}
    found = b""
    while True:
        source = FilesSource(config(folder, mapping=mapping), dict(positions), drain=True)
        count = 0
        for chunk in drained(source, 128):
            found += text(chunk)
            positions[chunk.key] = chunk.end
            count += 1
            if count == stops:
                break
        source.close()
        if count < stops:
            break

    assert found == body


def test_a_directory_that_goes_away_is_told_and_read_on_when_it_is_back(
    tmp_path: Path, opened: Callable[..., FilesSource]
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    source = opened(config(folder), {}, drain=True)
    asyncio.run(source.start())
    folder.rmdir()

    assert source.next_chunk(1 << 16) is None
    assert [fault.path for fault in source.faults] == [str(folder)]

    folder.mkdir()
    (folder / "a.ndjson").write_bytes(b"1\n")

    assert [text(chunk) for chunk in drained(source)] == [b"1\n"]

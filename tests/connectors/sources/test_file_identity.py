"""A file is read once, whatever its writer does to its name, and one that was replaced is read whole."""

import asyncio
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.sources.files.client import FilesSource
from connectors.sources.files.config import FilesConfig

SETTLE_MS = 1_000


class Watched:
    """A folder, and a source that reads it with a clock of its own; `restart` makes another one of its positions."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.positions: dict[str, int] = {}
        self.now_ns = 0
        self.settings = {"name": "cdr", "directory": folder, "poll_ms": 10, "settle_ms": SETTLE_MS} | settings
        self.restart()

    def restart(self, *, drain: bool = False) -> None:
        config = FilesConfig.model_validate(self.settings)
        self.source = FilesSource(config, dict(self.positions), drain=drain, now_ns=lambda: self.now_ns)
        asyncio.run(self.source.start())
        self.positions = {key: end for key, end in self.positions.items() if self.source.holds(key)}

    def write(self, name: str, *lines: str, end: str = "\n", mode: str = "w") -> None:
        with (self.folder / name).open(mode) as stream:
            stream.write("\n".join(lines) + end)

    def pause(self, ms: int) -> None:
        self.now_ns += ms * 1_000_000

    def lines(self, after_ms: int = 20) -> list[str]:
        """Return the lines that come now; the last change of every file was `after_ms` ago."""
        newest = max((path.stat().st_mtime_ns for path in self.folder.iterdir() if path.is_file()), default=0)
        self.now_ns = max(self.now_ns, newest) + after_ms * 1_000_000
        found: list[str] = []
        while (chunk := self.source.next_chunk(1 << 16)) is not None:
            assert chunk.key not in self.positions or chunk.start >= reached(self.positions[chunk.key])
            self.positions[chunk.key] = chunk.end
            found += chunk.data[: chunk.length].tobytes().decode().splitlines()
        return found


def reached(position: int) -> int:
    return position if position >= 0 else ~position


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(**settings: Any) -> Watched:
        folder = tmp_path / "inbox"
        folder.mkdir()
        made.append(Watched(folder, **settings))
        return made[-1]

    yield make
    for one in made:
        one.source.close()


def event(number: int) -> str:
    return f'{{"n":{number},"text":"{"x" * 70}"}}'


def rename(folder: Path) -> None:
    (folder / "a.ndjson").rename(folder / "a.ndjson.1")


def pack(folder: Path) -> None:
    rename(folder)
    (folder / "a.ndjson.1.gz").write_bytes(gzip.compress((folder / "a.ndjson.1").read_bytes()))
    (folder / "a.ndjson.1").unlink()


def copy_and_cut(folder: Path) -> None:
    shutil.copy(folder / "a.ndjson", folder / "a.ndjson.1")
    os.truncate(folder / "a.ndjson", 0)


ROTATIONS = [rename, pack, copy_and_cut]


@pytest.mark.parametrize("first", [event(4), event(1)], ids=["other content", "the same first line"])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_rotated_file_is_read_once_and_the_new_one_whole(
    watched: Callable[..., Watched], rotate: Callable[[Path], None], restarted: bool, first: str
) -> None:
    inbox = watched()
    inbox.write("a.ndjson", event(1), event(2), event(3))
    assert inbox.lines() == [event(1), event(2), event(3)]

    rotate(inbox.folder)
    inbox.write("a.ndjson", first, event(5))
    if restarted:
        inbox.restart()
    found = inbox.lines() + inbox.lines(10 * SETTLE_MS)

    assert found == [first, event(5)]


@pytest.mark.parametrize("pattern", ["*", "*.ndjson*", "a.ndjson"])
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_what_was_not_read_before_a_rotation_is_read_after_it(
    watched: Callable[..., Watched], rotate: Callable[[Path], None], pattern: str
) -> None:
    if pattern == "a.ndjson" and rotate is not rename:
        pytest.skip("another file outside of the pattern is not the source's")
    inbox = watched(pattern=pattern)
    inbox.write("a.ndjson", event(1), event(2))
    inbox.lines()
    inbox.write("a.ndjson", event(3), mode="a")
    rotate(inbox.folder)
    inbox.write("a.ndjson", event(4))

    assert sorted(inbox.lines() + inbox.lines(10 * SETTLE_MS)) == [event(3), event(4)]


def test_a_copy_in_the_making_is_not_read_beside_its_original(watched: Callable[..., Watched]) -> None:
    inbox = watched()
    inbox.write("a.ndjson", *map(event, range(100)))
    inbox.lines()
    whole = (inbox.folder / "a.ndjson").read_bytes()

    (inbox.folder / "a.ndjson.1").write_bytes(whole[:3000])
    half = inbox.lines()
    (inbox.folder / "a.ndjson.1").write_bytes(whole)
    made = inbox.lines()
    os.truncate(inbox.folder / "a.ndjson", 0)

    assert (half, made, inbox.lines(), inbox.lines(10 * SETTLE_MS)) == ([], [], [], [])


def test_two_files_of_one_content_that_both_stay_are_two_files(watched: Callable[..., Watched]) -> None:
    inbox = watched()
    inbox.write("a.ndjson", event(1))
    inbox.write("b.ndjson", event(1))

    assert inbox.lines() + inbox.lines(10 * SETTLE_MS) == [event(1), event(1)]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("lines", [[event(7)], [event(1), event(9), event(9), event(9)]])
def test_a_file_replaced_under_its_name_is_read_whole(
    watched: Callable[..., Watched], lines: list[str], restarted: bool
) -> None:
    inbox = watched()
    inbox.write("a.ndjson", event(1), event(2))
    inbox.lines()
    inbox.write("new", *lines)
    (inbox.folder / "new").rename(inbox.folder / "a.ndjson")
    if restarted:
        inbox.restart()

    assert inbox.lines() + inbox.lines(10 * SETTLE_MS) == lines


def test_a_file_written_anew_in_place_with_a_longer_content_of_the_same_start_is_read_whole(
    watched: Callable[..., Watched],
) -> None:
    inbox = watched()
    inbox.write("a.ndjson", event(1), event(2))
    inbox.lines()
    inbox.write("a.ndjson", event(1), event(3), event(4))

    assert inbox.lines() == [event(1), event(3), event(4)]


def test_a_half_line_waits_for_its_rest_longer_than_a_whole_one(watched: Callable[..., Watched]) -> None:
    inbox = watched()
    inbox.write("a.ndjson", event(1), event(2)[:30], end="")
    assert inbox.lines(10 * SETTLE_MS) == [event(1)]
    assert inbox.lines(30 * SETTLE_MS) == []

    inbox.write("a.ndjson", event(2)[30:], mode="a")

    assert inbox.lines() == [event(2)]


def test_a_half_line_whose_rest_never_comes_is_handed_out_at_last(watched: Callable[..., Watched]) -> None:
    inbox = watched(half_line_ms=60_000)
    inbox.write("a.ndjson", event(1)[:30], end="")
    assert inbox.lines(59_000) == []
    inbox.pause(2_000)

    assert inbox.lines(59_000) == [event(1)[:30]]


def test_a_half_line_is_handed_out_at_once_when_draining(watched: Callable[..., Watched]) -> None:
    inbox = watched()
    inbox.write("a.ndjson", event(1)[:30], end="")
    inbox.restart(drain=True)

    assert inbox.lines() == [event(1)[:30]]


NAMES = [b"\xff\xfe.ndjson", b"new\nline.ndjson", b"\x1b[2J.ndjson", "账单.ndjson".encode(), b"#7-ff@3.ndjson"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_of_any_bytes_is_read_once_and_its_key_can_be_stored(
    watched: Callable[..., Watched], name: bytes
) -> None:
    inbox = watched()
    path = Path(os.fsdecode(bytes(inbox.folder) + b"/" + name))
    path.write_text(event(1) + "\n")
    assert inbox.lines() == [event(1)]
    (key,) = inbox.positions

    assert orjson.loads(orjson.dumps(inbox.positions)) == inbox.positions
    assert key.isprintable()
    inbox.restart()
    assert (inbox.lines(), list(inbox.positions)) == ([], [key])


def test_a_broken_file_with_a_name_of_any_bytes_is_told_in_text(watched: Callable[..., Watched]) -> None:
    inbox = watched()
    Path(os.fsdecode(bytes(inbox.folder) + b"/\xff\n.gz")).write_bytes(b"no gzip")
    inbox.lines()

    (fault,) = inbox.source.faults
    assert str(fault).isprintable()


@pytest.mark.parametrize("follow_links", [False, True])
def test_a_symbolic_link_out_of_the_inbox_is_read_only_where_a_setting_says_so(
    watched: Callable[..., Watched], tmp_path: Path, follow_links: bool
) -> None:
    inbox = watched(follow_links=follow_links)
    secret = tmp_path / "secret"
    secret.write_text(event(1) + "\n")
    (inbox.folder / "a.ndjson").symlink_to(secret)

    assert inbox.lines() == ([event(1)] if follow_links else [])
    assert [fault.path for fault in inbox.source.faults] == ([] if follow_links else [str(inbox.folder / "a.ndjson")])


def test_a_pipe_in_the_inbox_stops_nothing(watched: Callable[..., Watched]) -> None:
    inbox = watched()
    os.mkfifo(inbox.folder / "a.ndjson")
    inbox.write("b.ndjson", event(1))

    assert inbox.lines() == [event(1)]


@pytest.mark.parametrize("name", ["a.ndjson", "a#b.ndjson", "a.gz"])
def test_positions_of_older_releases_resume(watched: Callable[..., Watched], name: str) -> None:
    inbox = watched()
    content = (event(1) + "\n" + event(2) + "\n").encode()
    stored = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    (inbox.folder / name).write_bytes(stored)
    digest = hashlib.blake2b(stored[:40], digest_size=6).hexdigest()
    key = f"cdr:{name}#40-{digest}"
    inbox.positions = {key: len(event(1)) + 1, "cdr:gone#40-0123456789ab": 7, "tcp:x": 3}
    inbox.restart()

    assert inbox.lines(10 * SETTLE_MS) == [event(2)]
    assert set(inbox.positions) == {key, "tcp:x"}

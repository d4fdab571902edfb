"""Worlds recorded by one tree and checked by another: the same logs must give the same decisions, byte for byte.

    python -m tests.simulation.recorded record FOLDER [SEEDS [FIRST]]
    python -m tests.simulation.recorded check FOLDER

`record` runs worlds and writes one file each, `SEED.zip`. `check` folds every log of those files from nothing with the
code it stands in, opens the data directory as a start after a kill would, and asks it again what was asked then. Run
`record` before a change that must change no behaviour, and `check` after it. What a file holds:

    world.json      size of the world, time of its end, version of the active book
    answers.json    what `decisions` and `why` said
    log/P           every frame that was ever durable in partition P, in order, be it retained or not
    journal/P       position and bytes of the decisions of every frame that had candidates
    store           rows of the store of pages
    disk/PATH       the files of the data directory
"""

import random
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

import tests.simulation.world as world_module
from engine.answers.records import Wanted
from engine.book.compiled import CompiledBook, compile_texts
from engine.commands.shared.reader import opened
from engine.flow.partition import Partition
from rules.model import Book
from state.formats import FORMAT
from state.frame import decode
from state.schema import Schema, schema_from_json
from tests.simulation.flow import WorldClock
from tests.simulation.judges import Judges, hold
from tests.simulation.life import ROOT, Life, Size
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.traffic import Traffic
from tests.simulation.world import World

WORLDS = 500
ASKED_MAX = 8
"""Subscribers of whom the whole story is asked."""
_LENGTH = struct.Struct("<I")
_REACHED = struct.Struct("<q")

Answers = dict[str, Any]


# ---- recording


class RecordingJudges(Judges):
    """Judges that also keep the bytes of every durable frame."""

    def __init__(self, size: Size, machine: Machine, traffic: Traffic, network: Network) -> None:
        super().__init__(size, machine, traffic, network)
        self.payloads: list[list[bytes]] = [[] for _ in range(size.partitions)]

    def _take_frames(self, partition: Partition, durable: int) -> None:
        kept = self.payloads[partition.number]
        if len(kept) <= durable:
            for record in partition.log._segments.read(len(kept)):
                if record.position > durable:
                    break
                kept.append(bytes(record.payload))
        super()._take_frames(partition, durable)


def record(seed: int, path: Path) -> None:
    """Run the world of a seed and write it to `path`."""
    with patch.object(world_module, "Judges", RecordingJudges):
        world = World(seed)
        world.run()
    judges = world.judges
    assert isinstance(judges, RecordingJudges)
    machine = world.machine
    machine.kill(random.Random(seed))
    told = {
        "size": asdict(world.size),
        "now_ms": world.now_ms,
        "book": world.life.core.partitions[0].book_version,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("world.json", orjson.dumps(told))
        file.writestr("answers.json", orjson.dumps(_answers(world.size, files_of(machine))))
        for p, payloads in enumerate(judges.payloads):
            file.writestr(f"log/{p}", _packed(payloads))
            entries = (_REACHED.pack(position) + records for position, records in judges.batches[p])
            file.writestr(f"journal/{p}", _packed(entries))
        rows = machine.store.scan(b"")
        file.writestr("store", _packed(cell for row in rows for cell in row))
        for name, data in files_of(machine).items():
            file.writestr(f"disk/{name}", data)


def files_of(machine: Machine) -> dict[str, bytes]:
    """Return the files of the data directory by their paths in it."""
    return {str(path.relative_to(ROOT)): bytes(one.seen) for path, one in sorted(machine._names.items())}


# ---- checking


class Recorded:
    """A recorded world."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as file:
            self._parts = {name: file.read(name) for name in file.namelist()}
        self.path = path
        told = orjson.loads(self._parts["world.json"])
        size = told["size"]
        unbounded = {"rate_per_s": float("inf")} if size["rate_per_s"] is None else {}  # JSON has no infinity
        self.size = Size(**size | {"windows": tuple(size["windows"])} | unbounded)
        self.now_ms: int = told["now_ms"]
        self.book: str = told["book"]
        self.answers: Answers = orjson.loads(self._parts["answers.json"])
        self.files = {
            name.removeprefix("disk/"): data for name, data in self._parts.items() if name.startswith("disk/")
        }
        self._schemas: dict[str, Schema] = {}

    def frames(self, partition: int) -> list[bytes]:
        """Return the frames of a partition as bytes."""
        return list(_unpacked(self._parts[f"log/{partition}"]))

    @property
    def format(self) -> int:
        """The format of the release that recorded it, as its frames say."""
        return int(chr(self.frames(0)[0][3]))

    def entries(self, partition: int) -> list[tuple[int, bytes]]:
        """Return (position, decisions) of the frames of a partition that had candidates."""
        packed = _unpacked(self._parts[f"journal/{partition}"])
        return [(_REACHED.unpack_from(one)[0], one[_REACHED.size :]) for one in packed]

    def compiled(self, version: str) -> CompiledBook:
        """Return a book that the world used."""
        sources = orjson.loads(self.files[f"books/{version}.json"])["sources"]
        return _compiled(tuple(sorted(sources.items())))

    def schema(self, fingerprint: str) -> Schema:
        """Return a schema that frames name."""
        if fingerprint not in self._schemas:
            name = next(name for name in self.files if name.endswith(f"/{fingerprint}.schema"))
            self._schemas[fingerprint] = schema_from_json(self.files[name])
        return self._schemas[fingerprint]

    def machine(self) -> Machine:
        """Return a computer with the data directory on its disk."""
        machine = Machine()
        for name, data in self.files.items():
            path = ROOT / name
            file = machine.open(path, writable=True)
            file.write([data], 0)
            file.sync()
            machine.sync_folder(path.parent)
        cells = list(_unpacked(self._parts["store"]))
        machine.store.write(list(zip(cells[::2], cells[1::2], strict=True)))
        machine.store.flush()
        return machine


def check(path: Path) -> tuple[int, int]:
    """Hold the code against one recorded world; return how many frames and decision records it has.

    A world of an earlier format is opened, read and asked, and not folded again: format 2 came with caps that count the
    times of contact, so its decisions are not those of format 1.

    BrokenError says what differs.
    """
    recorded = Recorded(path)
    machine = recorded.machine()
    chance = random.Random(1)
    network = Network(chance, 0.0)
    judges = Judges(recorded.size, machine, Traffic(chance, [1], [1]), network)
    judges.books = _Books(recorded)
    partitions = range(recorded.size.partitions)
    if recorded.format == FORMAT:
        for p in partitions:
            _check_fold(recorded, judges, p)
    _check_opened(recorded, judges, machine, network)
    found = _answers(recorded.size, recorded.files)
    for name, said in recorded.answers.items():
        hold(_covers(orjson.loads(orjson.dumps(found[name])), said), "the same answers", f"{path}: {name}")
    return sum(len(recorded.frames(p)) for p in partitions), sum(len(recorded.entries(p)) for p in partitions)


def _covers(found: Any, said: Any) -> bool:
    """Tell whether an answer says all that was said before; a later release may say more of a record.

    Format 1 said `?` for a text that a crash had taken from its table; frames have it, and are asked for it now.
    """
    if isinstance(said, dict):
        return isinstance(found, dict) and all(name in found and _covers(found[name], said[name]) for name in said)
    if isinstance(said, list):
        return isinstance(found, list) and len(found) == len(said) and all(map(_covers, found, said))
    if isinstance(said, str) and said.endswith(": ?"):
        return isinstance(found, str) and found.startswith(said[:-1])
    return bool(found == said)


def _check_fold(recorded: Recorded, judges: Judges, p: int) -> None:
    """Fold a partition's log from nothing: every frame must give the recorded bytes, or nothing."""
    twin, expected = judges.twins[p], dict(recorded.entries(p))
    frames = recorded.frames(p)
    for position, payload in enumerate(frames):
        decisions = twin.apply(position, decode(payload, recorded.schema))
        made = decisions.encode() if decisions is not None else None
        hold(made == expected.get(position), "the same decisions", f"{recorded.path}: partition {p} at {position}")
    judges.frames[p] = [0] * len(frames)


def _check_opened(recorded: Recorded, judges: Judges, machine: Machine, network: Network) -> None:
    """Open the data directory: nothing is lost, nothing added, state equals the clean fold."""
    life = Life(recorded.size, machine, network, recorded.compiled(recorded.book), WorldClock(recorded.now_ms))
    for partition in life.core.partitions:
        p, where = partition.number, f"{recorded.path}: partition {partition.number}"
        frames, entries = recorded.frames(p), recorded.entries(p)
        hold(partition.log.next_position == len(frames), "the same log", where)
        for record in partition.log._segments.read(partition.log.first_position):
            hold(bytes(record.payload) == frames[record.position], "the same log", f"{where} at {record.position}")
        more = partition.journal.next_position - len(entries)  # this format's redo may record what waited, taken back
        hold(more == 0 if recorded.format == FORMAT else more >= 0, "the same journal", where)
        for entry in islice(partition.journal.read(partition.journal.first_position), len(entries)):
            same = (entry.reached, bytes(entry.payload)) == entries[entry.position]
            hold(same, "the same journal", f"{where} entry {entry.position}")
        if recorded.format == FORMAT:
            judges.check_state(partition)


# ---- both


def _answers(size: Size, files: dict[str, bytes]) -> Answers:
    """Return what the commands `decisions` and `why` read in a data directory on a real disk."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        config = size.config()
        config = config.model_copy(update={"data": config.data.model_copy(update={"directory": Path(folder)})})
        with opened(config) as reader:
            records = list(reader.records(Wanted()))
            decided = dict.fromkeys(one["subscriber"] for one in records if one["gate"] is None)
            ends: dict[str, list[tuple[int, str]]] = {}
            for subscriber in list(decided)[:ASKED_MAX]:
                theirs = [one for one in records if one["subscriber"] == subscriber]
                ends |= reader.ends(subscriber, theirs)
    return {"records": records, "ends": {name: [list(one) for one in said] for name, said in ends.items()}}


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder of the real disk."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _packed(parts: Iterable[bytes]) -> bytes:
    """Return byte strings as one, each with its length u32 LE before it."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _unpacked(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


class _Books(dict[str, CompiledBook]):
    """The books of a recorded world, compiled when they are asked for."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__()
        self._recorded = recorded

    def __missing__(self, version: str) -> CompiledBook:
        return self._recorded.compiled(version)


@lru_cache(maxsize=1024)
def _compiled(sources: tuple[tuple[str, str], ...], before: Book | None = None) -> CompiledBook:
    return compile_texts(dict(sources), before)


def main(arguments: list[str]) -> int:
    """Run the command; return how many worlds differ."""
    what, folder = arguments[0], Path(arguments[1])
    if what == "record":
        count = int(arguments[2]) if len(arguments) > 2 else WORLDS
        first = int(arguments[3]) if len(arguments) > 3 else 1
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            record(seed, folder / f"{seed}.zip")
        return 0
    frames = entries = failed = 0
    paths = sorted(folder.glob("*.zip"), key=lambda path: int(path.stem))
    for path in paths:
        try:
            counted = check(path)
        except Exception as fault:  # noqa: BLE001 whatever the engine raises is a difference
            failed += 1
            sys.stdout.write(f"{path}: {type(fault).__name__}: {fault}\n")
            continue
        frames, entries = frames + counted[0], entries + counted[1]
    sys.stdout.write(f"{len(paths)} worlds, {frames:,d} frames, {entries:,d} with decisions; {failed} differ\n")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)

"""Compile every kernel before serving, with a progress line; the machine code is kept on disk for the next start.

Each step folds a small world of made-up rows through a part of the product, so that what is compiled is what is used.
A step that takes long is also a share, which another process may compile before (`engine.runtimes.beside`).
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import numpy as np

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.decider import Decider
from engine.flow.keeping import World
from engine.runtimes.beside import Share, compile_beside
from rules.gates.kernel import NOBODY
from rules.gates.pause import paused_arrays
from rules.load import load_text
from state.batch import Row, from_rows, select
from state.collector import collector_at_rest
from state.columns import Table
from state.contacts import Contacts
from state.dedupe import Dedupe
from state.features import BOOK_KINDS
from state.frame import Frame, FrameKind, decode, encode
from state.hashing import split_by_partition
from state.held_texts import HeldTexts
from state.index import spread_entries
from state.jit import watch_compiling
from state.texts import hashed_texts

KERNELS = 400
KERNELS_OF_DECIDER = 285
SLOTS = 64
BOOK = """
[book]
zone = "Asia/Shanghai"
cap = ["3 per day"]
[attributes]
name = "string"
services = { set = ["a", "b"] }
[lists.no]
excludes = "all"
[channels.sms]
kind = "sms"
cap = ["2 per 7d"]
[offers.o]
title = "o"
unless_holds = ["a"]
[events.e]
fields = { word = "string", number = "int", part = "float" }
"""


def warm_up(line: TextIO | None) -> float:
    """Compile or load every kernel; return the seconds it took. While kernels are compiled, `line` shows how far.

    A release has about `KERNELS` of them and their pieces; most compile in a blink, a scanner takes seconds.
    """
    return _warm(line, SHARES, (_decider, _scanner, _memory, _pages, _clock), KERNELS)


def warm_decider(line: TextIO | None) -> float:
    """`warm_up` of what the tests of a book need: features, conditions and gates."""
    return _warm(line, SHARES_OF_DECIDER, (_decider,), KERNELS_OF_DECIDER)


def _warm(line: TextIO | None, shares: Sequence[Share], steps: Sequence[Callable[[], None]], kernels: int) -> float:
    began = time.monotonic()
    shown = threading.Lock()
    compiled = 0

    def show(name: str) -> None:
        nonlocal compiled
        with shown:
            compiled += 1
            if line is not None and (line.isatty() or compiled == 1):
                done = min(100 * compiled // kernels, 99)
                line.write(f"\ropportune: compiling kernels, once a release: {done:>2}%  {name:<32.32}")
                line.flush()

    def say(why: str) -> None:
        if line is not None:
            line.write(f"\ropportune: kernels are compiled in one process: {why}\n")

    with watch_compiling(show), collector_at_rest():
        compile_beside(shares, show, say)
        for step in steps:
            step()
    seconds = time.monotonic() - began
    if line is not None and compiled:
        line.write(f"\ropportune: {compiled} kernels compiled in {seconds:.0f} s, kept for the next start{'':<24}\n")
    return seconds


def _warm_book() -> tuple[CompiledBook, Decider, Table]:
    """Return a book with every kind of feature, conditions and gates, active in a decider."""
    kinds = [kind for kind in BOOK_KINDS.values() if not kind.settles]
    declared = [f'{kind.example}\nover = "{over}"\n' for over in ("1h", "today", "ever") for kind in kinds]
    declared += [f"{kind.example}\n" for kind in BOOK_KINDS.values() if kind.settles]
    features = "".join(f"[features.f{index}]\n{text}" for index, text in enumerate(declared))
    features += '[features.w]\ncount = "e"\nwhere = "word == \'x\' and number > 1"\n'
    rule = (
        '[[rule]]\nid = "r"\non = "e"\nwhen = "f0 >= 1 and known(f1) and w >= 1"\noffer = "o"\nchannels = ["sms"]\n'
        'text.sms = "t"\nreason = "r"\ncap = ["1 per 1h", "2 per week", "9 per month"]\n'
        'keep = { list = "no", for = "1d" }\narms = { a = "50%", b = "50%" }\n'
    )
    rule += '[[rule]]\nid = "d"\nafter = "e"\nfor = "1s"\nchannels = ["sms"]\ntext.sms = "t"\n'
    compiled = compile_book(load_text({"warm.toml": BOOK + features + rule}))
    table = Table(SLOTS)
    decider = Decider(table, Contacts(table.capacity, 8), SLOTS)
    decider.activate(compiled, 0)
    return compiled, decider, table


def _decider() -> None:
    """Fold every kind of feature, conditions and gates."""
    compiled, decider, table = _warm_book()
    rows = [
        Row("profile", 1, 1_000, {"name": "n", "services": ["b"]}),
        Row("list", 1, 1_001, {"list": "no", "member": False}),
        Row("e", 1, 1_002, {"word": "x", "number": 2, "part": 0.5}),
        Row("outcome", 1, 1_003, {"position": 1, "row": 2, "rule": 3, "state": 2}),
    ]
    batch = from_rows(compiled.book.schema, rows)
    slots = np.empty(batch.n, np.int32)
    table.lookup(batch.subscriber, slots, 1)
    decider.fold(1, 1_004, batch, np.arange(batch.n, dtype=np.int32), slots)
    decider.values(int(slots[0]), 1_004)
    decider.deadlines.note(slots)
    decider.deadlines.take(1 << 50, 1)
    select(batch, np.arange(2, dtype=np.int32))
    split_by_partition(batch.subscriber, 2, np.zeros(3, np.int64), np.empty(batch.n, np.int32))
    decode(encode(Frame(FrameKind.EVENTS, 1, batch)), lambda _: compiled.book.schema)


def _features() -> None:
    """Fold an event that no rule is for: of `_decider`, what comes before the gates."""
    compiled, decider, table = _warm_book()
    batch = from_rows(compiled.book.schema, [Row("e", 1, 1_000, {"word": "x", "number": 0, "part": 0.5})])
    slots = np.empty(batch.n, np.int32)
    table.lookup(batch.subscriber, slots, 1)
    decider.fold(1, 1_004, batch, np.arange(batch.n, dtype=np.int32), slots)
    decode(encode(Frame(FrameKind.EVENTS, 1, batch)), lambda _: compiled.book.schema)


def _gates() -> None:
    """Judge no candidates: of `_decider`, the gates alone."""
    compiled, decider, _ = _warm_book()
    batch, none = from_rows(compiled.book.schema, [Row("e", 1, 1_000, {})]), np.zeros(0, np.int32)
    rows = decider.seen(batch, np.zeros(1, np.int32), np.zeros(1, np.int32))
    world = World(compiled, paused_arrays(compiled.book, ()), decider.contacts.arrays, 1_004)
    decider.judge(world, 1, rows, none, (none, none, NOBODY))


def _scanner() -> None:
    """Decode lines of both formats."""
    from connectors.sources.contract import chunk_of  # noqa: PLC0415 loaded where it is compiled
    from connectors.sources.decoder import Decoder  # noqa: PLC0415 loaded where it is compiled
    from connectors.sources.kafka.kernel import lay_out  # noqa: PLC0415 loaded where it is compiled
    from connectors.sources.mapping import Mapping  # noqa: PLC0415 loaded where it is compiled
    from connectors.sources.scan.maps import count_lines  # noqa: PLC0415 loaded where it is compiled
    from connectors.sources.scan.texts import insert_all  # noqa: PLC0415 loaded where it is compiled

    schema = load_text({"warm.toml": BOOK}).schema
    line = b'{"type":"e","msisdn":8613800000001,"time":"2026-01-01T00:00:00Z","id":"1","word":"x","number":1}\n'
    chunk = chunk_of(line)
    Decoder(Mapping(), schema).decode(chunk, 1 << 50)
    count_lines(chunk.data.ctypes.data, chunk.length)
    insert_all(np.zeros(2, np.int64), np.zeros(4, np.int64))
    read, places = np.frombuffer(bytes(8), np.uint8), np.zeros(1, np.int64)  # read-only is a type of its own
    lay_out(read, 0, 0, 0, 0, 0, True, np.zeros(8, np.uint8), 0, places, places, 0)


def _memory() -> None:
    """See an id twice, hold a text and find it, double a table."""
    Dedupe(1, 1).mark(np.array([1, 1]), 0, np.zeros(2, np.uint8))
    held, some = HeldTexts(), hashed_texts([b"a", b"b"])
    held.keep(some, np.zeros(2, np.uint8), np.ones(2, np.int64), some.hashes, 0, 0)
    data, ends = held.append(np.zeros(1, np.int64), 1, np.array([[some.hashes.ctypes.data, 16]]))
    held.take(data, np.zeros(1, np.int64), ends)
    held.sweep([some.hashes])
    held.pick(some.hashes, some)
    held.text(1)
    spread_entries(np.zeros(2, np.int64), np.zeros(4, np.int64))


def _pages() -> None:
    """Pack pages, and rows as of subscribers that go to sleep and wake."""
    from state.pages import Pages  # noqa: PLC0415 loaded where it is compiled

    table = Table(SLOTS)
    contacts = Contacts(table.capacity, 8)
    pages = Pages(table, contacts)
    table.rebuild()
    slots = np.empty(2, np.int32)
    table.lookup(np.array([1, 2]), slots, 1)
    rows = pages.pack_rows(slots[:1], 1)
    contacts.release(slots[:1])
    table.remove(slots[:1])
    fresh = table.lookup(np.array([1, 2]), slots, 2)
    pages.unpack_rows(slots[fresh], rows, pages.layout())
    pages.pack(np.flatnonzero(table.dirty), 2)


def _clock() -> None:
    """Run a source's clock."""
    from state.log_clock import new_clock, run_clock  # noqa: PLC0415 loaded where it is compiled

    run_clock(new_clock(), np.array([1, 2]), np.array([5, 9]), np.empty(2, np.int64))


SHARES_OF_DECIDER = (
    Share("features", _features, "rules.expressions.kernel", 20),
    Share("gates", _gates, "rules.gates.kernel", 17),
)
SHARES = (
    *SHARES_OF_DECIDER,
    Share("scanner", _scanner, "connectors.sources.scan.kernel", 9),
    Share("pages", _pages, "state.page_packing", 6),
    Share("memory", _memory, "state.held_texts", 2),
)


def compile_shares(names: Sequence[str], line: TextIO) -> None:
    """Compile some shares for the process that started this one, and tell it of every kernel."""

    def tell(name: str) -> None:
        line.write(f"{name}\n")
        line.flush()

    with watch_compiling(tell), collector_at_rest():
        for share in SHARES:
            if share.name in names:
                share.run()


if __name__ == "__main__":
    if sys.argv[1:]:
        compile_shares(sys.argv[1:], sys.stdout)
    else:
        warm_up(sys.stderr)

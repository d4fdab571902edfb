"""What must hold in the cluster, told from the topics alone.

The judges read log and decisions as any reader may, fold the log in a *twin* that never dies, and hold the records of
decisions, the state of every owner and the words of every dispatcher against it. What they share with the judges of one
machine (candidates, caps, ends) stands in `tests.simulation.judges`.
"""

from dataclasses import replace
from typing import Any, cast

import orjson
from aiokafka import TopicPartition

from connectors.contract import Message
from engine.flow.fold import FoldParts
from engine.runtimes.cluster.decide.fold import ClusterFold
from engine.runtimes.cluster.decide.missing import Missing
from engine.runtimes.cluster.shared.journal_position import REACHED, StaleRecordFilter, read_record
from state.decisions import decode as decode_decisions
from state.frame import Frame, decode
from state.schema import Schema
from tests.fakes.store import MemoryStore
from tests.simulation.cluster.broker import Broker
from tests.simulation.cluster.network import Network
from tests.simulation.judges import Judges, hold, number_of
from tests.simulation.life import Size
from tests.simulation.traffic import Line, Traffic


class ClusterTwin(ClusterFold):
    """A partition in memory only, folded once, by nobody else."""

    def __init__(self, number: int, size: Size, books: Any) -> None:
        limits = replace(size.sizes().fold, memory_subscribers=1 << 20)
        parts = FoldParts(number, limits, MemoryStore(), books)
        super().__init__(parts, cast("Any", None), cast("Any", None), Missing("log", number, "hold"))


class ClusterJudges(Judges):
    """Everything that is known of a cluster's past, and what must follow."""

    def __init__(self, size: Size, broker: Broker, traffic: Traffic, network: Network, prefix: str) -> None:
        super().__init__(size, cast("Any", None), traffic, cast("Any", network))
        self.twins = cast("Any", [ClusterTwin(p, size, self._book) for p in range(size.partitions)])
        self._broker = broker
        self._prefix = prefix
        self._read = [0] * size.partitions
        self._entries = [0] * size.partitions
        self._fresh = [StaleRecordFilter() for _ in range(size.partitions)]
        self._counted = [0] * size.partitions
        self._schemas: dict[str, Schema] = {}
        self._rows_seen: set[int] = set()
        self.placed: dict[tuple[str, int], Line] = {}
        network.judge = self._submitted
        network.closed = lambda name: self.close([name])

    def _book(self, version: str) -> Any:
        return self.books[version]

    def _schema(self, fingerprint: str) -> Schema:
        for compiled in self.books.values():
            self._schemas[compiled.book.schema.fingerprint] = compiled.book.schema
        return self._schemas[fingerprint]

    # ---- the topics

    def look(self) -> None:
        """Take in what stands in log and decisions now."""
        for p in range(self.size.partitions):
            self._read_log(p)
            self._read_decisions(p)

    def _read_log(self, p: int) -> None:
        records, self._read[p] = self._broker.partitions[TopicPartition(f"{self._prefix}log", p)].read(
            self._read[p], 1 << 30, committed=True
        )
        for record in records:
            assert record.value is not None
            self._take_frame(p, record.offset, record.value)

    def _take_frame(self, p: int, position: int, value: bytes) -> None:
        frame, twin = decode(value, self._schema), self.twins[p]
        numbers = self._fresh_numbers(frame)
        batch = twin.apply(position, frame)
        self.frames[p].append(position)
        if batch is not None:
            self.batches[p].append((position, batch.encode()))
        self.counted["frames"] += 1
        if frame.batch is None or twin.decider.compiled is None:
            return
        folded = [number_of(frame.batch, row) for row in range(frame.batch.n)]
        hold(folded == numbers, "a raw record is folded once", f"partition {p} at {position}: {folded} {numbers}")
        self._judge_rows(p, position, frame.batch, list(range(frame.batch.n)), twin.decider.compiled, batch)

    def _fresh_numbers(self, frame: Frame) -> list[int | None]:
        """Return the numbers of the rows of a frame that no frame before it brought, by a memory of our own."""
        numbers: list[int | None] = []
        for row in range(frame.batch.n if frame.batch is not None else 0):
            assert frame.batch is not None
            n = number_of(frame.batch, row)
            if n is None:
                numbers.append(None)
                continue
            line = self.traffic.lines.get(n)
            hold(line is not None and line.fate != "dead", "a broken line is no row", f"line {n}")
            if n in self._rows_seen:
                self.counted["packed twice"] += 1
                continue
            self._rows_seen.add(n)
            numbers.append(n)
        return numbers

    def _read_decisions(self, p: int) -> None:
        """Records that count must be those of the twin, in order, none left out."""
        records, self._entries[p] = self._broker.partitions[TopicPartition(f"{self._prefix}decisions", p)].read(
            self._entries[p], 1 << 30, committed=True
        )
        for record in records:
            assert record.value is not None
            if not self._fresh[p].counts(read_record(record).position):
                self.counted["decided twice and dropped"] += 1
                continue
            reached, expected = self._fresh[p].reached, self.batches[p]
            index = self._counted[p]
            hold(index < len(expected), "no decision is lost or doubled", f"partition {p}: {reached} decides nothing")
            position, encoded = expected[index]
            what = f"partition {p}: position {reached} where {position} is next"
            hold(reached == position, "no decision is lost or doubled", what)
            value = record.value[REACHED.size :]
            hold(bytes(value) == encoded, "decisions are those of a clean fold", f"partition {p} at {position}")
            decode_decisions(value)
            self._counted[p] += 1

    # ---- sending

    def _submitted(self, gateway: str, message: Message) -> None:
        """A gateway takes a text."""
        self.look()
        name = message.decision_id
        hold(name in self.decided, "only decisions are sent", name)
        hold(name not in self.closed, "what may have been sent is not sent again", f"{name} to {gateway}")
        hold("#" not in message.text, "texts can be read", f"{name}: {message.text}")
        self.counted["handed over"] += 1

    # ---- state and the end

    def check_owned(self, owned: Any) -> bool:
        """Hold the state of a partition's owner against the twin, where both are at the same frame."""
        p = owned.number
        if not self.frames[p] or owned.folded != self.frames[p][-1]:
            return False
        self.check_state(owned.fold)
        self.counted["states compared"] += 1
        return True

    def open(self, now_ms: int) -> list[str]:
        """Return what is still to come at a time of the wall's clock."""
        letters = self._letters()
        missing = [
            line.n
            for place, line in self.placed.items()
            if line.n not in self._rows_seen and (line.fate == "row" or place not in letters)
        ]
        found = [f"lines {missing[:5]} of {len(missing)}"] if missing else []
        for p, counted in enumerate(self._counted):
            if counted < len(self.batches[p]):
                found.append(f"decisions of partition {p}: {counted} of {len(self.batches[p])}")
        waiting = [name for name in self.decided if not self.ends[name]]
        found += self.deadlines.overdue(now_ms)[:3]
        return found + ([f"decisions without an end: {waiting[:5]} of {len(waiting)}"] if waiting else [])

    def finished_cluster(self, now_ms: int) -> None:
        """At the end nothing may be open, and every broken line is a dead letter."""
        self.look()
        hold(not self.open(now_ms), "everything ends", self.open(now_ms))
        for p in range(self.size.partitions):
            self.check_calls(p)
        letters = self._letters()
        for place, line in self.placed.items():
            is_row, is_letter = line.n in self._rows_seen, place in letters
            fate = {"row": (True, False), "dead": (False, True)}.get(line.fate)
            ends = (is_row, is_letter)
            hold(ends == fate or (fate is None and any(ends)), "a line ends once", f"line {line.n} at {place}: {ends}")

    def _letters(self) -> set[tuple[str, int]]:
        """Return the places of lines that are dead letters, each once or more often."""
        records = self._broker.partitions[TopicPartition(f"{self._prefix}dead", 0)].records
        told = [orjson.loads(record.value) for record in records if record.value is not None]
        return {(one["key"], one["offset"]) for one in told}

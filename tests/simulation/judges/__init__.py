"""The invariants, and who holds the engine against them.

`Judges` reads what became durable and keeps books of its own: which line stands where, who was contacted, what every
decision ended as. State is held against a *twin*: a partition that folds the durable log from its beginning, in memory,
without crashes, pages, sleep or redo. Caps, candidates of plain rules, doubled ids and ends of decisions are known
without any code of the product: see `Contact`, `books.PLAIN`.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from zlib import crc32

from engine.flow.dead_letters import read_letters
from engine.flow.fold import Appended
from engine.flow.partition import Partition
from state.frame import Frame
from tests.simulation.judges.holding import BrokenError, hold
from tests.simulation.judges.rows import RowJudges, number_of
from tests.simulation.judges.sending import SendingJudges
from tests.simulation.judges.state import StateJudges
from tests.simulation.life import ROOT, Life
from tests.simulation.traffic import Sent

__all__ = ["BrokenError", "Judges", "hold", "number_of"]


class Judges(RowJudges, StateJudges, SendingJudges):
    """Everything that is known of a world's past, and what must follow."""

    def take_durable(self, life: Life) -> None:
        """Take in the frames that became durable, whatever has been done about them since."""
        for partition in life.core.partitions:
            durable, journaled = partition.log.durable, partition.journal.reached
            hold(journaled <= durable, "the journal knows no more than the log", f"{journaled} > {durable}")
            self._take_frames(partition, durable)

    def committed(self, life: Life, partition: Partition, appended: Sequence[Appended]) -> None:
        """A partition committed: hold journal and state against what became durable."""
        self._take_frames(partition, partition.log.durable)
        self._check_entries(partition, self.entries[partition.number], appended[-1].position)
        if life.flow.rests(partition.number):
            self.check_state(partition)

    def acknowledged(self, life: Life, sent: Sent) -> None:
        """A client was told that its lines are safe."""
        self.take_durable(life)
        self.too_early += [line.n for line in sent.lines if line.fate == "row" and not self.rows.get(line.n)]

    def stepped(self, life: Life) -> None:
        """A step was taken: hold against it what callbacks found, whose faults a future keeps to itself."""
        self.take_durable(life)
        hold(not self.too_early, "what is acknowledged is durable", f"lines {self.too_early}")

    def recovered(self, life: Life) -> None:
        """The engine started again: whatever was durable must still be there, and nothing else."""
        self.lives += 1
        self.deadlines.life = self.lives
        self.asked.clear()  # by those who asked the engine before
        for partition in life.core.partitions:
            p, log = partition.number, partition.log
            known = self.frames[p]
            hold(
                log.next_position >= len(known),
                "durable frames stay",
                f"partition {p}: {log.next_position} < {len(known)}",
            )
            for record in log._segments.read(log.first_position):
                if record.position < len(known):
                    same = crc32(record.payload) == known[record.position]
                    hold(same, "durable frames stay", f"partition {p} position {record.position}")
            self._take_frames(partition, log.next_position - 1)
            self._check_entries(partition, partition.journal.first_position, log.next_position - 1)
            self.check_state(partition)
        self.check_letters(life, finished=False)

    def _take_frames(self, partition: Partition, durable: int) -> None:
        p = partition.number
        start = len(self.frames[p])
        if start > durable:
            return
        for record, (position, frame) in zip(
            list(partition.log._segments.read(start)), partition.log.read(start), strict=True
        ):
            if position > durable:
                break
            self.frames[p].append(crc32(record.payload))
            self._take(p, position, frame)

    def _take(self, p: int, position: int, frame: Frame) -> None:
        twin = self.twins[p]
        acting = self._acting(p, frame)
        if frame.batch is not None:
            self._count_lines(p, frame, frame.batch)
        self._check_passed(p, frame)
        batch = twin.apply(position, frame)
        if batch is not None:
            self.batches[p].append((position, batch.encode()))
        if frame.batch is not None and twin.decider.compiled is not None:
            self._judge_rows(p, position, frame.batch, acting, twin.decider.compiled, batch)
        self.counted["frames"] += 1

    def _check_entries(self, partition: Partition, start: int, reached: int) -> None:
        """The journal must hold the records of the frames up to `reached`, in order, each once, and no others."""
        p, journal = partition.number, partition.journal
        count = bisect_right(self.batches[p], reached, key=itemgetter(0))
        hold(journal.next_position == count, "no decision is lost or doubled",
             f"partition {p}: {journal.next_position} entries for {count} frames with candidates")  # fmt: skip
        for entry in journal.read(max(start, journal.first_position)):
            position, payload = self.batches[p][entry.position]
            same = entry.reached == position and bytes(entry.payload) == payload
            hold(same, "no decision is lost or doubled", f"partition {p} entry {entry.position} of position {position}")
        self.entries[p] = journal.next_position

    def check_letters(self, life: Life, *, finished: bool) -> None:
        """Every broken line that was passed is a dead letter, once where its place is known."""
        places: Counter[tuple[str, int]] = Counter()
        unplaced: Counter[bytes] = Counter()
        for kept in read_letters(ROOT / "dead", self.machine):
            if kept.letter.key:
                places[kept.letter.key, kept.letter.offset] += 1
            else:
                unplaced[kept.letter.raw] += 1
        twice = [place for place, count in places.items() if count > 1]
        hold(not twice, "a broken line of a file is one dead letter", twice[:3])
        reached = life.core.resume_positions()
        for file in self.traffic.files:
            for line in file.lines:
                if line.offset >= reached.get(file.key, 0):
                    break
                letters = places[line.key, line.offset]
                fate = {"row": (1, 0), "dead": (0, 1)}.get(line.fate)
                ends = (self.rows.get(line.n, 0), letters)
                hold(ends == fate or (fate is None and sum(ends) >= 1), "a line ends once", f"line {line.n}: {ends}")
        for sent in self.traffic.sent:
            for line in sent.lines if sent.acknowledged or finished else ():
                letters = unplaced[line.raw[:2048]]
                count = self.rows.get(line.n, 0) + letters
                hold(count >= 1, "an acknowledged line is kept", f"line {line.n}")
                hold((letters == 0) or line.fate != "row", "a good line is no dead letter", f"line {line.n}")

    def finished(self, life: Life) -> None:
        """At the end of the world nothing may be open."""
        for p in range(self.size.partitions):
            self.check_calls(p)
        self.check_letters(life, finished=True)
        unread = [feed.file.key for feed in life.feeds if not feed.exhausted]
        hold(not unread, "files are read to their end", unread)
        hold(all(one.done() for one in self.asked), "a question is answered, or its engine ended", len(self.asked))
        open_ = [name for name in self.decided if not self.ends[name]]
        hold(not open_, "every decision ends sent, unknown or refunded", open_[:5])

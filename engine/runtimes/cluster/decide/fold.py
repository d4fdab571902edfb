"""The fold of a partition whose frames come from a topic: many write it, and Kafka deletes from its beginning.

several intakes    their clocks differ: a frame is folded at its append time or the latest before it, whichever is
                   later, so time never goes back. The rule reads the log alone, so every owner folds alike
events' own clock  rows of raw topics bring their log times, and are folded in that order, and so do rows `due`; a
                   moment (`moments`) comes out as a batch of its own
repeated rows      are left out (`packed_records`), but their ids count as seen: dedupe is rebuilt from frames as they
                   stand in the log, and must come to the same
visits             that stand are kept beside the state, for a desk that has forgotten them
deleted frames     end the redo, or not, as the operator has said (`missing`)
"""

import time

import numpy as np

from engine.flow.fold import Fold, FoldParts
from engine.flow.frame_log import FrameLog, JournalPosition
from engine.flow.visits import VisitRow, visits_of
from engine.runtimes.cluster.decide.missing import Missing
from engine.runtimes.cluster.shared.moments import moment_of
from engine.runtimes.cluster.shared.packed_records import in_log_order, leave_out_repeated
from rules.gates.desk import VISIT_MS_MAX
from state.decisions import DecisionBatch, moment
from state.flusher import Snapshot
from state.frame import Frame
from state.schema import DUE

STANDING_MAX = 100_000
"""Visits kept of a partition; the oldest go where nobody closes them."""


class ClusterFold(Fold):
    """The fold of a partition whose frames come from a topic."""

    def __init__(self, parts: FoldParts, log: FrameLog, journal: JournalPosition, missing: Missing) -> None:
        super().__init__(parts, log, journal)
        self.missing = missing
        self.oldest_ms: int | None = None
        """When the oldest frame that a start would redo was appended, or earlier; None: nothing to redo. On the events'
        own clock it is when it was folded, by the wall's: Kafka deletes frames by that.
        """
        self._next_ms = 0
        self._sweep_start = -1
        self._standing: dict[int, VisitRow] = {}

    def apply(self, position: int, frame: Frame) -> DecisionBatch | None:
        """Fold a frame but for the rows that an earlier one brought."""
        at_ms = moment_of(frame) if self.events_clock else None
        frame.append_ms = max(frame.append_ms, self.clock_ms)
        if frame.batch is not None and not (self.events_clock and _is_timed(frame)):
            np.maximum(frame.batch.log_ms, self.clock_ms, out=frame.batch.log_ms)
        self._note_age(time.time_ns() // 1_000_000 if self.events_clock else frame.append_ms)
        repeated = leave_out_repeated(frame, self.sources)
        self.counts.repeated += repeated.shape[0]
        if frame.dedupe and repeated.shape[0]:
            self.dedupe.mark(repeated, frame.append_ms, np.empty(repeated.shape[0], np.uint8))
        if self.events_clock:
            in_log_order(frame)
        for visit in visits_of(frame.batch):
            self._stand(visit)
        decisions = super().apply(position, frame)
        return decisions if at_ms is None or self.book_version is None else moment(position, at_ms)

    def snapshot(self) -> Snapshot:
        """Return also the visits that stand."""
        standing = [[one.subscriber, one.terminal, one.visit, one.at_ms] for one in self._standing.values()]
        return super().snapshot() | {"standing": standing}

    def restore(self, snapshot: Snapshot) -> None:
        """Restore the visits, too; an earlier release kept none."""
        super().restore(snapshot)
        rows = snapshot.get("standing", ())
        self._standing = {row[0]: VisitRow(row[0], row[1], row[2], opened=True, at_ms=row[3]) for row in rows}

    def standing(self) -> list[VisitRow]:
        """Return the visits that stand now: opened, not closed, and not as old as the gates let no visit be."""
        self._standing = {
            subscriber: visit
            for subscriber, visit in self._standing.items()
            if visit.at_ms + VISIT_MS_MAX > self.clock_ms
        }
        return list(self._standing.values())

    def _stand(self, visit: VisitRow) -> None:
        kept = self._standing.get(visit.subscriber)
        if visit.opened:
            if len(self._standing) >= STANDING_MAX:
                self._standing.pop(next(iter(self._standing)))
            self._standing[visit.subscriber] = visit
        elif kept is not None and kept.visit == visit.visit and (visit.visit or kept.at_ms <= visit.at_ms):
            del self._standing[visit.subscriber]

    def swept(self) -> None:
        """Record that everything folded is in pages, or on its way."""
        self.oldest_ms = None

    def _note_age(self, append_ms: int) -> None:
        """Follow the sweeps: where one ends, a start redoes what came after its begin."""
        if self.oldest_ms is None or self._sweep_start != self.flusher.last_start:
            self._next_ms, self._sweep_start = append_ms, self.flusher.last_start
        if self.oldest_ms is None or not self.flusher.sweeping:
            self.oldest_ms = self._next_ms

    def first_to_redo(self, redo_from: int) -> int:
        """Return the first position to redo; MissingError when it is deleted."""
        self.missing.between(redo_from, self.log.first_position)
        return super().first_to_redo(redo_from)


def _is_timed(frame: Frame) -> bool:
    """Tell whether rows have log times of their own on the events' own clock: those of raw topics, and deadlines."""
    batch = frame.batch
    return bool(frame.payload) or (batch is not None and bool((batch.type == batch.schema.code(DUE.name)).all()))

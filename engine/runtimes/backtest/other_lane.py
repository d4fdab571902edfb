"""Another book over the recorded events: as if it had been made the active one when it takes over.

Until then the recorded books decide, as live, so it takes over their state: contacts, and the histories of features
that mean the same. From then on

    a row that came of a decision       is taken where this book made that decision too
    a decision that was taken live too  becomes what it became live: its outcome is in the log
    any other decision                  is sent by `modelled`; its outcome is folded at the moment it ends

Between two frames each moment at which something is due comes in its turn, in the order in which dispatch is fed on the
events' own clock (`engine.dispatch.events_feeder`). A moment that lies within the rows of one frame comes before them
all, which live it need not.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from connectors.gateways.text import parts_count
from engine.book.compiled import CompiledBook
from engine.dispatch.events_feeder import Order, orders
from engine.dispatch.model import Decided, Report, Withdrawn
from engine.dispatch.policy import Policy
from engine.dispatch.wording import decided_of, withdrawn_of, withdraws
from engine.flow.feedback import outcome_row
from engine.flow.fold import FoldLimits
from engine.flow.steps import FOREVER_MS
from engine.runtimes.backtest.derived import SharedDecisions, decided_rows, keys_named, keys_of, shared
from engine.runtimes.backtest.lane import Lane, Span, activation_of
from engine.runtimes.backtest.modelled import Ended, ModelledDispatch, scaled
from engine.runtimes.backtest.recorded import Extent, Recorded, Recording
from engine.runtimes.backtest.sample import Sample
from state.batch import Batch, Row, from_rows
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind, decision_id, parse_decision_id
from state.frame import Frame, FrameKind
from state.schema import DECISION_RULE, OUTCOME_CONTACT, OUTCOME_STATE

WITHDRAWN = "WITHDRAWN"
CHAIN_MAX = 1_000
"""Decisions in a row, each on the outcome of the one before, before it is said that they have no end."""


class EndlessError(Exception):
    """A book decides on the outcomes of what it decided there, and has no cap that ends it."""


class OtherLane(Lane):
    """The lane of a book that did not run.

    Args:
        compiled: the book.
        policy: how it is sent; not scaled yet.
        refused: the part of attempts that a gateway refuses for good, 0 to 1.
        recording, extent, limits, sample, span: as of `Lane`.
    """

    def __init__(
        self,
        compiled: CompiledBook,
        policy: Policy,
        refused: float,
        recording: Recording,
        extent: Extent,
        limits: FoldLimits,
        sample: Sample,
        span: Span,
    ) -> None:
        super().__init__(recording, extent, limits, sample, span)
        self.result.agreement = None
        self._compiled = compiled
        self._modelled = ModelledDispatch(scaled(policy, sample), refused)
        self._quotas = any(channel.quota_per_day is not None for channel in policy.channels.values())
        self._takes_over_ms = -1 if span.warm else span.from_ms - 1
        self._active = dict.fromkeys(self.folds, False)
        self._shared = {number: SharedDecisions() for number in self.folds}
        self._pending: list[tuple[Order, Decided]] = []
        self._withdrawn: list[Withdrawn] = []
        self._owed: list[Ended] = []
        self._pending_ms = self._due_ms = FOREVER_MS
        self._parts: dict[tuple[int, int], int] = {}
        self._links: dict[str, int] = {}
        """Of decisions on modelled outcomes: how many stand in a row with each, itself among them."""

    def book_of(self, version: str) -> CompiledBook:
        """Return a book by its version."""
        return self._compiled if version == self._compiled.book.version else super().book_of(version)

    # ---- frames

    def before(self, at_ms: int) -> None:
        """Do every moment before a frame of that time."""
        while (moment_ms := min(self._pending_ms, self._due_ms)) < at_ms:
            self._moment(moment_ms)

    def frame_of(self, one: Recorded) -> Frame:
        """Return the frame to fold; the book takes over before the first one after its time."""
        frame, number = one.frame, one.partition
        fold = self.folds[number]
        activates = frame.kind == FrameKind.ACTIVATION
        if not self._active[number] and frame.append_ms > self._takes_over_ms:
            if activates or fold.book_version is not None:
                self._active[number] = True
                take_over = activation_of(self._compiled.book.version, fold.clock_ms)
                if activates:
                    return replace(take_over, append_ms=frame.append_ms)
                fold.take(one.position, take_over, None)
        elif activates and self._active[number]:
            return replace(frame, kind=FrameKind.TICK, payload=b"")
        if frame.kind == FrameKind.CONTROL and number == self.sample.chosen[0]:
            self._modelled.control(frame.payload, frame.append_ms)
        return frame

    def rows_of(self, partition: int, batch: Batch) -> NDArray[np.bool_] | None:
        """Return which rows to fold: of the sample, and not of decisions that this book did not make."""
        sampled = super().rows_of(partition, batch)
        ours = self._shared[partition].keep(batch) if self._active[partition] else None
        if sampled is None or ours is None:
            return ours if sampled is None else sampled
        return sampled & ours

    def outcomes(self, partition: int, batch: Batch, rows: NDArray[np.intp]) -> None:
        """Count rows that say what became of decisions; what went live takes places of quotas here too."""
        super().outcomes(partition, batch, rows)
        if not self._quotas:
            return
        reached = rows[batch.cells[OUTCOME_STATE, rows] == OutcomeState.COMMITTED]
        spent: Counter[tuple[str, str, int]] = Counter()
        channels = self._shared[partition].channels(keys_named(batch, reached))
        cells = batch.cells[np.ix_([DECISION_RULE, OUTCOME_CONTACT], reached)].T.tolist()
        for (number, contact_ms), channel in zip(cells, channels, strict=True):
            rule, name = self._compiled.book.rule(number), self._compiled.book.channel_name(channel)
            if name is not None:
                campaign = rule.campaign if rule is not None else ""
                parts = self._parts.get((number, channel), 1)
                spent[name, campaign, self._modelled.day(contact_ms)] += parts
        self._modelled.spend(spent)

    def note(self, partition: int, found: DecisionBatch | None, one: Recorded) -> None:
        """Count the records of a frame; what was decided and taken back has consequences from now on."""
        if found is None:
            return
        self.tally.records(partition, found)
        if not self._active[partition]:
            self._shared[partition].add(found.position, found, decided_rows(found))
            return
        self._follow(partition, found, one.decided, one.frame.append_ms)

    def finish(self) -> None:
        """Do what is due up to the last frame; the rest waits."""
        self.before(min(self.result.ended_ms, self.span.to_ms) + 1)
        self.tally.waiting = self._modelled.waiting

    # ---- what follows from records

    def _follow(self, partition: int, found: DecisionBatch, live: DecisionBatch | None, at_ms: int) -> None:
        """Wait for the recorded outcomes of what was decided live as well, and send the rest."""
        book = self._compiled.book
        common = shared(found, live)
        if common.any():
            self._shared[partition].add(found.position, found, common)
            self._measure(partition, found, common)
        if withdraws(found):
            self._withdraw(partition, found, live, at_ms)
        own = replace(found, outcome=np.where(common, np.uint8(Outcome.SUPPRESSED), found.outcome))
        decided = decided_of(partition, own, book, self.recording.strings)
        waiting = len(self._pending)
        self._pending += zip(orders(partition, own), decided, strict=True)
        if len(self._pending) > waiting:
            self._pending_ms = min(self._pending_ms, at_ms)

    def _withdraw(self, partition: int, found: DecisionBatch, live: DecisionBatch | None, at_ms: int) -> None:
        """End what this book takes back; what was taken back live too, at the same row, ended there."""
        ours = _withdrawals(found)
        keys = keys_of(found.of_position[ours], found.of_row[ours], found.rule[ours])
        common = self._shared[partition].has(keys)
        if common.any():
            theirs = _withdrawals(live) if live is not None else ours[:0]
            of_live = found if live is None else live
            ended = keys_of(of_live.of_position[theirs], of_live.of_row[theirs], of_live.rule[theirs])
            alone = common & ~np.isin(keys, ended)
            self._shared[partition].discard(keys[alone])
            self._owed += [(_refund(partition, found, index), at_ms) for index in ours[alone].tolist()]
        kind = found.kind.copy()
        kind[ours[common]] = RecordKind.CONVERSION  # any kind that is none of a withdrawal
        self._withdrawn += withdrawn_of(partition, replace(found, kind=kind), self._compiled.book)
        self._pending_ms = min(self._pending_ms, at_ms)

    def _moment(self, at_ms: int) -> None:
        """Do all that is due at a time, and fold what ended."""
        decided = [one for _, one in sorted(self._pending, key=lambda pair: pair[0])]
        withdrawn, owed = self._withdrawn, self._owed
        self._pending, self._withdrawn, self._owed = [], [], []
        self._pending_ms = FOREVER_MS
        ended: dict[int, list[Ended]] = {}
        for one in (*owed, *self._modelled.moment(decided, withdrawn, at_ms)):
            ended.setdefault(parse_decision_id(one[0].decision_id)[0], []).append(one)
        for partition, some in ended.items():
            waiting, first_row = len(self._pending), self.folds[partition].next_made
            self._fold_made(partition, [outcome_row(*report, at_ms, reached_ms) for report, reached_ms in some], at_ms)
            before = {first_row + n: self._links.pop(one.decision_id, 0) for n, (one, _) in enumerate(some)}
            self._chain(before, [one for _, one in self._pending[waiting:]], at_ms)
        self._due_ms = self._modelled.due_ms()

    def _chain(self, before: dict[int, int], decided: list[Decided], at_ms: int) -> None:
        """Note what was decided on which outcome; EndlessError where too many decisions stand in a row.

        `before`: how many stood in a row with the decision of each outcome, by the number of its row.
        """
        for one in decided:
            links = before[parse_decision_id(one.decision_id)[2]] + 1
            if links > CHAIN_MAX:
                rules = ", ".join(sorted({one.rule for one in decided}))
                raise EndlessError(f"rules decide on their own outcomes without end, at {at_ms} ms: {rules}")
            self._links[one.decision_id] = links

    def _fold_made(self, partition: int, rows: list[Row], at_ms: int) -> None:
        fold = self.folds[partition]
        batch = from_rows(fold.decider.schema, rows)
        found = fold.take_made(batch, at_ms)
        self.tally.outcomes(batch, np.arange(batch.n), batch.texts)
        if found is not None:
            self.tally.records(partition, found)
            self._follow(partition, found, None, at_ms)

    def _measure(self, partition: int, found: DecisionBatch, common: NDArray[np.bool_]) -> None:
        """Find how many messages the texts of a rule are, by its first one: quotas count messages."""
        if not self._quotas:
            return
        for index in np.flatnonzero(common).tolist():
            key = int(found.rule[index]), int(found.channel[index])
            if key not in self._parts:
                only = np.full(found.n, Outcome.SUPPRESSED, np.uint8)
                only[index] = Outcome.DECIDED
                book, texts = self._compiled.book, self.recording.strings
                one = next(decided_of(partition, replace(found, outcome=only), book, texts))
                self._parts[key] = parts_count(one.text)


def _withdrawals(batch: DecisionBatch) -> NDArray[np.intp]:
    return np.flatnonzero(batch.kind == RecordKind.WITHDRAWAL)


def _refund(partition: int, batch: DecisionBatch, index: int) -> Report:
    """Return the end of a decision that was taken live as well, and is taken back here alone."""
    number = int(batch.rule[index])
    name = decision_id(partition, int(batch.of_position[index]), int(batch.of_row[index]), number)
    return Report(name, int(batch.subscriber[index]), OutcomeState.REFUNDED, "", WITHDRAWN)

"""One seed, one world: a scheduler that draws the next step, drives the engine one call at a time, and crashes it.

Every seed draws its own size, its own mixture of steps and its own faults, so that some worlds are all crashes and
others all reloads. Time is a number that the world moves. After the drawn steps the faults end and everything must come
to rest: see `World.finish`.
"""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from zlib import crc32

from engine.dispatch.model import Action, SwitchScope
from state.disk import DiskFullError
from tests.simulation.books import Choices, book_of
from tests.simulation.flow import WorldClock
from tests.simulation.judges import BrokenError, Judges, hold
from tests.simulation.life import Life, Size
from tests.simulation.machine import Machine, PowerCut
from tests.simulation.network import Network
from tests.simulation.steps.feeds import FeedSteps
from tests.simulation.steps.operations import SCOPES, OperationSteps
from tests.simulation.traffic import HOUR_MS, Traffic

START_MS = 1_225_760_400_000  # 2008-11-04 09:00 in Shanghai
DAY_MS = 24 * HOUR_MS
STEPS = 220
TURNS_MAX = 600

_WEIGHTS = {
    "write": 14, "send": 10, "work": 50, "commit": 32, "sweep": 14, "pump": 14, "ask": 2,
    "pass_time": 10, "feed": 14, "turn": 22, "answer": 20, "tell": 14, "receipt": 10, "visit": 5,
    "activate": 3, "switch": 3, "opt_out": 1, "retain": 3, "gateway": 3,
    "arm": 7, "crash": 2, "fill_disk": 2, "refuse": 2, "look_around": 1,
}  # fmt: skip


def draw_size(chance: random.Random) -> Size:
    """Draw how a world is set."""
    return Size(
        partitions=chance.choice((1, 2, 2, 3)),
        workers=chance.choice((1, 2, 3)),
        intake_bytes_max=chance.choice((6_000, 20_000, 1 << 20)),
        memory_subscribers=chance.choice((1 << 20, 1 << 20, 60, 40, 24)),
        contacts_max=chance.choice((12, 12, 3)),
        batch_rows_max=chance.choice((8, 16, 32)),
        lateness_ms=chance.choice((0, 0, 1_000, 60_000)),
        segment_bytes=chance.choice((1 << 10, 4 << 10, 16 << 10)),
        fold_events_s=chance.choice((5.0, 20.0, 60.0, 1e6)),
        log_bytes_max=chance.choice((0, 1 << 10, 8 << 10)),
        windows=chance.choice(((), (), ("daily 08:00-12:00", "mon-fri 14:00-20:00"))),
        quota_per_day=chance.choice((None, None, 12)),
        rate_per_s=chance.choice((float("inf"), float("inf"), 2.0)),
        queue_max=chance.choice((1000, 1000, 6)),
        resend_unknown_service=chance.random() < 0.3,
    )


class World(FeedSteps, OperationSteps):
    """The history of one seed."""

    def __init__(self, seed: int, steps: int = STEPS) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.steps = steps
        self.size = draw_size(chance)
        self.machine = Machine()
        self.machine.when_full = self._when_full
        self.network = Network(chance, chance.choice((0.0, 0.3, 0.6)))
        subscribers = [8613800000000 + number for number in chance.sample(range(1, 9999), 150)]
        self.traffic = Traffic(chance, subscribers, chance.sample(subscribers, chance.choice((6, 15, 30))))
        self.judges = Judges(self.size, self.machine, self.traffic, self.network)
        self.clock = WorldClock(START_MS)
        self.choices = Choices()
        self.wanted_switch: tuple[str, str, Action, Future[None] | None] | None = None
        self.step = 0
        self.trace: list[str] = []
        self.counted: Counter[str] = Counter()
        self.weights = {name: weight * chance.choice((0, 1, 1, 1, 2, 4)) for name, weight in _WEIGHTS.items()}
        for name in ("write", "work", "commit", "feed", "turn", "answer", "tell", "pass_time"):
            self.weights[name] = max(self.weights[name], _WEIGHTS[name])

    # The course of a world.

    def run(self) -> None:
        """Live through the drawn steps, then come to rest."""
        self._start_again()
        self.traffic.load(self.now_ms)
        for name in ("drain", "pump"):
            self.do(name)
        names, weights = list(self.weights), list(self.weights.values())
        for step in range(1, self.steps + 1):
            self.step = step
            self.do(self.chance.choices(names, weights)[0])
        self.finish()

    def do(self, name: str) -> None:
        """Take one step; survive what it may do to the machine."""
        self.clock.go(self.chance.randint(0, 60))
        self.trace.append(f"{self.step} {name}")
        self.counted[name] += 1
        action: Callable[[], None] = getattr(self, f"_{name}")
        try:
            action()
            self.judges.stepped(self.life)
        except PowerCut as cut:
            self.trace.append(f"  power cut before: {cut}")
            self._crash()
        except DiskFullError as full:
            self.trace.append(f"  {full}")
            self.counted["disk full"] += 1
            self._end_process(full)

    def finish(self) -> None:
        """End all faults; everything that is open must end, and state must equal the clean fold for everybody."""
        self.machine.cut_after(None)
        self.machine.make_room()
        self.network.fault_share = min(self.network.fault_share, 0.3)
        for scope, name in SCOPES:
            self.life.dispatch.switch(SwitchScope(scope), name, Action.RESUME, self.now_ms)
            self.judges.stopped.pop((scope, name), None)
        self._reissue()
        for sent in self.traffic.sent:
            if not sent.acknowledged:
                if not self.life.pipeline.room(len(sent.data)):
                    self.do("drain")
                self._offer_sent(sent)
        self.traffic.roll_call(self.now_ms)
        self._come_to_rest()
        for name in ("crash", "look_around"):
            self.do(name)
        self._come_to_rest()
        self.judges.finished(self.life)
        versions = {partition.book_version for partition in self.life.core.partitions}
        hold(versions == {book_of(self.choices).book.version}, "every partition has the wanted book", versions)

    def _come_to_rest(self) -> None:
        for turn in range(TURNS_MAX):
            self.step += 1
            for name in ("gates_up", "drain", "pump", "feed", "turn", "answer_all", "tell", "drain"):
                self.do(name)
            if self._at_rest():
                overdue = self.judges.deadlines.overdue(self.now_ms)
                hold(not overdue, "no deadline is overdue at rest", overdue[:3])
                return
            self.clock.go(61_000 if turn < 30 else 3 * HOUR_MS)
        raise BrokenError("everything comes to rest", f"{self._open()}")

    def _at_rest(self) -> bool:
        life = self.life
        # Where the machine's clock was set back, what armed in the meantime comes when it has come as far again.
        behind = any(self.now_ms < one.clock_ms >= one.deadlines.next_ms for one in life.core.partitions)
        return life.read and not (
            behind or life.busy or not life.feeder.idle or life.dispatch.sends or life.dispatch.unreported
            or life.flights or life.told or self.wanted_switch or life.pipeline.stages.due
        )  # fmt: skip

    def _open(self) -> str:
        life = self.life
        return (
            f"busy={life.busy} fed={life.feeder.idle} sends={list(life.dispatch.sends)[:5]} "
            f"flights={len(life.flights)} unreported={list(life.dispatch.unreported)[:3]} told={life.told} "
            f"reading={[feed.position for feed in life.feeds]} "
            f"switch={self.wanted_switch}"
        )

    def digest(self) -> int:
        """Return a number that differs where the history differs."""
        told = "\n".join(self.trace) + repr([self.machine.steps, self.now_ms, self.judges.frames])
        return crc32(told.encode())

    # Starting and dying.

    def _start_again(self) -> None:
        book = book_of(self.choices)
        self.judges.books[book.book.version] = book
        while True:
            if self.chance.random() < 0.15 and self.step:
                self.machine.cut_after(self.chance.randint(0, 60))
            try:
                self.life = Life(self.size, self.machine, self.network, book, self.clock, self.traffic.files)
                break
            except PowerCut as cut:
                self.trace.append(f"  power cut in recovery before: {cut}")
                self.counted["crash in recovery"] += 1
                self.machine.lose_power(self.chance)
        self.machine.cut_after(None)
        self.life.core.listeners.append(lambda partition, frames: self.judges.committed(self.life, partition, frames))
        self.life.dispatcher.launcher.hand_over = self._hand_over
        self.life.outbox.refused, self.life.outbox.writing = self._make_room_for_outbox, self._meanwhile
        self.judges.recovered(self.life)
        self.counted["refolded"] += self.life.core.recovery.refolded
        self.counted["a switch was said again after a crash"] += self.step > 0 and self.wanted_switch is not None
        self._reissue()

    def _crash(self) -> None:
        """Lose power or only the process; then start again."""
        self.counted["crash"] += 1
        self.counted["a crash ended several tasks of workers"] += self.life.flow.in_flight > 1
        self._lose_flights()
        if self.chance.random() < 0.75:
            self.machine.lose_power(self.chance)
        else:
            self.machine.kill(self.chance)
        self.machine.make_room()
        self.clock.go(self.chance.choice((0, 1_000, 60_000)))
        self.clock.go(-self.chance.choice((0, 0, 4_000)))
        self._start_again()

    def _end_process(self, fault: DiskFullError) -> None:
        """The engine ends by itself, because of a full disk; operations make room."""
        self.life.pipeline.fail(fault)
        self._lose_flights()
        self.machine.kill(self.chance)
        self.machine.make_room()
        self._start_again()

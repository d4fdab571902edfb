"""One seed, one world: a scheduler that draws the next step, drives the engine one call at a time, and crashes it.

Every seed draws its own size, its own mixture of steps and its own faults, so that some worlds are all crashes and
others all reloads. Time is a number that the world moves. After the drawn steps the faults end and everything must come
to rest: see `World.finish`.
"""

import random
from collections import Counter
from collections.abc import Callable
from zlib import crc32

import orjson

from connectors.contract import Receipt, State
from engine.dispatch.model import Action, Send, SwitchScope
from engine.dispatch.opted_out import OptOut
from engine.flow.partition import Item
from engine.flow.patience import Patience
from engine.flow.tickets import Ticket
from state.batch import Row, Value
from state.disk import DiskFullError
from state.frame import FrameKind
from state.hashing import partition_of
from tests.simulation.books import Choices, book_of, changed
from tests.simulation.judges import BrokenError, Judges, hold
from tests.simulation.life import Life, Size
from tests.simulation.machine import Machine, PowerCut
from tests.simulation.network import Network
from tests.simulation.traffic import HOUR_MS, Traffic

START_MS = 1_225_760_400_000  # 2008-11-04 09:00 in Shanghai
DAY_MS = 24 * HOUR_MS
STEPS = 220
TURNS_MAX = 600
SCOPES = (("rule", "long"), ("rule", "bulk"), ("campaign", "care"), ("channel", "sms"), ("channel", "desk"))

_WEIGHTS = {
    "write": 14, "read": 16, "send": 10, "fold": 34, "commit": 30, "sweep": 14, "pump": 14, "tick": 2,
    "pass_time": 10, "feed": 14, "turn": 22, "answer": 20, "tell": 14, "receipt": 10, "visit": 5,
    "activate": 3, "switch": 3, "opt_out": 1, "retain": 3, "gateway": 3,
    "arm": 7, "crash": 2, "fill_disk": 2, "refuse": 2, "look_around": 1,
}  # fmt: skip


def draw_size(chance: random.Random) -> Size:
    """Draw how a world is set."""
    return Size(
        partitions=chance.choice((1, 2, 2, 3)),
        memory_subscribers=chance.choice((1 << 20, 1 << 20, 60, 40, 24)),
        contacts_max=chance.choice((12, 12, 3)),
        batch_rows_max=chance.choice((8, 16, 32)),
        segment_bytes=chance.choice((1 << 10, 4 << 10, 16 << 10)),
        fold_events_s=chance.choice((5.0, 20.0, 60.0, 1e6)),
        log_bytes_max=chance.choice((0, 1 << 10, 8 << 10)),
        windows=chance.choice(((), (), ("daily 08:00-12:00", "mon-fri 14:00-20:00"))),
        quota_per_day=chance.choice((None, None, 12)),
        rate_per_s=chance.choice((float("inf"), float("inf"), 2.0)),
        queue_max=chance.choice((1000, 1000, 6)),
        resend_unknown_service=chance.random() < 0.3,
    )


class World:
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
        self.now_ms = START_MS
        self.choices = Choices()
        self.wanted_switch: tuple[str, str, Action, Ticket | None] | None = None
        self.step = 0
        self.trace: list[str] = []
        self.counted: Counter[str] = Counter()
        self.weights = {name: weight * chance.choice((0, 1, 1, 1, 2, 4)) for name, weight in _WEIGHTS.items()}
        for name in ("write", "read", "fold", "commit", "feed", "turn", "answer", "tell", "pass_time"):
            self.weights[name] = max(self.weights[name], _WEIGHTS[name])
        self.life: Life

    # The course of a world.

    def run(self) -> None:
        """Live through the drawn steps, then come to rest."""
        self._start_again()
        self.traffic.load(self.now_ms)
        for name in ("read_all", "drain", "pump"):
            self.do(name)
        names, weights = list(self.weights), list(self.weights.values())
        for step in range(1, self.steps + 1):
            self.step = step
            self.do(self.chance.choices(names, weights)[0])
        self.finish()

    def do(self, name: str) -> None:
        """Take one step; survive what it may do to the machine."""
        self.now_ms += self.chance.randint(0, 60)
        self.trace.append(f"{self.step} {name}")
        self.counted[name] += 1
        action: Callable[[], None] = getattr(self, f"_{name}")
        try:
            action()
        except PowerCut as cut:
            self.trace.append(f"  power cut before: {cut}")
            self._crash()
        except DiskFullError as full:
            self.trace.append(f"  {full}")
            self.counted["disk full"] += 1
            self._end_process()

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
            for name in ("gates_up", "read_all", "drain", "pump", "feed", "turn", "answer_all", "tell", "drain"):
                self.do(name)
            if self._at_rest():
                return
            self.now_ms += 61_000 if turn < 30 else 3 * HOUR_MS
        raise BrokenError("everything comes to rest", f"{self._open()}")

    def _at_rest(self) -> bool:
        life = self.life
        unread = any(life.reading.get(file.key, 0) < len(file.data) for file in self.traffic.files)
        return not (
            unread or life.busy or not life.feeder.idle or life.dispatch.sends or life.dispatch.unreported
            or life.flights or life.told or self.wanted_switch
        )  # fmt: skip

    def _open(self) -> str:
        life = self.life
        return (
            f"busy={life.busy} fed={life.feeder.idle} sends={list(life.dispatch.sends)[:5]} "
            f"flights={len(life.flights)} unreported={list(life.dispatch.unreported)[:3]} told={life.told} "
            f"reading={life.reading} "
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
                self.life = Life(self.size, self.machine, self.network, book, self.now_ms)
                break
            except PowerCut as cut:
                self.trace.append(f"  power cut in recovery before: {cut}")
                self.counted["crash in recovery"] += 1
                self.machine.lose_power(self.chance)
        self.machine.cut_after(None)
        self.life.dispatcher.launcher.launch = self._hand_over
        self.life.outbox.refused, self.life.outbox.writing = self._make_room_for_outbox, self._meanwhile
        self.judges.recovered(self.life)
        self.counted["refolded"] += self.life.core.recovery.refolded
        self.counted["a switch was said again after a crash"] += self.step > 0 and self.wanted_switch is not None
        self._reissue()

    def _crash(self) -> None:
        """Lose power or only the process; then start again."""
        self.counted["crash"] += 1
        self._lose_flights()
        if self.chance.random() < 0.75:
            self.machine.lose_power(self.chance)
        else:
            self.machine.kill(self.chance)
        self.machine.make_room()
        self.now_ms += self.chance.choice((0, 1_000, 60_000)) - self.chance.choice((0, 0, 4_000))
        self._start_again()

    def _end_process(self) -> None:
        """The engine ends by itself, because of a full disk; operations make room."""
        self._lose_flights()
        self.machine.kill(self.chance)
        self.machine.make_room()
        self._start_again()

    def _lose_flights(self) -> None:
        """Nobody hears what the gateways say of what is on its way; only the desk may be asked again."""
        flying = [one.send for one in self.life.flights if not self.life.gateways[one.send.gateway].repeatable]
        self.network.doubtful.update(send.what.decision_id for send in flying)
        self.judges.close([send.what.decision_id for send in flying])

    def _when_full(self, patience: Patience) -> None:
        """Operations make room while the engine waits, or end it."""
        if self.chance.random() < 0.5:
            self.trace.append("  a write waits until there is room")
            self.counted["waited for room"] += 1
            self.machine.make_room()
        else:
            patience.end()

    # Steps: feeds.

    def _write(self) -> None:
        self.traffic.write(self.now_ms)

    def _read(self) -> None:
        file = self.chance.choice(self.traffic.files)
        if self.chance.random() < 0.5:
            file = min(self.traffic.files, key=lambda one: self.life.reading.get(one.key, 0) >= len(one.data))
        start = self.life.reading.get(file.key, 0)
        data, line = file.lines_from(start, self.chance.choice((300, 1_500, 6_000)))
        if data:
            self.life.reading[file.key] = start + len(data)
            self.life.offer("files", file.key, data, start, line, self.now_ms)

    def _read_all(self) -> None:
        while any(self.life.reading.get(file.key, 0) < len(file.data) for file in self.traffic.files):
            self._read()

    def _send(self) -> None:
        self._offer_sent(self.traffic.send(self.now_ms))

    def _offer_sent(self, sent: object) -> None:
        ticket = self.life.offer("tcp", "", sent.data, 0, 1, self.now_ms)  # type: ignore[attr-defined]  # a Sent
        ticket.future.add_done_callback(lambda _: setattr(sent, "acknowledged", True))

    def _visit(self) -> None:
        values: dict[str, Value] = {
            "terminal": "hall1-1",
            "visit": f"v{self.step}",
            "open": self.chance.random() < 0.8,
            "cause": "",
        }
        self.life.append([Row("visit", self.chance.choice(self.traffic.lively), self.now_ms, values)])

    def _tick(self) -> None:
        for waiting in self.life.waiting:
            ticket = Ticket()
            ticket.expect(1)
            waiting.append(Item(ticket, kind=FrameKind.TICK))

    # Steps: fold, commit, pages.

    def _busiest(self) -> int:
        waiting = self.life.waiting
        return self.chance.choice([p for p, items in enumerate(waiting) if items] or [0])

    def _fold(self) -> None:
        p = self._busiest()
        waiting = self.life.waiting[p]
        items = [waiting.popleft() for _ in range(min(len(waiting), self.chance.randint(1, 6)))]
        if not items:
            return
        for appended in self.life.core.partitions[p].process(items, self.now_ms):
            self.life.uncommitted[p].append(appended)
            if self.chance.random() < 0.2:
                self._commit_one(p)

    def _commit(self) -> None:
        pending = [p for p, frames in enumerate(self.life.uncommitted) if frames]
        if pending:
            self._commit_one(self.chance.choice(pending))

    def _commit_one(self, p: int) -> None:
        self.life.commit(p)
        self.judges.committed(self.life, p)

    def _drain(self) -> None:
        """Fold and commit all that waits."""
        while self.life.busy:
            self._fold()
            for p, frames in enumerate(self.life.uncommitted):
                if frames:
                    self._commit_one(p)

    def _sweep(self) -> None:
        partition = self.chance.choice(self.life.core.partitions)
        position = partition.log.next_position - 1
        if position >= 0:
            partition.flusher.step(position, self.chance.choice((1, 1, 2, 8)))

    def _pump(self) -> None:
        for partition in self.life.core.partitions:
            partition.flusher.pump(self.chance.choice((1, 2, 100)))

    def _retain(self) -> None:
        self.life.core.let_go()

    def _look_around(self) -> None:
        """Hear of everybody, so that all who sleep wake up."""
        self.traffic.roll_call(self.now_ms)

    # Steps: time and faults.

    def _pass_time(self) -> None:
        self.now_ms += self.chance.choice(
            (200, 1_000, 1_000, 20_000, 20_000, 300_000, 300_000, HOUR_MS, 7 * HOUR_MS, -3_000)
        )

    def _arm(self) -> None:
        self.machine.cut_after(self.chance.choice((0, 1, 2, 3, 5, 8, 13, 30, 60)))

    def _fill_disk(self) -> None:
        if self.chance.random() < 0.3:
            self.machine.store.full = True
        else:
            self.machine.capacity_bytes = self.machine.used_bytes() + self.chance.choice((0, 100, 5_000, 20_000))

    def _refuse(self) -> None:
        self.machine.store.refusals = self.chance.randint(1, 5)

    # Steps: operations.

    def _activate(self) -> None:
        self.choices = changed(self.choices, self.chance)
        book = book_of(self.choices)
        self.judges.books[book.book.version] = book
        self.counted["a book was activated while lines waited"] += self.life.busy
        self.life.activate(book)

    def _switch(self) -> None:
        if self.wanted_switch is None:
            scope, name = self.chance.choice(SCOPES)
            action = self.chance.choice((Action.PAUSE, Action.RESUME, Action.RESUME, Action.RESUME, Action.KILL))
            self.wanted_switch = (scope, name, action, None)
            self._reissue()

    def _reissue(self) -> None:
        """Say again what operations want until the engine has acknowledged it."""
        if self.wanted_switch is None:
            return
        scope, name, action, _ = self.wanted_switch
        self.judges.stopped.pop((scope, name), None)
        self.life.dispatch.switch(SwitchScope(scope), name, action, self.now_ms)
        self._flush()
        if action is not Action.RESUME:
            self.judges.stopped[scope, name] = action.value
        payload = orjson.dumps({"action": action.value, "kind": scope, "name": name})
        ticket = self.life.broadcast(FrameKind.CONTROL, payload)
        self.wanted_switch = (scope, name, action, ticket)
        ticket.future.add_done_callback(lambda _: setattr(self, "wanted_switch", None))

    def _opt_out(self) -> None:
        subscriber = self.chance.choice(self.traffic.lively)
        partition = partition_of(subscriber, len(self.life.core.partitions))
        before = self.life.core.partitions[partition].log.next_position - 1
        self.life.dispatch.opt_out(OptOut(subscriber, "", partition, before), self.now_ms)
        self.life.append([Row("list", subscriber, self.now_ms, {"list": "quiet", "member": True})])

    def _gateway(self) -> None:
        door = self.life.gateways[self.chance.choice(("main", "backup"))]
        door.up = not door.up
        door.room_max = self.chance.choice((1, 4, 8))

    def _gates_up(self) -> None:
        for door in self.life.gateways.values():
            door.up, door.room_max = True, 8

    # Steps: sending.

    def _feed(self) -> None:
        self.life.feed(self.now_ms)

    def _turn(self) -> None:
        """One turn of the dispatcher's loop, other things happening while its disk writes."""
        receipts, self.life.receipts = self.life.receipts, []
        self.life.turn(self.now_ms)
        self._acknowledge(receipts)

    def _hand_over(self, send: Send) -> None:
        """The dispatcher launches an attempt."""
        life, door = self.life, self.life.gateways[send.gateway]
        door.let_go(send.parts)
        self.judges.not_stopped(send.what)
        self.judges.handed_over(send.what, door.name, self.now_ms, life.dispatch.local.day(life.dispatch.advance(0)))
        flight = self.network.submit(door, send, self.now_ms)
        life.flights.append(flight)
        if flight.outcome.state in (State.ACCEPTED, State.UNKNOWN) and not door.repeatable:
            self.judges.close([send.what.decision_id])

    def _flush(self) -> None:
        """Make the outbox durable, acknowledge the receipts in it."""
        receipts, self.life.receipts = self.life.receipts, []
        self.life.outbox.flush(self.now_ms)
        self._meanwhile()
        self.life.outbox.sync()
        self._acknowledge(receipts)

    def _make_room_for_outbox(self) -> None:
        self.counted["outbox full"] += 1
        self.machine.make_room()

    def _acknowledge(self, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            if receipt in self.network.receipts:
                self.network.receipts.remove(receipt)

    def _meanwhile(self) -> None:
        if self.chance.random() < 0.15:
            self.chance.choice((self._answer, self._receipt, self._feed, self._tell))()

    def _answer(self) -> None:
        if self.life.flights:
            self._settle(self.chance.randrange(len(self.life.flights)))

    def _answer_all(self) -> None:
        while self.life.flights:
            self._settle(0)
        self._flush()

    def _settle(self, index: int) -> None:
        flight = self.life.flights.pop(index)
        self.life.gateways[flight.send.gateway].busy -= 1
        self.life.dispatch.settle(flight.send, flight.outcome, self.now_ms)

    def _receipt(self) -> None:
        if self.network.receipts:
            receipt = self.chance.choice(self.network.receipts)
            self.life.dispatch.note_receipt(receipt, self.now_ms)
            self.life.receipts.append(receipt)

    def _tell(self) -> None:
        self.life.tell(self.now_ms)

"""Books, switches, opt-outs and gateways that go away."""

from concurrent.futures import Future

import orjson

from engine.dispatch.model import Action, SwitchScope
from engine.dispatch.opted_out import OptOut
from state.batch import Row
from state.frame import FrameKind
from state.hashing import partition_of
from tests.simulation.books import book_of, changed
from tests.simulation.steps.sending import SendingSteps

SCOPES = (("rule", "long"), ("rule", "bulk"), ("campaign", "care"), ("channel", "sms"), ("channel", "desk"))


class OperationSteps(SendingSteps):
    """What operations do while the engine runs."""

    def _activate(self) -> None:
        self.choices = changed(self.choices, self.chance)
        book = book_of(self.choices)
        self.judges.books[book.book.version] = book
        self.counted["a book was activated while lines waited"] += self.life.busy
        payload = self.life.put_book(book)
        for _ in range(self.chance.choice((0, 0, 3))):
            self.life.flow.work()  # decoders have the new schema, and the log has not
        self.life.pipeline.broadcast(FrameKind.ACTIVATION, payload)

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
        promise = self.life.pipeline.broadcast(FrameKind.CONTROL, payload)
        self.wanted_switch = (scope, name, action, promise)
        promise.add_done_callback(self._switched)

    def _switched(self, done: "Future[None]") -> None:
        if done.exception() is None:
            self.wanted_switch = None

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

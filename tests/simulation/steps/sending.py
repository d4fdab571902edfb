"""Dispatch, gateways and receipts."""

from connectors.contract import Receipt, State
from engine.dispatch.model import Send
from tests.simulation.steps.faults import FaultSteps
from tests.simulation.steps.flow import FlowSteps


class SendingSteps(FlowSteps, FaultSteps):
    """Decisions go out, answers and receipts come in."""

    def _feed(self) -> None:
        self.life.feed()

    def _turn(self) -> None:
        """One turn of the dispatcher's loop, other things happening while its disk writes."""
        receipts, self.life.receipts = self.life.receipts, []
        self.life.dispatcher.turn()
        self._acknowledge(receipts)

    def _hand_over(self, send: Send) -> None:
        """The dispatcher launches an attempt."""
        life, door = self.life, self.life.gateways[send.gateway]
        door.let_go(send.parts)
        self.judges.not_stopped(send.what)
        self.judges.take_durable(life)
        self.judges.durable(life, send.what)
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
            self.chance.choice((self._answer, self._receipt, self._feed, self._tell, self._work, self._commit))()

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
        self.life.tell()

    def _lose_flights(self) -> None:
        """Nobody hears what the gateways say of what is on its way; only the desk may be asked again."""
        flying = [one.send for one in self.life.flights if not self.life.gateways[one.send.gateway].repeatable]
        self.network.doubtful.update(send.what.decision_id for send in flying)
        self.judges.close([send.what.decision_id for send in flying])

"""Lines that come in."""

from concurrent.futures import Future

from state.batch import Row, Value
from tests.simulation.flow import chunk_of_lines
from tests.simulation.steps.parts import Parts
from tests.simulation.traffic import Sent


class FeedSteps(Parts):
    """Files grow, clients send, subscribers come to a counter."""

    def _write(self) -> None:
        self.traffic.write(self.now_ms)

    def _send(self) -> None:
        sent = self.traffic.send(self.now_ms)
        if self.life.pipeline.room(len(sent.data)):
            self._offer_sent(sent)
        else:
            self.counted["a source waited for room"] += 1

    def _offer_sent(self, sent: Sent) -> None:
        promise = self.life.pipeline.offer(chunk_of_lines("tcp", "", sent.data, 0, 1, self.now_ms))
        promise.add_done_callback(lambda done: self._heard(sent, done))

    def _heard(self, sent: Sent, done: "Future[None]") -> None:
        """The client hears what became of its lines."""
        if done.exception() is None:
            sent.acknowledged = True
            self.judges.acknowledged(self.life, sent)

    def _visit(self) -> None:
        values: dict[str, Value] = {
            "terminal": "hall1-1",
            "visit": f"v{self.step}",
            "open": self.chance.random() < 0.8,
            "cause": "",
        }
        self.life.append([Row("visit", self.chance.choice(self.traffic.lively), self.now_ms, values)])

    def _look_around(self) -> None:
        """Hear of everybody, so that all who sleep wake up."""
        self.traffic.roll_call(self.now_ms)

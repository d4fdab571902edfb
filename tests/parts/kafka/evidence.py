"""What the log says of decisions, visits and answers, read from the topic as anybody would read it."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from state.decisions import OutcomeState, decision_id
from state.frame import FrameKind, decode
from state.hashing import partition_of
from state.schema import ANSWER, ANSWER_WORD, DECISION_PARTITION, OUTCOME, OUTCOME_STATE, VISIT, Schema
from tests.parts.kafka.rig import from_the_beginning, up_to_the_end


@dataclass(slots=True)
class Told:
    """Outcomes by decision, how often each; answers by decision, as hashes; opened visits, as hashes.

    `astray` counts rows that stand in another partition than their subscriber's or their decision's.
    """

    outcomes: defaultdict[str, Counter[OutcomeState]] = field(default_factory=lambda: defaultdict(Counter))
    answers: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    visits: Counter[int] = field(default_factory=Counter)
    astray: int = 0


class Log:
    """Reads the log from the beginning, whoever wrote it."""

    def __init__(self, bootstrap: str, partitions: int, schema: Schema) -> None:
        self._places = [TopicPartition("opportune.log", number) for number in range(partitions)]
        self._bootstrap = bootstrap
        self._schema = schema
        self.told = Told()

    async def start(self) -> "Log":
        self._consumer = await from_the_beginning(self._bootstrap, self._places)
        return self

    async def stop(self) -> None:
        await self._consumer.stop()

    async def read(self) -> None:
        """Take what is there now."""
        for record in await up_to_the_end(self._consumer, self._places):
            self._take(record.partition, record.value)

    def _take(self, partition: int, value: bytes) -> None:
        frame = decode(value, lambda _: self._schema)
        if frame.kind != FrameKind.EVENTS or frame.batch is None:
            return
        batch, told = frame.batch, self.told
        for row in ((batch.type == OUTCOME) | (batch.type == ANSWER) | (batch.type == VISIT)).nonzero()[0].tolist():
            cells, code = batch.cells[:, row].tolist(), int(batch.type[row])
            home = partition_of(int(batch.subscriber[row]), len(self._places))
            told.astray += partition != (home if code == VISIT else cells[DECISION_PARTITION]) or partition != home
            if code == VISIT:
                _, visit, opened, *_ = cells
                told.visits[visit] += opened
            elif code == OUTCOME:
                told.outcomes[decision_id(*cells[:4])][OutcomeState(cells[OUTCOME_STATE])] += 1
            else:
                told.answers[decision_id(*cells[:4])][cells[ANSWER_WORD]] += 1

"""One life of the engine in a race: that of `tests.simulation`, with replies, and by the policy of a race.

A reply goes the engine's own way (`engine.dispatch.replies`), a step at a time: what it waits for is asked for at each
step, as no loop runs.
"""

import random
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

from connectors.contract import MobileOriginated
from engine.dispatch.core import DispatchCore
from engine.dispatch.optout import OptOutWords
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.replies import Replies
from engine.flow.queues import IDLE_WAIT_S
from engine.settings.send_windows import SendWindow
from state.batch import Row
from state.hashing import partition_of
from tests.simulation.life import Life, Size
from tests.simulation.races.books import OFFER


class Until:
    """Something that is waited for, a step at a time."""

    def __init__(self, is_so: Callable[[], bool]) -> None:
        self._is_so = is_so

    def __await__(self) -> Generator[None]:
        """Wait as many steps as it takes."""
        while not self._is_so():
            yield


async def answered(core: DispatchCore, subscriber: int) -> None:
    """Stand in for `engine.dispatch.replies.answered`."""
    await Until(lambda: not core.reaches(subscriber))


@dataclass(frozen=True)
class RaceSize(Size):
    """How a race is set."""

    def policy(self) -> Policy:
        """Return how dispatch is to send: one channel, one gateway."""
        windows = tuple(SendWindow.parse(text) for text in self.windows)
        sms = ChannelPolicy(("main",), "10086", windows, self.quota_per_day, self.rate_per_s, 3, 2_000, 60_000)
        return Policy({"sms": sms}, queue_max=self.queue_max, in_flight_max=20, optout=OptOutWords(services=[OFFER]))


def draw_size(chance: random.Random) -> RaceSize:
    """Draw how a race is set."""
    return RaceSize(
        partitions=chance.choice((1, 2)),
        workers=chance.choice((1, 2)),
        capacity=64,
        memory_subscribers=chance.choice((1 << 20, 1 << 20, 24)),
        contacts_max=24,
        batch_rows_max=8,
        segment_bytes=8 << 10,
        fold_events_s=chance.choice((5.0, 60.0, 1e6)),
        windows=chance.choice(((), (), (), ("daily 08:00-12:00",), ("daily 10:00-10:30", "daily 15:00-20:00"))),
        quota_per_day=chance.choice((None, None, 6)),
        rate_per_s=chance.choice((float("inf"), float("inf"), 0.2)),
        queue_max=chance.choice((1000, 4, 2)),
    )


class RaceLife(Life):
    """The engine from a start to its end."""

    def work(self, chance: random.Random) -> None:
        """Let workers take some steps."""
        for _ in range(chance.choice((1, 2, 4, 8))):
            self.flow.work()

    def drain(self) -> None:
        """Fold and commit all that waits."""
        while self.busy:
            worked, committed = self.flow.work(), self.flow.commit()
            if not worked and not committed:
                self.clock.passed_s += IDLE_WAIT_S

    def write_pages(self, chance: random.Random) -> None:
        """Write some pages of each partition."""
        for partition in self.core.partitions:
            position = partition.log.next_position - 1
            if position >= 0:
                partition.flusher.step(position, chance.choice((1, 2, 8)))
            partition.flusher.pump(chance.choice((1, 100)))

    def look_ahead(self) -> None:
        """Read what the journals take back."""
        while self.feeder.look_ahead():
            continue

    def make_durable(self) -> None:
        """Write what dispatch recorded."""
        self.outbox.flush(self.clock.now_ms)
        self.outbox.sync()

    async def _member(self, subscriber: int, name: str, *, member: bool) -> tuple[int, int]:
        durable = self.append([Row("list", subscriber, self.clock.now_ms, {"list": name, "member": member})])
        await Until(durable.done)
        number = partition_of(subscriber, len(self.core.partitions))
        return number, self.core.partitions[number].log.next_position - 1

    async def _durable(self) -> None:
        position = self.outbox.position
        await Until(lambda: self.outbox.durable >= position or not self.outbox.dirty)

    def reply(self, subscriber: int, text: str) -> Coroutine[Any, Any, None]:
        """Return the way of a reply; it may be acknowledged at its end."""
        replies = Replies(self.dispatch, _Sink(self), lambda: self.clock.now_ms, self._durable)
        return replies.take(MobileOriginated("main", subscriber, "10086", text, self.clock.now_ms))


class _Sink:
    """The log, as replies are written to it."""

    def __init__(self, life: RaceLife) -> None:
        self._life = life

    async def member(self, subscriber: int, name: str, *, member: bool) -> tuple[int, int]:
        """Put a subscriber on a list, or take one off it."""
        return await self._life._member(subscriber, name, member=member)

    async def reply(self, reply: MobileOriginated, decision_id: str) -> bool:
        """Nothing but wishes is sent in a race."""
        raise AssertionError(reply.text, decision_id)

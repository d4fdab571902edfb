"""The watchdog of a worker: records wait, and nothing is taken, for too long.

Consumers of Kafka are known to fall silent after days (notably after rebalances), without an error that one could
catch. The remedy is a process that ends, so that its partitions move and its supervisor starts it again.

Brokers that do not answer are no reason to end: what they said last holds until they say more.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping

from connectors.kafka import BrokerError
from connectors.kafka.tail import Tail
from engine.runtimes.ticker import Ticker
from engine.settings.config import Config

POLL_S = 1.0

log = logging.getLogger("opportune.cluster")


class SilentError(Exception):
    """Records wait and nothing is taken; the text names partition, records and seconds."""


class Watchdog:
    """Looks at the ends of a topic every second.

    Args:
        config: checked settings; `silent_s` is what is allowed.
        topic: whose ends.
        positions: returns, for each partition that is ours, the offset taken last.
        held: returns the partitions that may stand still for now.
    """

    def __init__(
        self,
        config: Config,
        topic: str,
        positions: Callable[[], Mapping[int, int]],
        held: Callable[[], Collection[int]] = tuple,
    ) -> None:
        self._silent_s = config.cluster.silent_s
        self._config = config
        self._topic = topic
        self._positions = positions
        self._held = held
        self._moved: dict[int, tuple[int, float]] = {}
        self._ends: dict[int, int] = {}
        self._away = False
        self.lags: dict[int, int] = {}

    async def start(self) -> None:
        """Connect."""
        self._tail = await Tail(self._config.cluster, self._topic, 0).start()

    async def stop(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    async def run(self) -> None:
        """Look until cancelled; SilentError when a partition that we own does not move."""
        await Ticker(POLL_S, self._look).run()

    async def _look(self) -> None:
        await self._ask()
        self.judge(self._ends, self._positions(), time.monotonic(), self._held())

    async def _ask(self) -> None:
        """Learn where the partitions that are ours end now, if a broker answers."""
        try:
            self._ends |= await self._tail.ends(self._positions())
        except BrokerError as fault:
            if not self._away:
                log.warning("how much of %s waits is not known until a broker answers: %s", self._topic, fault)
            self._away = True
        else:
            self._away = False

    def judge(
        self, ends: Mapping[int, int], taken: Mapping[int, int], now_s: float, held: Collection[int] = ()
    ) -> None:
        """Compare topic and reader; SilentError when one stood still before the end for too long and was not held.

        A partition whose end is not known yet counts as read to its end.
        """
        self.lags = {number: max(0, ends.get(number, 0) - 1 - position) for number, position in taken.items()}
        for number in set(self._moved) - set(taken):
            del self._moved[number]
        for number, position in taken.items():
            last, since_s = self._moved.get(number, (-2, now_s))
            if last != position or self.lags[number] == 0 or number in held:
                self._moved[number] = (position, now_s)
            elif now_s - since_s > self._silent_s:
                raise SilentError(
                    f"partition {number} stands at {position} for {now_s - since_s:.0f} s, "
                    f"{self.lags[number]} records wait; silent_s={self._silent_s}"
                )

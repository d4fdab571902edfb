"""The watchdog of a worker: frames wait, and nothing is folded, for too long.

Consumers of Kafka are known to fall silent after days (notably behind rebalances), without an error that one could
catch. The remedy is a process that ends, so that its partitions move and its supervisor starts it again.
"""

import asyncio
import time

from connectors.kafka.tail import Tail
from engine.config import Config
from engine.runtimes.cluster.decide import Decide
from engine.runtimes.cluster.topics import Names

LOOK_S = 1.0


class SilentError(Exception):
    """Frames wait and nothing is folded; the text names partition, frames and seconds."""


class Watchdog:
    """Looks at the ends of the log every second.

    Args:
        config: checked settings; `silent_s` is what is allowed.
        decide: whose partitions.
    """

    def __init__(self, config: Config, decide: Decide) -> None:
        self._silent_s = config.cluster.silent_s
        self._decide = decide
        self._config = config
        self._moved: dict[int, tuple[int, float]] = {}
        self.lags: dict[int, int] = {}

    async def start(self) -> None:
        """Connect."""
        self._tail = await Tail(self._config.cluster, Names(self._config.cluster.prefix).log, 0).start()

    async def stop(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    async def run(self) -> None:
        """Look until cancelled; SilentError when a partition that we own does not move."""
        while True:
            await asyncio.sleep(LOOK_S)
            folded = {number: one.folded for number, one in self._decide.owned.items()}
            self.judge(await self._tail.ends(folded), folded, time.monotonic())

    def judge(self, ends: dict[int, int], folded: dict[int, int], now_s: float) -> None:
        """Take note of where log and fold are; SilentError when one of them stood still behind the other."""
        self.lags = {number: max(0, ends[number] - 1 - position) for number, position in folded.items()}
        for number in set(self._moved) - set(folded):
            del self._moved[number]
        for number, position in folded.items():
            last, since_s = self._moved.get(number, (-2, now_s))
            if last != position or self.lags[number] == 0:
                self._moved[number] = (position, now_s)
            elif now_s - since_s > self._silent_s:
                raise SilentError(
                    f"partition {number} stands at {position} for {now_s - since_s:.0f} s, "
                    f"{self.lags[number]} frames wait; silent_s={self._silent_s}"
                )

"""What the flow reports while it runs: metrics, texts, dead letters and dispatch hang on it."""

from collections.abc import Sequence
from typing import Protocol

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.dead_letter import DeadLetter
from engine.flow.fold import Appended
from engine.flow.partition import Partition


class Observer(Protocol):
    """Called from the pipeline's threads, several at once."""

    def decoded(self, chunk: Chunk, decoded: Decoded) -> None:
        """A chunk was decoded."""

    def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Lines were given up; returns when they are safe."""

    def committed(self, partition: Partition, appended: Sequence[Appended], now_ns: int) -> None:
        """Frames of a partition are durable, with their decisions."""

"""An intake for tests: keeps chunks, and is durable, full or broken on demand."""

from concurrent.futures import Future

from connectors.sources.contract import Chunk


class KeptIntake:
    """Keeps what is offered. `full` makes it refuse, `fault` makes it fail, `held` leaves futures open.

    `room_bytes` bounds what may be read at a time; `reading_max` is the most that was asked for.
    """

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.full = False
        self.room_bytes = 1 << 40
        self.reading_max = 0
        self.fault: Exception | None = None
        self.held = False
        self.waiting: list[Future[None]] = []

    def room(self, length: int, reading: int = 0) -> bool:
        self.reading_max = max(self.reading_max, reading + length)
        return not self.full and (reading == 0 or reading + length <= self.room_bytes)

    def offer(self, chunk: Chunk) -> "Future[None]":
        self.chunks.append(chunk)
        future: Future[None] = Future()
        if self.held:
            self.waiting.append(future)
        elif self.fault is not None:
            future.set_exception(self.fault)
        else:
            future.set_result(None)
        return future

    @property
    def text(self) -> bytes:
        return b"".join(chunk.data[: chunk.length].tobytes() for chunk in self.chunks)

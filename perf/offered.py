"""Events offered over TCP at a steady rate by a process of their own, and when each was decided.

Every line carries the moment at which it was due as its event time, and is sent then or later, never earlier, however
slow the receiver is. What an event waited is the time from that moment, cut to the millisecond below, to the moment at
which its decisions were durable: waiting in the sender, in sockets and in queues all count.
"""

import asyncio
import multiprocessing
import socket
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from connectors.sources.tcp.client import TcpSource
from engine.flow.fold import Appended
from engine.flow.partition import Partition
from perf import lines
from perf.product import Engine

SLICE_MS = 1
LEAD_S = 1.0
"""From the end of the sender's preparations to the first event."""


def send(port: int, feed: lines.Feed, rate: int, seconds: float) -> None:
    """Connect, prepare the lines, and send each slice when it is due."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    events = int(rate * seconds)
    prepare_s = LEAD_S + events / 300_000
    start_ms = int((time.time() + prepare_s) * 1000)
    number: lines.Int64s = np.arange(events, dtype=np.int64)
    rng = np.random.default_rng(feed.seed)
    due_ms: lines.Int64s = number * 1000 // rate + start_ms
    whole = bytearray()
    for first in range(0, events, lines.BLOCK):
        part: lines.Int64s = number[first : first + lines.BLOCK]
        subscriber: lines.Int64s = rng.integers(0, feed.subscribers, part.shape) + lines.FIRST_MSISDN
        whole += lines.lay(rng, subscriber, due_ms[part], 2_000_000_000 + part)
    ends = np.flatnonzero(np.frombuffer(whole, np.uint8) == 10) + 1
    view = memoryview(whole)
    sent = 0
    for slice_ms in range(0, int(seconds * 1000), SLICE_MS):
        left_s = (start_ms + slice_ms + SLICE_MS) / 1000 - time.time()
        if left_s > 0:
            time.sleep(left_s)
        last = min(events, rate * (slice_ms + SLICE_MS) // 1000)
        end = int(ends[last - 1]) if last else 0
        connection.sendall(view[sent:end])
        sent = end
    connection.close()


@dataclass
class Waits:
    """When frames became durable; `of` reads from the log what each event waited."""

    committed: list[tuple[int, int, int]] = field(default_factory=list)

    def listen(self, partition: Partition, appended: list[Appended] | tuple[Appended, ...]) -> None:
        """Note the moment for each frame."""
        now_ns = time.time_ns()
        self.committed.extend((partition.number, frame.position, now_ns) for frame in appended if frame.rows)

    def of(self, engine: Engine) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return for each event when it was due (epoch ms) and what it waited (ms), in order of due time."""
        due: list[NDArray[np.int64]] = []
        waited: list[NDArray[np.float64]] = []
        for partition in engine.core.partitions:
            moments = {position: now_ns for number, position, now_ns in self.committed if number == partition.number}
            for position, frame in partition.log.read(min(moments)) if moments else ():
                if position in moments and frame.batch is not None:
                    due.append(frame.batch.at_ms)
                    waited.append((moments[position] / 1e6 - frame.batch.at_ms).astype(np.float64))
        all_due, all_waited = np.concatenate(due), np.concatenate(waited)
        order = np.argsort(all_due, kind="stable")
        return all_due[order], all_waited[order]


async def offer(engine: Engine, feed: lines.Feed, rate: int, seconds: float) -> Waits:
    """Run the sender against the engine's TCP source; return when everything it sent is durable."""
    waits = Waits()
    engine.core.listeners.append(waits.listen)  # type: ignore[arg-type]  # it is handed lists
    source = TcpSource(engine.config.sources.tcp[0], engine.pipeline)
    await source.start()
    process = multiprocessing.get_context("spawn").Process(target=send, args=(source.port, feed, rate, seconds))
    process.start()
    await asyncio.to_thread(process.join)
    if process.exitcode:
        raise RuntimeError(f"the sender ended with {process.exitcode}")
    await asyncio.sleep(0.2)
    await source.stop()
    await asyncio.to_thread(engine.wait)
    return waits


def shares(waited: NDArray[np.float64]) -> dict[str, float]:
    """Return the percentiles that are asked for."""
    p50, p99, p999 = np.percentile(waited, [50, 99, 99.9])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "p99.9_ms": float(p999), "max_ms": float(waited.max())}

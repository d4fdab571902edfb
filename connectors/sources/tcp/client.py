"""Events as lines over TCP.

    source = TcpSource(config, intake)
    await source.start()

What came on all connections within a tick is handed on as one chunk, sooner where much came: a chunk costs the same
work whatever is in it. A source that has heard little in a tick reads once a tick, not once a packet; until then bytes
wait in the system's buffers. While the intake has no room, nothing more is read, so that the senders' own buffers fill:
nothing is dropped. A full table of connections accepts no more until one
leaves. With `acknowledge`, the source writes back, after
lines have become durable, how many lines of the connection that makes so far, as a decimal number and a line end; a
sender keeps what is not acknowledged and sends it again after a reconnect, under the same ids.

A last line without its end counts when the peer closed properly, and is thrown away (and counted) when the connection
broke.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np

from connectors.listener import Listener
from connectors.listening import naming
from connectors.seldom import Seldom
from connectors.sources.contract import Bytes, Chunk, Fault, Intake
from connectors.sources.scan.maps import count_lines
from connectors.sources.tcp.config import TcpConfig
from state.raw import PADDING

log = logging.getLogger(__name__)

UNREAD_BYTES_MAX = 64 << 10
"""Of acknowledgements that a sender has not read; one that reads none is hung up on."""

HASTY_BYTES = 64 << 10
"""Of one connection, with which a chunk does not wait for the tick."""
QUIET_BYTES = 32 << 10
"""In a tick, below which sockets are read once a tick."""

_LINE_END = b"\n"


class _Connection(asyncio.BufferedProtocol):
    """One sender. Its buffer holds what came since the last tick; `filled` bytes of it."""

    def __init__(self, source: "TcpSource", size: int, line_bytes_max: int) -> None:
        self._source = source
        self._line_bytes_max = line_bytes_max
        self._size = size
        self._buffer = bytearray(size + 1)
        self._view = memoryview(self._buffer)
        self._passing = False
        self.filled = 0
        self.lines = 0
        self.heard_s = 0.0
        self.paused = False
        self.ended = False
        self.waiting = 0
        """Chunks with lines of this connection that are not durable yet."""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.heard_s = asyncio.get_running_loop().time()
        self._source.joined(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the event loop's guess
        return self._view[self.filled : self._size]

    def buffer_updated(self, nbytes: int) -> None:
        start, self.filled = self.filled, self.filled + nbytes
        self.heard_s = asyncio.get_running_loop().time()
        if self._passing:
            self._pass(start)
        if self._source.quiet or self.filled >= self._size:
            self.pause()
        self._source.wake(hasty=self.filled >= HASTY_BYTES)

    def eof_received(self) -> bool:
        if self.filled and not self._passing and not self._buffer.endswith(_LINE_END, 0, self.filled):
            self._buffer[self.filled] = 10
            self.filled += 1
        self.ended = True
        self._source.wake()
        return self._source.config.acknowledge  # a sender that has said all may still wait to hear that it is durable

    def connection_lost(self, exc: Exception | None) -> None:
        self._source.left(self, broken=exc is not None)

    def close(self) -> None:
        """Close it, at once where the peer reads none of what we answer: it would keep the connection open."""
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def pause(self) -> None:
        """Read no more until the next hand-over."""
        if not self.paused and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            self.paused = True

    def resume(self) -> None:
        """Read again, where there is room for a byte."""
        if self.filled >= self._size:
            return
        if self.paused and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        self.paused = False

    def ready(self) -> int:
        """Return the number of bytes up to the last line end; a line beyond the bound is cut so that it ends."""
        length = self._buffer.rfind(_LINE_END, 0, self.filled) + 1
        if length == 0 and self.filled > self._line_bytes_max + 1:
            self._buffer[self._line_bytes_max + 1] = 10
            self.filled = self._line_bytes_max + 2
            self._passing = True
            return self.filled
        return length

    def take(self, length: int, target: Bytes, at: int) -> None:
        """Move `length` bytes to `target[at:]`; what is left begins the next line."""
        target[at : at + length] = np.frombuffer(self._view[:length], np.uint8)
        rest = self.filled - length
        if rest:
            self._buffer[:rest] = self._buffer[length : self.filled]
        self.filled = rest

    def _pass(self, start: int) -> None:
        """Throw away what belongs to a line that was cut already."""
        end = self._buffer.find(_LINE_END, start, self.filled)
        if end < 0:
            self.filled = start
            return
        self._buffer[start : start + self.filled - end - 1] = self._buffer[end + 1 : self.filled]
        self.filled = start + self.filled - end - 1
        self._passing = False


class TcpSource:
    """The contract's `Source`: a listening port whose lines go to the intake."""

    faults: Sequence[Fault] = ()

    def __init__(self, config: TcpConfig, intake: Intake, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.config = config
        self.lines = 0
        self.bytes = 0
        self.idle_closed = 0
        self.lost_bytes = 0
        self._intake = intake
        self._now_ns = now_ns
        self._connections: dict[_Connection, None] = {}
        self._leaving: dict[_Connection, None] = {}
        self._listener: Listener | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._seldom = Seldom(log)
        self._timer: asyncio.TimerHandle | None = None
        self._gathering = False
        self._full = False
        self.quiet = False
        """Whether a socket that was read rests until the tick."""
        self._offered: set[Future[None]] = set()
        self._done: deque[tuple[Future[None], list[tuple[_Connection, int]]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._listener is not None
        return self._listener.port

    async def start(self) -> None:
        """Listen; OSError names an address that cannot be had."""
        config = self.config
        size = max(config.buffer_bytes, config.mapping.line_bytes_max + 4096)
        self._loop = asyncio.get_running_loop()
        self._listener = Listener(
            config.host,
            config.port,
            lambda: _Connection(self, size, config.mapping.line_bytes_max),
            config.connections_max,
        )
        with naming(f"host and port of sources.tcp {config.name!r}", config.host, config.port):
            await self._listener.start()
        self._sweep()

    async def stop(self) -> None:
        """Listen no more, hand over what has come, and wait until it is durable."""
        if self._listener is not None:
            await self._listener.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.resume()  # what rests in the system's buffers has come too
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.pause()
        while self._hand_over():  # noqa: ASYNC110  room comes without an event
            await asyncio.sleep(self.config.tick_ms / 1000)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*map(asyncio.wrap_future, self._offered), return_exceptions=True)
        self._settle()
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.close()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Do nothing: `stop` has closed the connections."""

    def status(self) -> dict[str, int]:
        """Return what came in so far."""
        return {
            "connections": len(self._connections),
            "lines": self.lines,
            "bytes": self.bytes,
            "accepting_paused": self._listener.pauses if self._listener is not None else 0,
            "connections_idle": self.idle_closed,
            "bytes_lost": self.lost_bytes,
        }

    def joined(self, connection: _Connection) -> None:
        """Take a new connection."""
        self._connections[connection] = None

    def left(self, connection: _Connection, *, broken: bool) -> None:
        """Let a connection go, after its last whole lines."""
        if self._listener is not None:
            self._listener.left()
        if self._connections.pop(connection, 0) is None and connection.filled:
            if broken:
                whole = connection.ready()
                self.lost_bytes += connection.filled - whole
                connection.filled = whole
            self._leaving[connection] = None
            self.wake()

    def _sweep(self) -> None:
        """Close connections that have brought nothing for long."""
        loop, idle_s = asyncio.get_running_loop(), self.config.idle_s
        for connection in list(self._connections):
            if not connection.paused and loop.time() - connection.heard_s > idle_s and connection.transport is not None:
                self.idle_closed += 1
                connection.close()
        self._sweeper = loop.call_later(max(idle_s / 4, 0.25), self._sweep)

    def wake(self, *, hasty: bool = False) -> None:
        """Hand over at the end of this tick; `hasty`: as soon as the loop has read what is there."""
        if self._loop is None or self._gathering or (self._timer is not None and not hasty):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(0 if hasty else self.config.tick_ms / 1000, self._tick)

    def _tick(self) -> None:
        """Let the loop read the sockets that rest, then hand over."""
        self._timer = None
        self._settle()
        if not self.quiet or self._full:
            self._end_tick()
            return
        self._gathering = True
        for connection in self._connections:
            connection.resume()
        assert self._loop is not None
        self._loop.call_soon(self._loop.call_soon, self._end_tick)  # the loop reads sockets between the two

    def _end_tick(self) -> None:
        """Hand over; go on ticking while little comes, else wait for a byte."""
        assert self._loop is not None
        before, self._gathering = self.bytes, False
        self._full = self._hand_over()
        self.quiet = 0 < self.bytes - before < QUIET_BYTES
        if self._full or self.quiet:
            self._timer = self._loop.call_later(self.config.tick_ms / 1000, self._tick)
            return
        for connection in self._connections:
            connection.resume()

    def _hand_over(self) -> bool:
        """Offer all whole lines as one chunk; return whether some had to wait for room."""
        parts = [(connection, connection.ready()) for connection in (*self._connections, *self._leaving)]
        parts = [(connection, length) for connection, length in parts if length]
        total = sum(length for _, length in parts)
        if total == 0:
            self._leaving.clear()
            self._close_ended(list(self._connections))
            return False
        if not self._intake.room(total):
            for connection, _ in parts:
                connection.pause()
            return True
        data = np.empty(total + PADDING, np.uint8)
        data[total:] = 0  # kernels read whole words, up to PADDING bytes beyond the last line
        at = 0
        counted: list[tuple[_Connection, int]] = []
        for connection, length in parts:
            connection.take(length, data, at)
            connection.lines += count_lines(data.ctypes.data + at, length)
            counted.append((connection, connection.lines))
            connection.waiting += 1
            if not self.quiet:
                connection.resume()
            at += length
        self._leaving.clear()
        self._offer(data, total, counted)
        return False

    def _offer(self, data: Bytes, length: int, counted: list[tuple[_Connection, int]]) -> None:
        line = self.lines + 1
        self.lines += count_lines(data.ctypes.data, length)
        end, once = self.bytes + length, self.config.deduplicated
        chunk = Chunk(self.config.name, "", data, length, self.bytes, end, once, False, self._now_ns(), line)
        self.bytes += length
        try:
            future = self._intake.offer(chunk)
        except Exception as fault:  # noqa: BLE001  the log has one line of it, the senders are hung up on
            self._seldom.error("source %s: %d bytes could not be handed over: %r", self.config.name, length, fault)
            future = Future()
            future.set_exception(fault)
        self._offered.add(future)
        future.add_done_callback(lambda done: self._note(done, counted))

    def _note(self, done: "Future[None]", counted: list[tuple[_Connection, int]]) -> None:
        """Let the loop, to which connections belong, know in its next tick, or now where none is to come or one waits.

        The commit thread calls this. The timer is looked at behind the append, and a tick settles before it ends: so
        nothing is left behind.
        """
        self._done.append((done, counted))
        if self._timer is None or self.config.acknowledge or done.cancelled() or done.exception() is not None:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._done:
            self._durable(*self._done.popleft())

    def _durable(self, future: "Future[None]", counted: list[tuple[_Connection, int]]) -> None:
        """Acknowledge lines, by how many of its connection that makes; or hang up, and the senders send them again."""
        self._offered.discard(future)
        durable = not future.cancelled() and future.exception() is None
        for connection, lines in counted:
            connection.waiting -= 1
            transport = connection.transport
            if transport is None or transport.is_closing():
                continue
            if not durable or transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
                transport.abort()
            elif self.config.acknowledge:
                transport.write(b"%d\n" % lines)
        self._close_ended([connection for connection, _ in counted])

    def _close_ended(self, connections: "list[_Connection]") -> None:
        """Close those that have said all, once all of it is durable and they have heard so."""
        for connection in connections:
            transport = connection.transport
            if connection.ended and not connection.filled and not connection.waiting and transport is not None:
                transport.close()

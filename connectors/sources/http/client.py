"""Events by HTTP POST: NDJSON, a JSON array, or delimited lines, in a body that may be gzip.

    app.add_routes(HttpSource(config, intake).routes())

    202  the events are durable; the body says how many lines came
    400  the body could not be unpacked, or came cut off; nothing of it was taken in
    401  the token is wrong or missing; without one in the settings, the caller is not on this machine
    408  the body was not whole after body_timeout_s
    413  the body is longer than body_bytes_max
    415  the body is packed in another way than gzip or deflate
    429  there is no room now: Retry-After says when to come again; nothing of the body was taken in
    503  the events could not be stored (a full disk); Retry-After likewise

Bodies being read count against the intake's room with the memory that they take unpacked, so that many callers at once
cannot fill it. The front must leave bodies packed (aiohttp: `auto_decompress=False`): `body` unpacks them.

A line that is no event does not make the request fail: it becomes a dead letter, like everywhere. A caller that got no
answer sends the body again: events with an id act once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from connectors.access import bears, from_here
from connectors.seldom import Seldom
from connectors.sources.contract import Bytes, Chunk, Fault, Intake
from connectors.sources.http.array import array_to_lines
from connectors.sources.http.body import PACKED, Body, BodyError, Inflater, Target, TooLongError
from connectors.sources.http.config import HttpConfig
from connectors.sources.scan.maps import count_lines

log = logging.getLogger(__name__)


class HttpSource:
    """The contract's `ServedSource`: the events route, which the front opens and closes."""

    faults: Sequence[Fault] = ()

    def __init__(self, config: HttpConfig, intake: Intake, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.config = config
        self.answers: dict[int, int] = {}
        self.lines = 0
        self._intake = intake
        self.reading = 0
        self._now_ns = now_ns
        self._seldom = Seldom(log)
        self._token: bytes | None = None

    @property
    def body_bytes_max(self) -> int:
        """The largest body that the route takes."""
        return self.config.body_bytes_max

    def routes(self) -> list[web.RouteDef]:
        """Return the route, to be added to an application; the token is read now: SecretError when it is not there."""
        token = self.config.token
        self._token = token.read().encode() if token is not None else None
        return [web.post(self.config.path, self._post)]

    async def start(self) -> None:
        """Do nothing: the front listens."""

    async def stop(self) -> None:
        """Do nothing: the front ends its requests, each of which waits until its events are durable."""

    def close(self) -> None:
        """Do nothing: nothing stays open."""

    def status(self) -> dict[str, int]:
        """Return lines taken, and answers by status."""
        return {"lines": self.lines} | {f"http_{code}": count for code, count in sorted(self.answers.items())}

    async def _post(self, request: web.Request) -> web.Response:
        try:
            self._admit(request)
            response = await self._take(request)
        except _RefusedError as refusal:
            response = refusal.response
        self.answers[response.status] = self.answers.get(response.status, 0) + 1
        return response

    async def _take(self, request: web.Request) -> web.Response:
        """Read the body and offer it; its memory is held until the intake has it."""
        held = _Held(self._hold)
        try:
            body = Body(self.config.body_bytes_max, held.grow)
            await self._read(request, body)
            lines, durable = self._offer(body, held)
        finally:
            self.reading -= held.size
        if durable is not None:
            await self._wait(lines, durable)
        self.lines += lines
        return web.json_response({"lines": lines}, status=202)

    def _hold(self, size: int, more: int) -> None:
        """Hold `more` bytes for a body that has `size` of them; refuse it when queue and other bodies leave no room."""
        if not self._intake.room(size + more, self.reading - size):
            raise self._later(429, "no room for more events now")
        self.reading += more

    def _admit(self, request: web.Request) -> None:
        """Refuse before the body is read what can be refused then."""
        if not self._allowed(request):
            raise _RefusedError(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        announced = request.content_length or 0
        if announced > self.config.body_bytes_max:
            raise self._too_long()
        if not self._intake.room(announced, self.reading):
            raise self._later(429, "no room for more events now")

    def _offer(self, body: Body, held: "_Held") -> "tuple[int, Future[None] | None]":
        """Hand the lines over; return how many, and the future of their durability where there are any."""
        config = self.config
        data, length = body.data, body.length
        if not self._intake.room(length, self.reading - held.size):
            raise self._later(429, "no room for more events now")
        header, start = self._header(data, length)
        length -= start
        data = data[start:]
        lines = count_lines(data.ctypes.data, length) + int(length > 0 and data[length - 1] != 10)
        if not lines:
            return 0, None
        line = 2 if start else 1
        once = config.deduplicated
        chunk = Chunk(config.name, "", data, length, start, length, once, True, self._now_ns(), line, header)
        try:
            return lines, self._intake.offer(chunk)
        except Exception as fault:
            raise self._not_stored(lines, fault) from fault

    async def _wait(self, lines: int, durable: "Future[None]") -> None:
        try:
            await asyncio.wrap_future(durable)
        except Exception as fault:
            raise self._not_stored(lines, fault) from fault

    def _not_stored(self, lines: int, fault: Exception) -> "_RefusedError":
        self._seldom.error(
            "source %s: %d lines could not be stored: %s: %s", self.config.name, lines, type(fault).__name__, fault
        )
        return self._later(503, "the events could not be stored")

    def _header(self, data: Bytes, length: int) -> tuple[bytes, int]:
        """Return the line of column names and the number of bytes it takes, where the mapping has one."""
        if not self.config.mapping.header:
            return b"", 0
        line, end, _ = data[:length].tobytes().partition(b"\n")
        return line, len(line) + len(end)

    def _allowed(self, request: web.Request) -> bool:
        return from_here(request) if self._token is None else bears(request, self._token)

    async def _read(self, request: web.Request, body: Body) -> None:
        """Read the body, unpack it, and make lines of a JSON array."""
        try:
            async with asyncio.timeout(self.config.body_timeout_s):
                target = self._target(request, body)
                while block := await request.content.readany():
                    target.feed(block)
            target.finish()
            mapping = self.config.mapping
            # In other encodings a bracket or a quote may be half of a letter.
            if mapping.format == "ndjson" and mapping.encoding == "utf-8":
                array_to_lines(body.data, body.length)
        except TooLongError as fault:
            raise self._too_long() from fault
        except TimeoutError as fault:
            reason = f"body must be whole within {self.config.body_timeout_s} s"
            raise _RefusedError(408, reason, {"Connection": "close"}) from fault
        except (web.RequestPayloadError, HttpProcessingError, BodyError) as fault:
            raise _RefusedError(400, f"body cannot be read: {fault}", {"Connection": "close"}) from fault

    def _target(self, request: web.Request, body: Body) -> Target:
        encoding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
        if encoding in PACKED:
            return Inflater(body, self.config.body_bytes_max)
        if encoding in ("", "identity"):
            return body
        raise _RefusedError(415, "Content-Encoding must be gzip, deflate or none", {"Accept-Encoding": "gzip, deflate"})

    def _too_long(self) -> "_RefusedError":
        reason = f"body must be <= {self.config.body_bytes_max} bytes, unpacked"
        return _RefusedError(413, reason, {"Connection": "close"})

    def _later(self, status: int, reason: str) -> "_RefusedError":
        return _RefusedError(status, reason, {"Retry-After": str(self.config.retry_after_s)})


class _Held:
    """How much of the intake's room one body holds."""

    def __init__(self, hold: Callable[[int, int], None]) -> None:
        self.size = 0
        self._hold = hold

    def grow(self, size: int) -> None:
        """Hold `size` bytes from now on; `hold` raises when there is no room for them."""
        self._hold(self.size, size - self.size)
        self.size = size


class _RefusedError(Exception):
    """Raised when a request is answered with something else than 202."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.response = web.json_response({"error": reason}, status=status, headers=headers)

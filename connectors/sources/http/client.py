"""Events by HTTP POST: NDJSON, or delimited lines, in a body that may be gzip.

    app.add_routes(HttpSource(config, intake).routes())

    202  the events are durable; the body says how many lines came
    400  the body could not be unpacked, or came cut off
    401  the token is wrong or missing; without one in the settings, the caller is not on this machine
    413  the body is longer than body_bytes_max
    429  there is no room now: Retry-After says when to come again; nothing of the body was taken in
    503  the events could not be stored (a full disk); Retry-After likewise

Bodies being read count against the intake's room too, so that many callers at once cannot fill the memory.

A line that is no event does not make the request fail: it becomes a dead letter, like everywhere. A caller that got no
answer sends the body again: events with an id act once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import numpy as np
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from connectors.access import bears, from_here
from connectors.sources.contract import Bytes, Chunk, Fault, Intake
from connectors.sources.http.config import HttpConfig
from connectors.sources.scan.maps import count_lines
from state.raw import PADDING

log = logging.getLogger(__name__)

_FIRST_BYTES = 1 << 16


class HttpSource:
    """The contract's `ServedSource`: the events route, which the front opens and closes."""

    faults: Sequence[Fault] = ()

    def __init__(self, config: HttpConfig, intake: Intake, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.config = config
        self.answers: dict[int, int] = {}
        self.lines = 0
        self._intake = intake
        self._reading = 0
        self._now_ns = now_ns
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
        """Read the body and offer it; its room is held while it is read."""
        held = min(max(request.content_length or 0, _FIRST_BYTES), self.config.body_bytes_max)
        self._reading += held
        try:
            data, length = await self._body(request)
        finally:
            self._reading -= held
        return await self._offer(data, length)

    def _admit(self, request: web.Request) -> None:
        """Refuse before the body is read what can be refused then."""
        if not self._allowed(request):
            raise _RefusedError(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        announced = request.content_length or 0
        if announced > self.config.body_bytes_max:
            raise self._too_long()
        self._check_room(announced)

    def _check_room(self, length: int) -> None:
        """Refuse a body for which the queue, and the bodies being read, leave no room."""
        if not self._intake.room(self._reading + length):
            raise self._later(429, "no room for more events now")

    async def _offer(self, data: Bytes, length: int) -> web.Response:
        config = self.config
        self._check_room(length)
        header, start = self._header(data, length)
        length -= start
        data = data[start:]
        lines = count_lines(data.ctypes.data, length) + int(length > 0 and data[length - 1] != 10)
        if lines:
            line = 2 if start else 1
            once = config.deduplicated
            chunk = Chunk(config.name, "", data, length, start, length, once, True, self._now_ns(), line, header)
            try:
                await asyncio.wrap_future(self._intake.offer(chunk))
            except Exception as fault:
                log.exception("source %s: %d lines could not be stored", config.name, lines)
                raise self._later(503, "the events could not be stored") from fault
        self.lines += lines
        return web.json_response({"lines": lines}, status=202)

    def _header(self, data: Bytes, length: int) -> tuple[bytes, int]:
        """Return the line of column names and the number of bytes it takes, where the mapping has one."""
        if not self.config.mapping.header:
            return b"", 0
        line, end, _ = data[:length].tobytes().partition(b"\n")
        return line, len(line) + len(end)

    def _allowed(self, request: web.Request) -> bool:
        return from_here(request) if self._token is None else bears(request, self._token)

    async def _body(self, request: web.Request) -> tuple[Bytes, int]:
        """Read the body, unpacked, into a padded array."""
        try:
            return await self._read(request)
        except (web.RequestPayloadError, HttpProcessingError) as fault:
            raise _RefusedError(400, f"body cannot be read: {fault}") from fault

    async def _read(self, request: web.Request) -> tuple[Bytes, int]:
        size = min(max(request.content_length or 0, _FIRST_BYTES), self.config.body_bytes_max) + PADDING
        data = np.zeros(size, np.uint8)
        length = 0
        while block := await request.content.readany():
            needed = length + len(block)
            if needed > self.config.body_bytes_max:
                raise self._too_long()
            if needed + PADDING > len(data):
                data = np.concatenate([data[:length], np.zeros(2 * needed + PADDING - length, np.uint8)])
            data[length:needed] = np.frombuffer(block, np.uint8)
            length = needed
        return data, length

    def _too_long(self) -> "_RefusedError":
        reason = f"body must be <= {self.config.body_bytes_max} bytes, unpacked"
        return _RefusedError(413, reason, {"Connection": "close"})

    def _later(self, status: int, reason: str) -> "_RefusedError":
        return _RefusedError(status, reason, {"Retry-After": str(self.config.retry_after_s)})


class _RefusedError(Exception):
    """Raised when a request is answered with something else than 202."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.response = web.json_response({"error": reason}, status=status, headers=headers)

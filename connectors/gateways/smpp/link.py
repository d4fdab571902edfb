"""One connection to an SMSC: bind, window, timers, and the answers to what was asked.

A `Link` is an asyncio protocol. Requests wait for a place in the window, are written together at the end of the event
loop's turn, and are answered by sequence number in any order; an answer counts only when it is one to that kind of
request. `watch` is called a few times a second: it gives up requests that got no answer in time and asks an idle link
whether it lives. An answer that comes later, on the same connection, goes to the `late` of its request.

What a lost request means is the caller's to say: `request` raises `LinkLostError` with `written`. Reconnecting and
choosing between links are not here either: see `client`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Pdu

OnDelivery = Callable[[int, bytes], Awaitable[int]]
"""Takes the command and body of a deliver_sm or data_sm, returns the command status to answer it with."""

OnLate = Callable[[Pdu], None]
"""Takes the answer to a request that was given up."""

_LATE_MAX = 10_000
_LAST_ANSWERS_S = 1.0
"""How long a connection whose stream is broken is kept for the answers to what came whole."""


class LinkLostError(Exception):
    """A request will get no answer; `written` says whether it may have reached the SMSC."""

    def __init__(self, code: str, *, written: bool) -> None:
        super().__init__(code)
        self.code = code
        self.written = written


class LinkTimes(NamedTuple):
    """Timers of a link, in seconds."""

    response_s: float
    enquire_s: float


class _Asked(NamedTuple):
    command: int
    answer: asyncio.Future[Pdu]
    deadline_s: float
    late: OnLate | None


class Link(asyncio.Protocol):
    """A connection; usable for submits once `bind` has returned."""

    def __init__(self, window: int, times: LinkTimes, on_delivery: OnDelivery, deliveries_max: int) -> None:
        self._window = window
        self._times = times
        self._on_delivery = on_delivery
        self._deliveries_max = deliveries_max
        self._loop = asyncio.get_running_loop()
        self._framer = codec.Framer()
        self._transport: asyncio.Transport | None = None
        self._asked: dict[int, _Asked] = {}
        self._late: dict[int, OnLate] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ending = self._broken = False
        self._out: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._end_task: asyncio.Task[None] | None = None
        self._enquiry: asyncio.Future[Pdu] | None = None
        self._sequence = 0
        self._heard_s = self._loop.time()
        self._lost_code = ""
        self.bound = False
        self.closed: asyncio.Future[str] = self._loop.create_future()

    @property
    def free(self) -> int:
        """Places left in the window; 0 when the link is not bound."""
        return max(0, self._window - len(self._asked) - len(self._waiting)) if self.bound else 0

    @property
    def in_flight(self) -> int:
        """Requests without an answer."""
        return len(self._asked)

    async def bind(self, body: bytes) -> int:
        """Bind as transceiver; return the SMSC's status, 0 when the link is ready."""
        answer = await self._ask(codec.BIND_TRANSCEIVER, body)
        if answer.command == codec.GENERIC_NACK:
            return answer.status or codec.SYSTEM_ERROR
        self.bound = answer.status == codec.OK
        return answer.status

    async def request(self, body: bytes, late: OnLate | None = None) -> Pdu:
        """Send a submit_sm and return its answer, a submit_sm_resp or generic_nack.

        LinkLostError when there is none in time; `late` gets it if it comes after all.
        """
        while self.bound and len(self._asked) >= self._window:
            place = self._loop.create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if not place.cancelled():
                    self._free_place()
                raise
        if not self.bound:
            raise LinkLostError("LINK_DOWN", written=False)
        return await self._ask(codec.SUBMIT_SM, body, late)

    def _ask(self, command: int, body: bytes, late: OnLate | None = None) -> asyncio.Future[Pdu]:
        sequence = self._sequence = self._sequence % codec.SEQUENCE_MAX + 1
        answer: asyncio.Future[Pdu] = self._loop.create_future()
        self._asked[sequence] = _Asked(command, answer, self._loop.time() + self._times.response_s, late)
        self._write(codec.encode(command, codec.OK, sequence, body))
        return answer

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def watch(self) -> None:
        """Give up what got no answer in time; ask an idle link, and one that owes an answer, whether it lives."""
        now = self._loop.time()
        answer_owed = enquiry_lost = False
        for sequence, asked in list(self._asked.items()):
            if asked.deadline_s > now:  # asked later, so due later: the dict is in the order of asking
                break
            del self._asked[sequence]
            if asked.late is not None:
                self._late[sequence] = asked.late
                if len(self._late) > _LATE_MAX:
                    del self._late[next(iter(self._late))]
            if asked.command == codec.ENQUIRE_LINK:
                enquiry_lost |= self._heard_s < asked.deadline_s - self._times.response_s
            else:  # it may come yet: the centre may only be slow
                answer_owed = True
            if not asked.answer.done():
                asked.answer.set_exception(LinkLostError("TIMEOUT", written=True))
            self._free_place()
        if enquiry_lost:
            self.close("SILENT")
        elif self.bound and (answer_owed or (not self._asked and now - self._heard_s >= self._times.enquire_s)):
            self._enquire()

    def _enquire(self) -> None:
        if self._enquiry is None or self._enquiry.done():
            self._enquiry = self._ask(codec.ENQUIRE_LINK, b"")
            self._enquiry.add_done_callback(_ignore)

    async def unbind(self, wait_s: float) -> None:
        """Wait for answers, ours and theirs, at most `wait_s`; say good-bye and wait for the reply as long; close."""
        was_bound = self.bound
        await self._last_answers(wait_s)
        if was_bound and not self.closed.done():
            good_bye = self._ask(codec.UNBIND, b"")
            good_bye.add_done_callback(_ignore)
            self._flush()
            if wait_s > 0:
                await asyncio.wait([good_bye], timeout=wait_s)
        self.close("STOPPED")

    def _unanswered(self) -> list[asyncio.Future[Any]]:
        """Return what either side waits for; a request that its caller gave up is not among it."""
        return [one.answer for one in self._asked.values() if not one.answer.done()] + list(self._tasks)

    async def _last_answers(self, wait_s: float) -> None:
        """Ask nothing more, and let what was asked on both sides be answered."""
        self.bound, self._ending = False, True
        self._release_waiting()
        deadline_s = self._loop.time() + wait_s
        while waiting := self._unanswered():
            left_s = deadline_s - self._loop.time()
            if left_s <= 0 or self.closed.done():
                break
            await asyncio.wait(waiting, timeout=left_s)
        self._flush()

    def close(self, code: str) -> None:
        """Drop the connection; what was asked is lost with `code`."""
        self._lost_code = self._lost_code or code
        if self._transport is not None:
            self._transport.abort() if code == "SILENT" else self._transport.close()
        self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio; also called by `close`, as waiting for the socket could take minutes."""
        self.bound = False
        code = self._lost_code or (type(exc).__name__ if exc else "CLOSED")
        asked, self._asked = self._asked, {}
        for one in asked.values():
            if not one.answer.done():
                one.answer.set_exception(LinkLostError(code, written=True))
        self._release_waiting()
        if not self.closed.done():
            self.closed.set_result(code)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._heard_s = self._loop.time()
        if self._broken:
            return
        try:
            pdus = self._framer.feed(data)
        except codec.StreamError as fault:
            pdus = fault.pdus
            self._broken = True
        for pdu in pdus:
            if pdu.command & codec.RESPONSE:
                self._answered(pdu)
            else:
                self._asked_by_smsc(pdu)
        if self._broken:
            self._write(codec.encode(codec.GENERIC_NACK, codec.INVALID_LENGTH, 0))
            self._run(self._end("NOT_SMPP", _LAST_ANSWERS_S))

    def _answered(self, pdu: Pdu) -> None:
        asked = self._asked.get(pdu.sequence)
        if asked is None:
            late = self._late.get(pdu.sequence)
            if late is not None and _answers(pdu, codec.SUBMIT_SM):
                del self._late[pdu.sequence]
                late(pdu)
        elif _answers(pdu, asked.command):
            del self._asked[pdu.sequence]
            if not asked.answer.done():
                asked.answer.set_result(pdu)
            self._free_place()

    def _asked_by_smsc(self, pdu: Pdu) -> None:
        if pdu.command in (codec.DELIVER_SM, codec.DATA_SM):
            self._deliver(pdu)
        elif pdu.command == codec.ENQUIRE_LINK:
            self._respond(pdu, codec.OK)
        elif pdu.command == codec.UNBIND:
            self._run(self._unbound(pdu))
        elif pdu.command not in (codec.ALERT_NOTIFICATION, codec.OUTBIND):  # these two have no answer
            self._write(codec.encode(codec.GENERIC_NACK, codec.INVALID_COMMAND, pdu.sequence))

    def _deliver(self, pdu: Pdu) -> None:
        if len(self._tasks) >= self._deliveries_max:
            self._respond(pdu, codec.QUEUE_FULL, b"\0")
            return
        task = self._loop.create_task(self._store(pdu))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, pdu: Pdu) -> None:
        self._respond(pdu, await self._on_delivery(pdu.command, pdu.body), b"\0")

    async def _unbound(self, pdu: Pdu) -> None:
        await self._last_answers(self._times.response_s)
        self._respond(pdu, codec.OK)
        self._flush()
        self.close("UNBOUND")

    async def _end(self, code: str, wait_s: float) -> None:
        """Answer what came whole, then close; nothing that was asked can be answered any more."""
        self.bound, self._ending = False, True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=wait_s)
        self._flush()
        self.close(code)

    def _run(self, ending: Coroutine[Any, Any, None]) -> None:
        """Run the end of this connection, of which there is one."""
        if self._ending:
            ending.close()
            return
        self._ending = True
        self._end_task = self._loop.create_task(ending)

    def _respond(self, pdu: Pdu, status: int, body: bytes = b"") -> None:
        self._write(codec.encode(pdu.command | codec.RESPONSE, status, pdu.sequence, body))

    def _free_place(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    def _release_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for place in waiting:
            if not place.done():
                place.set_result(None)


def _answers(pdu: Pdu, command: int) -> bool:
    """Return whether a response is one to a request with `command`; a nack is one to any."""
    return pdu.command in (command | codec.RESPONSE, codec.GENERIC_NACK)


def _ignore(answer: asyncio.Future[Pdu]) -> None:
    if not answer.cancelled():
        answer.exception()

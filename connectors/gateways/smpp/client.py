"""An SMPP gateway: several links to one SMSC, each kept alive, and texts sent over the one with most room.

1. `start` opens the links; each reconnects by itself, waiting 1 s to 60 s with full jitter.
2. `send` cuts a text into parts, picks the link with the freest window, and joins the parts' answers into one outcome.
3. A refused part of a text whose other parts were taken is tried again here, a few times; then the outcome is UNKNOWN,
   because part of the text may be on a screen already.
4. Receipts and replies are acknowledged to the SMSC when the callback has returned, so a crash loses none.

Schedules, durable records and tries of whole messages are not here: see `engine.dispatch`.
"""

import asyncio
import logging
import random
from collections.abc import Sequence

from connectors.contract import (
    GatewayError,
    Message,
    MobileOriginated,
    NowMs,
    OnMobileOriginated,
    OnReceipt,
    Outcome,
    Receipt,
    State,
)
from connectors.gateways.pace import Pace, PaceLimits
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Short
from connectors.gateways.smpp.config import SmppConfig
from connectors.gateways.smpp.link import Link, LinkLostError, LinkTimes
from connectors.gateways.text import Alphabet, Part, parts_of, text_of
from connectors.secret import SecretError

log = logging.getLogger(__name__)

_PART_TRIES = 4
_QUEUE_FULL_MS = 5_000
_CODING = {Alphabet.GSM: codec.CODING_DEFAULT, Alphabet.ASCII: codec.CODING_DEFAULT, Alphabet.UCS2: codec.CODING_UCS2}


class SmppGateway:
    """A `connectors.contract.Gateway` that speaks SMPP 3.4.

    Args:
        name: what receipts and metrics call this gateway.
        config: the account.
        now_ms: wall clock for the time of receipts and replies.
        seed: seed of the reconnect jitter; None takes one from the system.
    """

    def __init__(self, name: str, config: SmppConfig, now_ms: NowMs, seed: int | None = None) -> None:
        self.name = name
        self._config = config
        self._now_ms = now_ms
        self._jitter = random.Random(seed)  # noqa: S311 - spreads reconnects, keeps no secret
        self._alphabet = Alphabet(config.default_alphabet)
        self._times = LinkTimes(config.response_ms_max / 1000, config.enquire_ms / 1000)
        self._pace = Pace(PaceLimits(pause_ms_min=config.throttle_ms_min, pause_ms_max=config.throttle_ms_max))
        self._states = {int(status, 0): State(name) for status, name in config.errors.items()}
        self._links: list[Link] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._bind_body = b""
        self._last_fault = ""
        self._reference = 0
        self._reconnects = self._throttled = self._sent = 0

    # Opening and closing.

    async def start(self, on_receipt: OnReceipt, on_mo: OnMobileOriginated) -> None:
        """Start the links; see the contract."""
        config = self._config
        try:
            password = config.password.read()
        except SecretError as fault:
            raise GatewayError(f"gateway {self.name}: password: {fault}") from fault
        if len(password) > 8:
            raise GatewayError(f"gateway {self.name}: password has {len(password)} characters, must have <= 8")
        try:
            self._bind_body = codec.pack_bind(codec.Bind(config.system_id, password, config.system_type))
        except UnicodeEncodeError:
            raise GatewayError(f"gateway {self.name}: system_id, system_type, password must be Latin-1") from None
        self._on_receipt, self._on_mo = on_receipt, on_mo
        self._tasks = [asyncio.create_task(self._keep_link()) for _ in range(config.links)]

    async def stop(self) -> None:
        """Close the links; see the contract."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        wait_s = self._config.stop_ms_max / 1000
        await asyncio.gather(*(link.unbind(wait_s) for link in self._links))
        self._links = []

    async def _keep_link(self) -> None:
        wait_ms = self._config.reconnect_ms_min
        while True:
            link = await self._connect()
            if link is not None:
                wait_ms = self._config.reconnect_ms_min
                self._last_fault = ""
                self._set_fault(await self._live(link))
            await asyncio.sleep(self._jitter.uniform(0, wait_ms) / 1000)
            wait_ms = min(wait_ms * 2, self._config.reconnect_ms_max)
            self._reconnects += 1

    async def _connect(self) -> Link | None:
        config = self._config
        loop = asyncio.get_running_loop()

        def make() -> Link:
            return Link(config.window, self._times, self._delivered, config.deliveries_max)

        link: Link | None = None
        bound = False
        try:
            async with asyncio.timeout(config.connect_ms_max / 1000):
                _, link = await loop.create_connection(make, config.host, config.port)
                status = await link.bind(self._bind_body)
            bound = status == codec.OK
            if not bound:
                self._set_fault(f"bind refused with 0x{status:02x}")
        except (OSError, TimeoutError, LinkLostError) as fault:
            self._set_fault(str(fault) or type(fault).__name__)
        finally:
            if link is not None and not bound:
                link.close("BIND")
        return link if bound else None

    def _set_fault(self, fault: str) -> None:
        """Set what status shows as wrong; log it once, not at every attempt."""
        if fault != self._last_fault:
            log.warning("gateway %s: %s; it is tried again", self.name, fault)
        self._last_fault = fault

    async def _live(self, link: Link) -> str:
        self._links.append(link)
        turn_s = min(self._times.response_s, self._times.enquire_s, 1.0) / 4
        while not link.closed.done():
            link.watch()
            await asyncio.wait([link.closed], timeout=turn_s)
        self._links.remove(link)
        return link.closed.result()

    # Sending.

    @property
    def up(self) -> bool:
        """Whether a link is bound."""
        return any(link.bound for link in self._links)

    def room(self) -> int:
        """Return the places in all windows, as far as the pace allows."""
        free = 0
        for link in self._links:
            free += link.free
        return min(free, self._pace.room(asyncio.get_running_loop().time())) if free else 0

    async def send(self, message: Message) -> Outcome:
        """Send one text; see the contract."""
        self._reference = (self._reference + 1) & 0xFF
        try:
            parts = parts_of(message.text, self._reference, self._alphabet)
        except ValueError:
            return Outcome(State.PERMANENT, "TOO_LONG")
        if len(parts) > self._config.parts_max:
            return Outcome(State.PERMANENT, "TOO_LONG")
        try:
            bodies = [self._body(message, part) for part in parts]
        except UnicodeEncodeError:
            return Outcome(State.PERMANENT, "BAD_SENDER")  # a source_address that is not Latin-1
        if len(bodies) == 1:
            return await self._submit(bodies[0])
        return await self._send_parts(bodies)

    def _body(self, message: Message, part: Part) -> bytes:
        config = self._config
        digits = message.source_address or config.source_address
        numeric = not digits or digits.isdigit()
        short = Short(
            Address(config.source_ton, config.source_npi, digits) if numeric else Address(5, 0, digits),
            Address(config.destination_ton, config.destination_npi, str(message.destination)),
            codec.ESM_HEADER if part.header else 0,
            priority=1 if message.klass == "service" else 0,
            validity="" if message.shelf_life_ms is None else codec.relative_time(message.shelf_life_ms),
            registered=1 if message.wanted_receipt else 0,
            coding=_CODING[part.alphabet],
            payload=part.payload,
        )
        return codec.pack_short(short)

    async def _send_parts(self, bodies: list[bytes]) -> Outcome:
        """Send all parts; try refused ones again only when others were taken."""
        outcomes = list(await asyncio.gather(*map(self._submit, bodies)))
        for _ in range(_PART_TRIES - 1):
            again = [i for i, outcome in enumerate(outcomes) if outcome.state in (State.RETRY, State.LINK_DOWN)]
            if not again or all(outcome.state is not State.ACCEPTED for outcome in outcomes):
                break
            await asyncio.sleep(min(max(outcomes[i].retry_after_ms or 0 for i in again), _QUEUE_FULL_MS) / 1000 or 0.1)
            for i, outcome in zip(again, await asyncio.gather(*(self._submit(bodies[i]) for i in again)), strict=True):
                outcomes[i] = outcome
        return join(outcomes)

    async def _submit(self, body: bytes) -> Outcome:
        link = max(self._links, key=lambda one: (one.bound, one.free), default=None)
        if link is None or not link.bound:
            return Outcome(State.LINK_DOWN, "LINK_DOWN")
        loop = asyncio.get_running_loop()
        self._pace.sent(loop.time())
        self._sent += 1
        try:
            answer = await link.request(body)
        except LinkLostError as lost:
            return Outcome(State.UNKNOWN if lost.written else State.LINK_DOWN, lost.code)
        if answer.status == codec.OK:
            return self._accepted(answer.body)
        if answer.status in codec.CLOSES_LINK:
            link.close(f"0x{answer.status:02x}")
        return self._refused(answer.status, loop.time())

    def _accepted(self, body: bytes) -> Outcome:
        try:
            message_id = codec.unpack_id(body)
        except codec.CodecError:
            message_id = ""
        return Outcome(State.ACCEPTED, "", (common_id(message_id, self._config.receipt_ids, sent=True),))

    def _refused(self, status: int, now: float) -> Outcome:
        state = self._states.get(status) or codec.outcome_state(status)
        retry_after_ms = None
        if status in (codec.THROTTLED, codec.QUEUE_FULL):
            self._throttled += 1
            retry_after_ms = self._pace.throttled(now)
            if status == codec.QUEUE_FULL:
                retry_after_ms = max(retry_after_ms, _QUEUE_FULL_MS)
        return Outcome(state, f"0x{status:02x}", (), retry_after_ms)

    # Receiving.

    async def _delivered(self, body: bytes) -> int:
        try:
            short = codec.unpack_short(body)
        except codec.CodecError:
            return codec.INVALID_LENGTH
        try:
            if short.esm_class & codec.ESM_KIND == 0:
                await self._reply(short)
            elif short.esm_class & codec.ESM_KIND == codec.ESM_RECEIPT:
                await self._receipt(short)
        except Exception as fault:  # noqa: BLE001 - the SMSC keeps what we could not store and brings it again
            self._last_fault = f"storing a delivery: {fault}"
            return codec.DELIVER_REFUSED_FOR_NOW
        return codec.OK

    async def _receipt(self, short: Short) -> None:
        fields = codec.receipt_of(short)
        if fields is None or fields.state is None:
            return
        message_id = common_id(fields.message_id, self._config.receipt_ids, sent=False)
        await self._on_receipt(Receipt(self.name, message_id, fields.state, fields.code, self._now_ms()))

    async def _reply(self, short: Short) -> None:
        alphabet = codec.alphabet_of(short.coding, self._alphabet)
        digits = short.source.digits.removeprefix("+")
        if alphabet is None or not digits.isdecimal():
            return
        text = text_of(short.content, alphabet, header=bool(short.esm_class & codec.ESM_HEADER))
        await self._on_mo(MobileOriginated(self.name, int(digits), short.destination.digits, text, self._now_ms()))

    def status(self) -> dict[str, int | str]:
        """Return figures for the status table."""
        return {
            "links": self._config.links,
            "links_up": sum(link.bound for link in self._links),
            "in_flight": sum(link.in_flight for link in self._links),
            "sent": self._sent,
            "throttled": self._throttled,
            "reconnects": self._reconnects,
            "rate_per_s_max": "-" if self._pace.unlimited else int(self._pace.rate_per_s),
            "last_fault": self._last_fault,
        }


def common_id(message_id: str, rule: str, *, sent: bool) -> str:
    """Return an id in the form that responses (`sent`) and receipts have in common; `rule` is `receipt_ids`."""
    if rule == "same":
        return message_id
    base = 16 if sent == (rule == "hex_then_decimal") else 10
    try:
        return str(int(message_id, base))
    except ValueError:
        return message_id


_DOUBT = (State.UNKNOWN, State.PERMANENT, State.REROUTE, State.RETRY, State.LINK_DOWN)


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a text from those of its parts: all taken, none taken (the gravest reason), or UNKNOWN."""
    if all(outcome.state is State.ACCEPTED for outcome in outcomes):
        ids = tuple(id_ for outcome in outcomes for id_ in outcome.gateway_message_ids)
        return Outcome(State.ACCEPTED, "", ids)
    worst = min((o for o in outcomes if o.state is not State.ACCEPTED), key=lambda o: _DOUBT.index(o.state))
    if any(outcome.state is State.ACCEPTED for outcome in outcomes):
        return Outcome(State.UNKNOWN, f"PARTS {worst.code}")
    return worst

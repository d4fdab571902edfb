"""An SMPP gateway: several links to one SMSC, each kept alive, and texts sent over the one with most room.

1. `start` opens the links; each reconnects by itself, waiting 1 s to 60 s with full jitter.
2. `send` cuts a text into parts; `submits` sends them over the link with the freest window and joins their answers into
   one outcome. An answer that comes after its time settles a text whose outcome was given as UNKNOWN.
3. Receipts and replies are acknowledged to the SMSC when the callback has returned, so a crash loses none: see
   `deliveries`.

Schedules, durable records and tries of whole messages are not here: see `engine.dispatch`.
"""

import asyncio
import logging
import random

from connectors.contract import (
    GatewayError,
    Message,
    NowMs,
    OnMobileOriginated,
    OnReceipt,
    Outcome,
    State,
)
from connectors.gateways.pace import Pace, PaceLimits
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Short
from connectors.gateways.smpp.config import SmppConfig
from connectors.gateways.smpp.deliveries import Deliveries
from connectors.gateways.smpp.link import Link, LinkLostError, LinkTimes
from connectors.gateways.smpp.submits import Submits
from connectors.gateways.text import Alphabet, Part, parts_of
from connectors.secret import SecretError

log = logging.getLogger(__name__)

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
        self._links: list[Link] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._bind_body = b""
        self._last_fault = ""
        self._reference = 0
        self._reconnects = 0
        self._submits = Submits(name, config, now_ms, self._links, self._pace)
        self._deliveries: Deliveries | None = None

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
        self._submits.on_receipt = on_receipt
        self._deliveries = Deliveries(self.name, config, self._now_ms, on_receipt, on_mo)
        self._tasks = [asyncio.create_task(self._keep_link()) for _ in range(config.links)]

    async def stop(self) -> None:
        """Close the links; see the contract."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        wait_s = self._config.stop_ms_max / 1000
        await asyncio.gather(*(link.unbind(wait_s) for link in self._links))
        self._links.clear()
        await self._flush_replies(everything=True)
        await self._submits.finish(wait_s)

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
        config, deliveries = self._config, self._deliveries
        assert deliveries is not None
        loop = asyncio.get_running_loop()

        def make() -> Link:
            return Link(config.window, self._times, deliveries.take, config.deliveries_max)

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
            await self._flush_replies()
            await asyncio.wait([link.closed], timeout=turn_s)
        self._links.remove(link)
        return link.closed.result()

    async def _flush_replies(self, *, everything: bool = False) -> None:
        """Take long replies whose missing parts have been waited for long enough."""
        if self._deliveries is None:
            return
        try:
            await self._deliveries.flush(everything=everything)
        except Exception as fault:  # noqa: BLE001 - what could not be stored is kept, and taken the next time
            self._last_fault = f"storing a reply: {fault}"

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
        """Send one text; see the contract. An empty one is refused before it is sent."""
        if not message.text.strip():
            return Outcome(State.PERMANENT, "EMPTY_TEXT")
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
        return await self._submits.send(message.decision_id, bodies, message.shelf_life_ms)

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

    def status(self) -> dict[str, int | str]:
        """Return figures for the status table."""
        return {
            "links": self._config.links,
            "links_up": sum(link.bound for link in self._links),
            "in_flight": sum(link.in_flight for link in self._links),
            "sent": self._submits.counts["sent"],
            "throttled": self._submits.counts["throttled"],
            "reconnects": self._reconnects,
            "late_answers": self._submits.counts["late_answers"],
            "unread": 0 if self._deliveries is None else self._deliveries.counts["unread"],
            "rate_per_s_max": "-" if self._pace.unlimited else int(self._pace.rate_per_s),
            "last_fault": self._last_fault or ("" if self._deliveries is None else self._deliveries.fault),
        }

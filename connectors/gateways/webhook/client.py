"""The webhook's client: one POST a message, a bounded number at a time, over kept connections.

The other side knows a message by its key, so a message whose answer was lost is posted again (`repeatable`): dispatch
makes the tries, with its back-off. While nobody answers at the address the gateway is down, for a pause that doubles,
so waiting messages stay in dispatch, where they can be withdrawn, or go by another gateway of their route.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable

import aiohttp

from connectors.contract import GatewayError, Message, NowMs, OnMobileOriginated, OnReceipt, Outcome, State
from connectors.gateways.webhook import codec
from connectors.gateways.webhook.config import WebhookConfig
from connectors.secret import SecretError

log = logging.getLogger(__name__)


class WebhookGateway:
    """A `connectors.contract.Gateway` that posts to one address; it hears nothing by itself.

    Args:
        name: what metrics call this gateway.
        config: the address.
        _now_ms: dispatch's clock, which may be that of recorded events: signatures need the wall's.
        wall_s: the wall clock, epoch seconds.
    """

    repeatable = True

    def __init__(
        self, name: str, config: WebhookConfig, _now_ms: NowMs, wall_s: Callable[[], float] = time.time
    ) -> None:
        self.name = name
        self._config = config
        self._wall_s = wall_s
        self._session: aiohttp.ClientSession | None = None
        self._secret = b""
        self._in_flight = self._sent = self._refused = 0
        self._pause_ms = 0
        self._opens_s = 0.0
        self._last_fault = ""

    async def start(self, _on_receipt: OnReceipt, _on_mo: OnMobileOriginated) -> None:
        """Read secret and certificates; see the contract."""
        config = self._config
        try:
            self._secret = config.secret.read().encode()
            trust = ssl.create_default_context(cafile=config.ca_file)
        except SecretError as fault:
            raise GatewayError(f"gateway {self.name}: secret: {fault}") from fault
        except (OSError, ssl.SSLError) as fault:
            raise GatewayError(f"gateway {self.name}: ca_file={config.ca_file}: {fault}") from fault
        if not self._secret:
            raise GatewayError(f"gateway {self.name}: secret is empty")
        connector = aiohttp.TCPConnector(limit=config.in_flight_max, ssl=trust)
        timeout = aiohttp.ClientTimeout(total=config.answer_ms_max / 1000)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)

    async def stop(self) -> None:
        """Close the connections; what has no answer is UNKNOWN."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def up(self) -> bool:
        """Whether somebody answered at the address, or it is time to look again."""
        return self._session is not None and asyncio.get_running_loop().time() >= self._opens_s

    def room(self) -> int:
        """Return how many requests may be made now; one alone after nobody answered."""
        if not self.up:
            return 0
        return max(0, (1 if self._pause_ms else self._config.in_flight_max) - self._in_flight)

    async def send(self, message: Message) -> Outcome:
        """Post one message; see the contract."""
        if self._session is None:
            return Outcome(State.LINK_DOWN, "CLOSED")
        body = codec.encode(message)
        headers = codec.headers_of(message, body, self._secret, int(self._wall_s()))
        self._in_flight += 1
        try:
            return await self._post(self._session, message, body, headers)
        finally:
            self._in_flight -= 1

    async def _post(
        self, session: aiohttp.ClientSession, message: Message, body: bytes, headers: dict[str, str]
    ) -> Outcome:
        try:
            async with session.post(self._config.url, data=body, headers=headers, allow_redirects=False) as answer:
                outcome = codec.outcome_of(answer.status, answer.headers.get("Retry-After", ""), message.decision_id)
        except aiohttp.ClientConnectorError as fault:  # certificates that do not check are among them
            self._nobody(str(fault))
            return Outcome(State.LINK_DOWN, "CONNECT")
        except (aiohttp.ClientError, TimeoutError) as fault:
            self._nobody(str(fault) or "no answer in time")
            return Outcome(State.UNKNOWN, "TIMEOUT" if isinstance(fault, TimeoutError) else "CUT")
        self._pause_ms, self._opens_s = 0, 0.0
        self._sent += outcome.state is State.ACCEPTED
        self._refused += outcome.state is not State.ACCEPTED
        self._last_fault = "" if outcome.state is State.ACCEPTED else outcome.code
        return outcome

    def _nobody(self, fault: str) -> None:
        """Pause, twice as long as the last time; the first fault of a row is logged."""
        config = self._config
        if fault != self._last_fault:
            log.warning("gateway %s: %s; it is tried again", self.name, fault)
        self._last_fault = fault
        self._pause_ms = min(max(2 * self._pause_ms, config.pause_ms_min), config.pause_ms_max)
        self._opens_s = asyncio.get_running_loop().time() + self._pause_ms / 1000

    def status(self) -> dict[str, int | str]:
        """Return figures for the status table."""
        return {
            "links": 1,
            "links_up": int(self._session is not None and not self._pause_ms),
            "in_flight": self._in_flight,
            "sent": self._sent,
            "refused": self._refused,
            "last_fault": self._last_fault,
        }

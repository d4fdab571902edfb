"""Texts on their way to the SMSC: their parts over the links, the parts' answers as one outcome.

A refused part of a text whose other parts were taken is tried again here, a few times, because part of the text may be
on a screen already; then the outcome is UNKNOWN. A full centre ("throttled") costs no try: the part is offered as long
as the text is good, `_PARTS_MS_MAX` at most.

An answer that comes after its time belongs to a text whose outcome was given as UNKNOWN. With the last of its parts it
is settled: a `Receipt` with the decision's id goes to `on_receipt`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from connectors.contract import NowMs, OnReceipt, Outcome, Receipt, ReceiptState, State
from connectors.gateways.pace import Pace
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Pdu
from connectors.gateways.smpp.config import SmppConfig
from connectors.gateways.smpp.link import Link, LinkLostError
from connectors.gateways.smpp.receipts import ReceiptIds

log = logging.getLogger(__name__)

_PART_TRIES = 4
_PART_WAIT_MS = 100
_PARTS_MS_MAX = 600_000
_QUEUE_FULL_MS = 5_000
_UNSENT = Outcome(State.LINK_DOWN, "LINK_DOWN")


class _Text:
    """The parts of a text, what became of each, and whether that was given out as UNKNOWN."""

    __slots__ = ("bodies", "decision_id", "given_as_unknown", "outcomes")

    def __init__(self, decision_id: str, bodies: Sequence[bytes]) -> None:
        self.decision_id = decision_id
        self.bodies = bodies
        self.outcomes = [_UNSENT] * len(bodies)
        self.given_as_unknown = False


class Submits:
    """Sends texts.

    Args:
        name: of the gateway.
        config: what its statuses and ids mean.
        now_ms: wall clock for the time of late answers.
        links: those of the gateway, as they come and go.
        pace: counts what is sent and refused.
    """

    def __init__(self, name: str, config: SmppConfig, now_ms: NowMs, links: list[Link], pace: Pace) -> None:
        self._name = name
        self._now_ms = now_ms
        self._links = links
        self._pace = pace
        self._states = {int(status, 0): State(name) for status, name in config.errors.items()}
        self._ids = ReceiptIds(config.receipt_ids, config.receipt_ids_parameter)
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_receipt: OnReceipt | None = None
        self.counts: Counter[str] = Counter()

    async def send(self, decision_id: str, bodies: Sequence[bytes], life_ms: int | None) -> Outcome:
        """Send the parts of a text and return its outcome; try refused parts again only when others were taken."""
        text = _Text(decision_id, bodies)
        if len(bodies) == 1:
            await self._submit(text, 0)
        else:
            await self._send_parts(text, _PARTS_MS_MAX if life_ms is None else min(life_ms, _PARTS_MS_MAX))
        outcome = join(text.outcomes)
        text.given_as_unknown = outcome.state is State.UNKNOWN
        return outcome

    async def finish(self, wait_s: float) -> None:
        """Wait until late answers are stored, `wait_s` at most."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=wait_s)

    async def _send_parts(self, text: _Text, life_ms: int) -> None:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + life_ms / 1000
        await asyncio.gather(*(self._submit(text, at) for at in range(len(text.bodies))))
        tries = 1
        while True:
            outcomes = text.outcomes
            again = [at for at, one in enumerate(outcomes) if one.state in (State.RETRY, State.LINK_DOWN)]
            if not again or all(one.state is not State.ACCEPTED for one in outcomes):
                return
            waits_ms = [outcomes[at].retry_after_ms for at in again]
            tries += None in waits_ms
            wait_ms = max(wait_ms or _PART_WAIT_MS for wait_ms in waits_ms)
            if tries > _PART_TRIES or loop.time() + wait_ms / 1000 > ends_s:
                return
            await asyncio.sleep(wait_ms / 1000)
            await asyncio.gather(*(self._submit(text, at) for at in again))

    async def _submit(self, text: _Text, at: int) -> None:
        """Send one part, and keep what became of it."""
        link = max(self._links, key=lambda one: (one.bound, one.free), default=None)
        if link is None or not link.bound:
            text.outcomes[at] = _UNSENT
            return
        self._pace.sent(asyncio.get_running_loop().time())
        self.counts["sent"] += 1
        try:
            answer = await link.request(text.bodies[at], lambda late: self._came_late(text, at, late))
        except LinkLostError as lost:
            text.outcomes[at] = Outcome(State.UNKNOWN if lost.written else State.LINK_DOWN, lost.code)
            return
        if answer.status in codec.CLOSES_LINK:
            link.close(f"0x{answer.status:02x}")
        text.outcomes[at] = self._outcome(answer)

    # What answers say.

    def _outcome(self, answer: Pdu) -> Outcome:
        if answer.status != codec.OK:
            return self._refused(answer.status, asyncio.get_running_loop().time())
        if answer.command == codec.GENERIC_NACK:  # neither taken nor refused with a reason
            return Outcome(State.UNKNOWN, "NACK")
        try:
            message_id = codec.unpack_id(answer.body)
        except codec.CodecError:
            message_id = ""
        return Outcome(State.ACCEPTED, "", (self._ids.kept(message_id),))

    def _refused(self, status: int, now: float) -> Outcome:
        state = self._states.get(status) or codec.outcome_state(status)
        retry_after_ms = None
        if status in (codec.THROTTLED, codec.QUEUE_FULL):
            self.counts["throttled"] += 1
            retry_after_ms = self._pace.throttled(now)
            if status == codec.QUEUE_FULL:
                retry_after_ms = max(retry_after_ms, _QUEUE_FULL_MS)
        return Outcome(state, f"0x{status:02x}", (), retry_after_ms)

    def _came_late(self, text: _Text, at: int, answer: Pdu) -> None:
        """Settle a text that was given out as UNKNOWN, once the last of its parts has an answer."""
        text.outcomes[at] = self._outcome(answer)
        self.counts["late_answers"] += 1
        outcome = join(text.outcomes)
        if not text.given_as_unknown or outcome.state is State.UNKNOWN:
            return
        text.given_as_unknown = False
        late = Receipt(
            self._name,
            outcome.gateway_message_id,
            ReceiptState.ACCEPTED if outcome.state is State.ACCEPTED else ReceiptState.REFUSED,
            outcome.code,
            self._now_ms(),
            decision_id=text.decision_id,
            part_ids=outcome.gateway_message_ids,
        )
        task = asyncio.get_running_loop().create_task(self._settle(late))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, late: Receipt) -> None:
        assert self.on_receipt is not None
        try:
            await self.on_receipt(late)
        except Exception as fault:  # noqa: BLE001 - the outcome stays unknown, as it was
            log.warning("gateway %s: storing a late answer: %s", self._name, fault)


_DOUBT = (State.UNKNOWN, State.PERMANENT, State.REROUTE, State.RETRY, State.LINK_DOWN)


def join(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a text from those of its parts: all taken, none taken (the gravest reason), or UNKNOWN."""
    if len(outcomes) == 1:
        return outcomes[0]
    if all(outcome.state is State.ACCEPTED for outcome in outcomes):
        ids = tuple(id_ for outcome in outcomes for id_ in outcome.gateway_message_ids)
        return Outcome(State.ACCEPTED, "", ids)
    worst = min((o for o in outcomes if o.state is not State.ACCEPTED), key=lambda o: _DOUBT.index(o.state))
    if any(outcome.state is State.ACCEPTED for outcome in outcomes):
        return Outcome(State.UNKNOWN, f"PARTS {worst.code}")
    return worst

"""What a subscriber's reply does: an opt-out, an opt-in, or a text that rules may read.

    reply ─► words ─► the log has it ─► the partition's dispatch has applied it ─► acknowledged to the network

`Replies` serves one process that has log and dispatch; a cluster's `Exchange` takes the same steps over topics. An
opt-out is acknowledged when nothing commercial from before it can go any more: the log has it durably (so the fold
passes it before any later event), dispatch holds every attempt against it, over a restart too, and what was on its way
to the subscriber has been answered. Whatever fails on the way is raised: the network brings the reply again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from connectors.contract import MobileOriginated, NowMs
from engine.dispatch.core import DispatchCore
from engine.dispatch.model import Decided
from engine.dispatch.opted_out import OptOut
from engine.dispatch.optout import Wish
from engine.dispatch.policy import DESK, NOTICE_RULE, Policy
from rules.catalogue import OPT_OUT_LIST
from state.hashing import stable_id
from state.numbers import NumberError, NumberPlan

ANSWERED_S = 30.0
"""How long answers of gateways to what is on its way are waited for, before a reply is left to come again."""
EVERYTHING = Wish(out=True)
NOTICE_PARTITION = 1 << 20
"""The partition in the ids of notices: one that no log has, so they are no decision's."""
NOTICE_LIFE_MS = 24 * 3_600_000
_POLL_S = 0.01

log = logging.getLogger(__name__)


class ReplySink(Protocol):
    """The log, as replies are written to it; both return when it is durable."""

    async def member(self, subscriber: int, name: str, *, member: bool) -> tuple[int, int]:
        """Put a subscriber on a list or take one off it; return its partition, and a position not before the row's."""

    async def reply(self, reply: MobileOriginated, decision_id: str) -> bool:
        """Keep a reply that is no opt-out as an event, with the decision that it answers, empty where none is known.

        Returns whether the schema has such events.
        """


def list_of(wish: Wish) -> str:
    """Return the list that a wish is about."""
    return f"{OPT_OUT_LIST}.{wish.service}" if wish.service else OPT_OUT_LIST


def channels_of(policy: Policy, gateway: str, to_address: str) -> list[str]:
    """Return the channels that texts from a number go by; where none has it, those that the gateway sends.

    Without a gateway, as where a clerk heard it, every channel of texts.
    """
    texts = {name: one for name, one in policy.channels.items() if not one.alert and one.route != (DESK,)}
    by_gateway = [name for name, one in texts.items() if not gateway or gateway in one.route]
    return [name for name in by_gateway if policy.channels[name].source_address == to_address] or by_gateway


def notice_of(opt_out: OptOut, policy: Policy, gateway: str, to_address: str, now_ms: int) -> Decided | None:
    """Return the text that confirms an opt-out, None where none is set or no channel goes by the reply's gateway.

    The channel is the one of the number that was replied to, else the first that the gateway sends.
    """
    channels = channels_of(policy, gateway, to_address)
    if not policy.optout_confirmation or not channels:
        return None
    row, rule = stable_id(str(opt_out.subscriber)), stable_id(NOTICE_RULE)
    return Decided(
        decision_id=f"{NOTICE_PARTITION}-{opt_out.position}-{row}-{rule:x}",
        subscriber=opt_out.subscriber,
        rule=NOTICE_RULE,
        campaign=NOTICE_RULE,
        channel=channels[0],
        offer=opt_out.service,
        text=policy.optout_confirmation,
        klass="service",
        append_ms=now_ms,
        shelf_life_ms=NOTICE_LIFE_MS,
        priority=0,
    )


def apply(core: DispatchCore, opt_out: OptOut, gateway: str, to_address: str, now_ms: int) -> None:
    """Apply an opt-out that stands in the log, and confirm it to its subscriber, once."""
    if core.opt_out(opt_out, now_ms):
        notice = notice_of(opt_out, core.policy, gateway, to_address, now_ms)
        if notice is not None:
            core.notify(notice, now_ms)


async def answered(core: DispatchCore, subscriber: int) -> None:
    """Return when nothing commercial is on its way to a subscriber; TimeoutError after `ANSWERED_S`."""
    async with asyncio.timeout(ANSWERED_S):
        while core.reaches(subscriber):  # noqa: ASYNC110 - sends end for many reasons: polling is simplest
            await asyncio.sleep(_POLL_S)


class Replies:
    """Takes replies where log and dispatch are of this process.

    Args:
        core: dispatch.
        sink: the log.
        now_ms: dispatch's clock.
        durable: returns when everything that dispatch recorded is durable.
    """

    def __init__(
        self, core: DispatchCore, sink: ReplySink, now_ms: NowMs, durable: Callable[[], Awaitable[None]]
    ) -> None:
        self._core = core
        self._sink = sink
        self._now_ms = now_ms
        self._durable = durable

    async def take(self, reply: MobileOriginated) -> None:
        """Take a reply; returns when it may be acknowledged to the network."""
        core = self._core
        known = by_plan(reply, core.policy.numbers, core.counts)
        if known is None:
            return
        reply = known
        wish = core.policy.optout.read(reply.text)
        if wish is None:
            await keep(self._sink, reply, core.counts, answered_by(core, reply))
            return
        if wish.out:
            await self.opt_out(reply.subscriber, wish, reply.gateway, reply.to_address)
        else:
            core.counts["opt_ins"] += 1
            await self._sink.member(reply.subscriber, list_of(wish), member=False)

    async def opt_out(self, subscriber: int, wish: Wish = EVERYTHING, gateway: str = "", to_address: str = "") -> None:
        """Opt a subscriber out, by a reply or, without a gateway, at the desk; returns when it holds."""
        core = self._core
        core.counts["opt_outs"] += 1
        core.opt_out(OptOut(subscriber, wish.service), self._now_ms())
        partition, position = await self._sink.member(subscriber, list_of(wish), member=True)
        apply(core, OptOut(subscriber, wish.service, partition, position), gateway, to_address, self._now_ms())
        await self._durable()
        await answered(core, subscriber)


def by_plan(reply: MobileOriginated, numbers: NumberPlan, counts: dict[str, int]) -> MobileOriginated | None:
    """Return a reply as its subscriber's; None for a number that nobody can have: coming again would not mend it."""
    try:
        return replace(reply, subscriber=numbers.subscriber(reply.subscriber, is_national=reply.is_national))
    except NumberError:
        counts["replies_unusable"] = counts.get("replies_unusable", 0) + 1
        log.warning("gateway %s: a reply came from what is no subscriber's number", reply.gateway)
        return None


def answered_by(core: DispatchCore, reply: MobileOriginated) -> str:
    """Return the decision that a reply most likely answers: the latest that reached its subscriber from that number.

    Empty where nothing did within `reached.ANSWERED_DAYS` before the reply.
    """
    channels = channels_of(core.policy, reply.gateway, reply.to_address)
    return core.reached.answered(reply.subscriber, channels, reply.at_ms)


async def keep(sink: ReplySink, reply: MobileOriginated, counts: dict[str, int], decision_id: str = "") -> None:
    """Keep a reply that asks for nothing as an event; where the log takes none, it is counted and logged."""
    counts["replies"] = counts.get("replies", 0) + 1
    if not await sink.reply(reply, decision_id):
        counts["replies_not_kept"] = counts.get("replies_not_kept", 0) + 1
        log.warning(
            "gateway %s: a reply of %d characters is no opt-out and was not kept", reply.gateway, len(reply.text)
        )

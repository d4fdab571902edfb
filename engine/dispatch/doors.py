"""Gateways and the desk as dispatch sees them: something with room that answers a send with an outcome."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from connectors.contract import BatchGateway, Gateway, Message, Outcome, State
from connectors.desk.desk import BehindError, Desk
from connectors.desk.model import Card, Placing
from connectors.desk.queue import QueueLostError
from engine.dispatch.model import Decided
from engine.dispatch.policy import ChannelPolicy
from engine.flow.steps import FOREVER_MS

Recall = Callable[[Collection[str]], Mapping[str, Outcome] | None]
"""Returns what became of sends that a door was given before a restart, or was about to be; it is called `recall`.

What it does not name it certainly does not have. None where it cannot say.
"""

_NO_CHANNEL = Outcome(State.PERMANENT, "NO_CHANNEL")
"""The answer for a decision whose channel the book has lost since."""
_DESK_ROOM = 256
_RETRY_S = 0.2


class Door(Protocol):
    """A place where sends go."""

    @property
    def up(self) -> bool:
        """Whether anything could go."""

    @property
    def repeatable(self) -> bool:
        """Whether handing over the same decision twice does no harm: it is known by its id.

        So the answer to a repeated one also says what became of the earlier ones.
        """

    def room(self) -> int:
        """Return how many sends it takes at once, beside those that it holds a place for."""

    def hold(self, parts: int) -> None:
        """Hold places for a send that comes as soon as its attempt is durable."""

    def let_go(self, parts: int) -> None:
        """Give places up: the send comes now, or never."""

    async def send(self, what: Decided, now_ms: int) -> Outcome:
        """Hand over one decision."""


@runtime_checkable
class BatchDoor(Door, Protocol):
    """A door that may answer many sends at once."""

    @property
    def together(self) -> bool:
        """Whether it does."""

    async def send_all(self, every: Sequence[Decided], now_ms: int) -> list[Outcome]:
        """Hand over decisions; return an outcome for each, in their order."""


class GatewayDoor:
    """A gateway: texts. A message that was written is never repeated blindly, unless the other side knows its id."""

    def __init__(self, gateway: Gateway, channels: Mapping[str, ChannelPolicy]) -> None:
        self._gateway = gateway
        self._batches = gateway if isinstance(gateway, BatchGateway) else None
        self.channels = channels
        """As the policy of the active book has them."""
        self._held = 0

    @property
    def repeatable(self) -> bool:
        """Whether the other side knows a message by its decision's id, as some kinds of gateway promise."""
        return bool(getattr(self._gateway, "repeatable", False))

    def recall(self, decision_ids: Collection[str]) -> Mapping[str, Outcome] | None:
        """Ask the gateway, where it is of a kind that can say."""
        recall: Recall | None = getattr(self._gateway, "recall", None)
        return recall(decision_ids) if recall is not None else None

    @property
    def up(self) -> bool:
        """Whether the gateway is up."""
        return self._gateway.up

    def room(self) -> int:
        """Return the gateway's room that nobody has taken yet."""
        return max(0, self._gateway.room() - self._held)

    def hold(self, parts: int) -> None:
        """Hold places: several cores may share the gateway."""
        self._held += parts

    def let_go(self, parts: int) -> None:
        """Give places up."""
        self._held -= parts

    async def send(self, what: Decided, now_ms: int) -> Outcome:
        """Send the text; the gateway gets its remaining shelf life."""
        message = self._message(what, now_ms)
        return _NO_CHANNEL if message is None else await self._gateway.send(message)

    @property
    def together(self) -> bool:
        """Whether the gateway takes many messages at once."""
        return self._batches is not None

    async def send_all(self, every: Sequence[Decided], now_ms: int) -> list[Outcome]:
        """Send the texts, as `send` does one."""
        assert self._batches is not None
        messages = [self._message(what, now_ms) for what in every]
        answers = iter(await self._batches.send_all([one for one in messages if one is not None]))
        return [_NO_CHANNEL if one is None else next(answers) for one in messages]

    def _message(self, what: Decided, now_ms: int) -> Message | None:
        """Return a decision as the gateway gets it; None where nobody knows whom it is for."""
        channel = self.channels.get(what.channel)
        if channel is None:
            return None
        keeps_ms = what.expires_ms - now_ms if what.expires_ms < FOREVER_MS else None
        return Message(
            what.decision_id,
            channel.destination if channel.alert else what.subscriber,
            what.text,
            channel.source_address,
            keeps_ms,
            what.klass,
            about=what.subscriber if channel.alert else 0,
        )


class DeskDoor:
    """The front desk: cards. A card is known by its decision, so a second offer of it changes nothing.

    While the desk's queue is out of reach the door is down and cards wait. An offer whose answer was lost is made again
    until the desk says what became of it, so a card that was shown is never refunded.
    """

    repeatable = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def up(self) -> bool:
        """Whether the desk's queue is within reach."""
        return self._desk.within_reach

    def room(self) -> int:
        """Return how many cards are offered at once."""
        return _DESK_ROOM

    def hold(self, parts: int) -> None:
        """Nothing to hold: a desk has room enough."""

    def let_go(self, parts: int) -> None:
        """Nothing was held."""

    async def send(self, what: Decided, now_ms: int) -> Outcome:  # noqa: ARG002 - the signature of a door
        """Offer the card to the terminal where its subscriber stands."""
        fields = what.fields
        card = Card(
            decision_id=what.decision_id,
            subscriber=what.subscriber,
            title=fields.get("title", what.offer),
            reason=fields.get("reason", what.text),
            script=fields.get("script", ""),
            price=fields.get("price", ""),
            priority=what.priority,
            expires_ms=what.expires_ms if what.expires_ms < FOREVER_MS else 0,
            rule=what.rule,
            campaign=what.campaign,
        )
        doubtful = False
        while True:
            try:
                placing = await self._desk.offer(what.subscriber, card)
                break
            except QueueLostError as lost:
                doubtful |= lost.doubtful
                if not doubtful:
                    return Outcome(State.LINK_DOWN, "DESK_LOST")
            except BehindError:
                if not doubtful:
                    return Outcome(State.RETRY, "DESK_BEHIND")
            await asyncio.sleep(_RETRY_S)
        if placing in {Placing.SHOWN, Placing.ENDED}:
            return Outcome(State.ACCEPTED)
        return Outcome(State.PERMANENT, placing.value.upper())

"""Gateways and the desk as dispatch sees them: something with room that answers a send with an outcome."""

from collections.abc import Mapping
from typing import Protocol

from connectors.contract import Gateway, Message, Outcome, State
from connectors.desk.desk import Desk
from connectors.desk.model import Card, Placing
from engine.dispatch.model import FOR_EVER_MS, Decided
from engine.dispatch.policy import ChannelPolicy

_DESK_ROOM = 256


class Door(Protocol):
    """Where sends go."""

    @property
    def up(self) -> bool:
        """Whether anything could go."""

    @property
    def repeatable(self) -> bool:
        """Whether handing over the same decision twice does no harm."""

    def room(self) -> int:
        """Return how many sends it takes at once."""

    async def send(self, what: Decided, now_ms: int) -> Outcome:
        """Hand over one decision."""


class GatewayDoor:
    """A gateway: texts. A message that was written is never repeated blindly."""

    repeatable = False

    def __init__(self, gateway: Gateway, channels: Mapping[str, ChannelPolicy]) -> None:
        self._gateway = gateway
        self._senders = {name: channel.source_address for name, channel in channels.items()}

    @property
    def up(self) -> bool:
        """Whether the gateway is up."""
        return self._gateway.up

    def room(self) -> int:
        """Return the gateway's room."""
        return self._gateway.room()

    async def send(self, what: Decided, now_ms: int) -> Outcome:
        """Send the text; the gateway is told how long it keeps."""
        keeps_ms = what.expires_ms - now_ms if what.expires_ms < FOR_EVER_MS else None
        return await self._gateway.send(
            Message(
                what.decision_id,
                what.subscriber,
                what.text,
                self._senders.get(what.channel, ""),
                keeps_ms,
                what.klass,
            )
        )


class DeskDoor:
    """The front desk: cards. A card is known by its decision, so a second offer of it changes nothing."""

    repeatable = True
    up = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def room(self) -> int:
        """Return how many cards are offered at once."""
        return _DESK_ROOM

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
            expires_ms=what.expires_ms if what.expires_ms < FOR_EVER_MS else 0,
            rule=what.rule,
            campaign=what.campaign,
        )
        placing = await self._desk.offer(what.subscriber, card)
        if placing is Placing.SHOWN:
            return Outcome(State.ACCEPTED)
        return Outcome(State.PERMANENT, placing.value.upper())

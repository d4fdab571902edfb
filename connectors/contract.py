"""What every gateway promises, whatever it speaks: the product's sinks, where decisions leave for subscribers.

A gateway takes a `Message`, answers with one `Outcome`, and later, perhaps, gives `Receipt`s and `MobileOriginated`
messages. The outcome says whether sending again is safe, and that is all dispatch needs to know about a protocol:

    ACCEPTED   the gateway has it                                   never sent again
    RETRY      refused for now, certainly not taken                 the same gateway later; one with `retry_after_ms`
                                                                    says that the gateway is full, and costs no try
    REROUTE    refused by this gateway, certainly not taken         another gateway, if there is one
    PERMANENT  refused for good, certainly not taken                given up, caps get their place back
    LINK_DOWN  nothing was written, no link was up                  another gateway, or the same one later
    UNKNOWN    written, and it is not known what became of it       never sent again when commercial

Schedules, quotas, retries and durability are not here: see `engine.dispatch`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, runtime_checkable


class State(Enum):
    """What a gateway says about one message; the module's table says what follows from each."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REROUTE = "reroute"
    PERMANENT = "permanent"
    LINK_DOWN = "link_down"
    UNKNOWN = "unknown"


class ReceiptState(Enum):
    """What a network says about a message it took earlier; only these ends are reported, not the steps between.

    ACCEPTED and REFUSED are the gateway's own answer to a submit, come after the time in which it should have.
    """

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class GatewayError(Exception):
    """A gateway cannot be opened as configured; the text names the setting, its value and what is wrong."""


class Message(NamedTuple):
    """One text for one subscriber, or an alert `about` one for somebody else.

    `destination` is 0 where an alert goes to no number: as a line of a file, or as a request.
    `source_address` empty means the gateway's own; `shelf_life_ms` None means that it never goes bad.
    """

    decision_id: str
    destination: int
    text: str
    source_address: str = ""
    shelf_life_ms: int | None = None
    klass: str = "commercial"
    wanted_receipt: bool = True
    about: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A gateway's answer to one message.

    `code` is the protocol's own word ("0x58", "SPOOL", "TIMEOUT"). A text of several parts has as many
    `gateway_message_ids`, in the order of the parts. `retry_after_ms` is the gateway's wish, None when it has none.
    """

    state: State
    code: str = ""
    gateway_message_ids: tuple[str, ...] = ()
    retry_after_ms: int | None = None

    @property
    def gateway_message_id(self) -> str:
        """The id of the first part; empty when the message was not accepted."""
        return self.gateway_message_ids[0] if self.gateway_message_ids else ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The network's last word on one part of an accepted message; may come twice, late, or before the outcome.

    `gateway_message_id` is the id that it names. `guesses` are others that it may mean, where a network writes ids in
    several ways; `numbers` are the addresses in it, one of which is the subscriber's. A guess counts only where the
    subscriber agrees, and an id counts for nobody else: networks use ids again.

    `decision_id` and `part_ids` are those of a late answer alone: the text that it is about, the ids of its parts.
    """

    gateway: str
    gateway_message_id: str
    state: ReceiptState
    code: str
    at_ms: int
    numbers: tuple[int, ...] = ()
    guesses: tuple[str, ...] = ()
    decision_id: str = ""
    part_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MobileOriginated:
    """A text that a subscriber sent to one of our numbers.

    `is_national`: the type of the subscriber's number, as the network says; None where it says neither.
    """

    gateway: str
    subscriber: int
    to_address: str
    text: str
    at_ms: int
    is_national: bool | None = None


OnReceipt = Callable[[Receipt], Awaitable[None]]
"""Returns when the receipt is safe; only then does the gateway acknowledge it to the network."""

OnMobileOriginated = Callable[[MobileOriginated], Awaitable[None]]
"""Returns when the message is safe; only then does the gateway acknowledge it to the network."""

NowMs = Callable[[], int]
"""Wall clock, epoch milliseconds; injected, as tests set the time themselves."""


@runtime_checkable
class Gateway(Protocol):
    """One connection or many to something that reaches subscribers."""

    name: str

    @property
    def up(self) -> bool:
        """Whether anything could be sent: dispatch goes to the next gateway of a route only when this one is down."""

    def room(self) -> int:
        """Return how many messages `send` would put on the wire at once; 0 while busy, throttled or down.

        Dispatch offers no more than that, so a message waits where it can still be killed.
        """

    async def start(self, on_receipt: OnReceipt, on_mo: OnMobileOriginated) -> None:
        """Open and return at once; links that are not up yet keep trying.

        Raises GatewayError when it can never work as configured.
        """

    async def send(self, message: Message) -> Outcome:
        """Hand over one message and return its outcome; raises nothing but cancellation.

        A cancelled send counts as UNKNOWN.
        """

    async def stop(self) -> None:
        """Close; messages still unanswered get their outcome first, UNKNOWN where need be."""

    def status(self) -> Mapping[str, int | str]:
        """Figures for the status table and metrics: at least `links`, `links_up`, `in_flight`."""


@runtime_checkable
class BatchGateway(Gateway, Protocol):
    """A gateway that answers many messages at once, so that nobody waits for each of them."""

    async def send_all(self, messages: Sequence[Message]) -> list[Outcome]:
        """Hand over messages and return an outcome for each, in their order; raises nothing but cancellation."""

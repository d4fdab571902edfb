"""Dispatch in memory, for what a book decided and the running one did not: windows, quotas, rates, shelf life, retries.

It is `engine.dispatch.core` itself on the log's clock. Its doors accept at once, but for a part that is refused for
good; its outbox forgets. The caller tells it each moment in order; what comes of one is outcomes for the fold.

What the running book sent as well takes its places of the quotas here too, at the time the log says.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import orjson

from connectors.contract import Outcome, State
from engine.dispatch.core import DispatchCore
from engine.dispatch.model import Action, Decided, Report, Send, SwitchScope, Withdrawn
from engine.dispatch.policy import Policy
from engine.dispatch.records import Record
from engine.flow.steps import FOREVER_MS
from engine.runtimes.backtest.sample import Sample
from state.hashing import hash_text

ROOM = 1 << 30
REPORTS_MAX = 10_000
_PARTS = 1 << 20

Ended = tuple[Report, int]
"""What became of a decision, and when it reached its subscriber, or was given up."""


@dataclass(frozen=True, slots=True)
class AcceptingDoor:
    """A gateway or a desk that is always up; the caller settles what it is given."""

    up: bool = True
    repeatable: bool = False

    def room(self) -> int:
        """Return room for anything."""
        return ROOM

    def hold(self, parts: int) -> None:
        """Hold no places: there is always room."""

    def let_go(self, parts: int) -> None:
        """Give none up."""

    async def send(self, what: Decided, now_ms: int) -> Outcome:  # noqa: ARG002 as of `Door`
        """Accept; the backtest itself never awaits a door."""
        return Outcome(State.ACCEPTED)


class ForgetfulOutbox:
    """An outbox that keeps nothing: a backtest begins anew where it is interrupted."""

    position = 0
    dirty = False
    durable = 0
    kept_bytes = 0
    segment_bytes = 0

    def put(self, record: Record) -> int:  # noqa: ARG002 as of `Outbox`
        """Forget a record."""
        return 0

    def flush(self, now_ms: int) -> None:
        """Write nothing."""

    async def commit(self) -> None:
        """Write nothing."""

    def read(self) -> Iterator[tuple[int, Record]]:
        """Yield nothing."""
        return iter(())

    def retain(self, keep_from: int) -> int:  # noqa: ARG002 likewise
        """Let nothing go."""
        return 0

    async def close(self) -> None:
        """Hold nothing."""


def scaled(policy: Policy, sample: Sample) -> Policy:
    """Return a policy with the sample's part of quotas and rates."""
    channels = {
        name: replace(one, quota_per_day=sample.scaled(one.quota_per_day), rate_per_s=one.rate_per_s * sample.share)
        for name, one in policy.channels.items()
    }
    campaigns = {name: sample.scaled(bound) or 1 for name, bound in policy.campaign_quotas.items()}
    gateways = {name: rate * sample.share for name, rate in policy.gateway_rates.items()}
    return replace(
        policy, channels=channels, campaign_quotas=campaigns, gateway_rates=gateways, in_flight_max=ROOM, queue_max=ROOM
    )


class ModelledDispatch:
    """One dispatch over all partitions of a lane.

    Args:
        policy: of the book, scaled.
        refused: the part of attempts that a gateway refuses for good, 0 to 1, chosen by the decision's id.
    """

    def __init__(self, policy: Policy, refused: float) -> None:
        names = {name for channel in policy.channels.values() for name in channel.route}
        self.core = DispatchCore(policy, ForgetfulOutbox(), dict.fromkeys(names, AcceptingDoor()))
        self._refused = int(refused * _PARTS)

    @property
    def waiting(self) -> int:
        """Decisions that have not ended."""
        return len(self.core.sends)

    def due_ms(self) -> int:
        """Return the next moment at which something is due; FOREVER_MS where nothing waits."""
        return min(self.core.due) if self.core.sends else FOREVER_MS

    def moment(self, decided: Iterable[Decided], withdrawn: Iterable[Withdrawn], now_ms: int) -> list[Ended]:
        """Take over what was decided and taken back, let go what can go, and return what ended."""
        core = self.core
        core.withdraw(withdrawn, now_ms)
        core.offer(decided, {}, now_ms)
        while (taken := core.take(now_ms)) or core.refunding:
            for send in taken:
                core.settle(send, self._answer(send), now_ms)
        return list(self._ended(now_ms))

    def day(self, at_ms: int) -> int:
        """Return the local date of a time, as quotas count it."""
        return self.core.local.day(at_ms)

    def spend(self, spent: Mapping[tuple[str, str, int], int]) -> None:
        """Take places of quotas, by channel, campaign and day, for what the running book sent."""
        for (channel, campaign, day), parts in spent.items():
            self.core.quotas.take(day, channel, campaign, parts)

    def control(self, payload: bytes, now_ms: int) -> None:
        """Pause, resume or kill, as a recorded command says; other commands are not for dispatch."""
        record = orjson.loads(payload)
        if record["action"] in set(Action):
            self.core.switch(SwitchScope(record["kind"]), record["name"], Action(record["action"]), now_ms)

    def _answer(self, send: Send) -> Outcome:
        refused = self._refused and hash_text(send.what.decision_id.encode()) % _PARTS < self._refused
        return Outcome(State.PERMANENT, "REFUSED") if refused else Outcome(State.ACCEPTED)

    def _ended(self, now_ms: int) -> Iterator[Ended]:
        core = self.core
        while reports := core.reports(REPORTS_MAX):
            for report in reports:
                reached_ms = core.contact_ms(report)
                yield report, now_ms if reached_ms is None else reached_ms
            core.mark_reported(reports)

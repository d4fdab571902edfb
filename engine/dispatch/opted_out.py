"""Subscribers that have opted out, as dispatch applies it: nothing commercial goes that was decided before.

The fold stops what is decided after an opt-out stands in the log. What was decided before may wait anywhere: in the
queue, in a back-off, in the part of the journal that is not read yet. So each opt-out is kept with the position of its
row in the log of the subscriber's partition, and every commercial attempt is held against it. A decision of a later
position was made by a fold that knew the list, so an opt-in needs nothing here.

An opt-out whose position is not known yet counts for everything (`PENDING`) and is forgotten by a restart: it was not
acknowledged, so the network brings it again. No clock, no disk here; `records.opted_out` keeps it over a restart.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.dispatch.model import Decided
from state.decisions import parse_decision_id

PENDING = 1 << 62
"""The position of an opt-out that is still on its way into the log."""


class OptOut(NamedTuple):
    """One opt-out: `service` is empty for all, else an offer, a campaign or a channel.

    `partition` and `position` say where it stands in the log, or after which frame it certainly does not.
    """

    subscriber: int
    service: str = ""
    partition: int = -1
    position: int = PENDING

    @property
    def pending(self) -> bool:
        """Whether it is still on its way into the log."""
        return self.position == PENDING


class OptedOut:
    """The opt-outs of before which decisions may still come."""

    def __init__(self) -> None:
        self._found: dict[int, dict[str, OptOut]] = {}
        self._pending: dict[int, set[str]] = {}

    def add(self, opt_out: OptOut) -> bool:
        """Remember an opt-out; return whether it is the subscriber's first of that service that stands in the log."""
        subscriber, service = opt_out.subscriber, opt_out.service
        if opt_out.pending:
            self._pending.setdefault(subscriber, set()).add(service)
            return False
        if subscriber in self._pending:
            self._pending[subscriber].discard(service)
        services = self._found.setdefault(subscriber, {})
        known = services.get(service)
        if known is None or opt_out.position > known.position:
            services[service] = opt_out
        return known is None

    def refuses(self, what: Decided) -> bool:
        """Return whether a decision must not be sent: a commercial one from before its subscriber's opt-out."""
        subscriber = what.subscriber
        if what.klass == "service" or (subscriber not in self._found and subscriber not in self._pending):
            return False
        services = {"", what.offer, what.campaign, what.channel}
        if not services.isdisjoint(self._pending.get(subscriber, ())):
            return True
        found = self._found.get(subscriber, {})
        until = max((found[service].position for service in services if service in found), default=-1)
        return parse_decision_id(what.decision_id)[1] <= until

    def prune(self, passed: Callable[[OptOut], bool]) -> None:
        """Forget those that `passed` says no decision from before can come of any more."""
        for subscriber, services in list(self._found.items()):
            left = {name: one for name, one in services.items() if not passed(one)}
            if left:
                self._found[subscriber] = left
            else:
                del self._found[subscriber]

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def plain(self) -> list[OptOut]:
        """Return those that stand in the log, as plain data."""
        return [one for services in self._found.values() for one in services.values()]

    def restore(self, plain: Iterable[Iterable[int | str]]) -> None:
        """Replace everything."""
        self._found = {}
        for fields in plain:
            subscriber, service, partition, position = fields
            self.add(OptOut(int(subscriber), str(service), int(partition), int(position)))

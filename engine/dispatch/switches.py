"""What operations have paused and killed: rules, campaigns and channels, by name.

Paused sends wait, as long as their shelf life allows. Killed ones are refunded, those waiting and those that come
later, until `resume`. The outbox remembers switches over a restart.
"""

from collections.abc import Iterable

from engine.dispatch.model import Action, Scope
from engine.dispatch.queue import LaneKey


class Switches:
    """The switches that are not in their normal position."""

    def __init__(self) -> None:
        self._thrown: dict[tuple[Scope, str], Action] = {}

    def throw(self, scope: Scope, name: str, action: Action) -> None:
        """Pause, kill or resume; the last word counts."""
        if action is Action.RESUME:
            self._thrown.pop((scope, name), None)
        else:
            self._thrown[scope, name] = action

    def action(self, key: LaneKey) -> Action | None:
        """Return what holds for a lane: kill before pause, None when it runs."""
        if not self._thrown:
            return None
        found = {
            self._thrown.get((Scope.RULE, key.rule)),
            self._thrown.get((Scope.CAMPAIGN, key.campaign)),
            self._thrown.get((Scope.CHANNEL, key.channel)),
        }
        return Action.KILL if Action.KILL in found else Action.PAUSE if Action.PAUSE in found else None

    def thrown(self) -> list[tuple[str, str, str]]:
        """Return all switches, as plain data."""
        return [(scope.value, name, action.value) for (scope, name), action in self._thrown.items()]

    def restore(self, thrown: Iterable[tuple[str, str, str]]) -> None:
        """Replace all switches."""
        self._thrown = {(Scope(scope), name): Action(action) for scope, name, action in thrown}

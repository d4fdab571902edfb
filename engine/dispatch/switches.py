"""What operations have paused and killed: rules, campaigns and channels, by name.

Paused sends wait, as long as their shelf life allows. Killed ones are refunded, those waiting and those that come
later, until `resume`. The outbox remembers switches over a restart.
"""

from collections.abc import Iterable

from engine.dispatch.model import Action, RuleKey, SwitchScope


class Switches:
    """The switches that are not in their normal position."""

    def __init__(self) -> None:
        self._active: dict[tuple[SwitchScope, str], Action] = {}

    def set(self, scope: SwitchScope, name: str, action: Action) -> None:
        """Pause, kill or resume; the last one counts."""
        if action is Action.RESUME:
            self._active.pop((scope, name), None)
        else:
            self._active[scope, name] = action

    def action(self, key: RuleKey) -> Action | None:
        """Return what holds for a rule queue: kill before pause, None when it runs."""
        if not self._active:
            return None
        found = {
            self._active.get((SwitchScope.RULE, key.rule)),
            self._active.get((SwitchScope.CAMPAIGN, key.campaign)),
            self._active.get((SwitchScope.CHANNEL, key.channel)),
        }
        return Action.KILL if Action.KILL in found else Action.PAUSE if Action.PAUSE in found else None

    def active(self) -> list[tuple[str, str, str]]:
        """Return all switches as plain data: scope, name, action."""
        return [(scope.value, name, action.value) for (scope, name), action in self._active.items()]

    def restore(self, active: Iterable[tuple[str, str, str]]) -> None:
        """Replace all switches."""
        self._active = {(SwitchScope(scope), name): Action(action) for scope, name, action in active}

"""When something that waits may go, or ends: the moments at which the events' own clock must stop.

`Due.turn_ms` is the next turn of what only its rate holds back, `retry_ms` the next end of a back-off or of a
subscriber's quiet hours, `later_ms` the next opening of a window, the next day of a quota, or the next end of a shelf
life. Whoever lets time pass without events waits for the first two and not for the last. Called when nothing more can
go at the present time.

What a rate holds back goes on at whole tenths of a second, when as much may pass as a bucket holds.
"""

from typing import NamedTuple

from engine.dispatch.model import Phase, RuleQueue
from engine.dispatch.state import DispatchState
from engine.flow.steps import FOREVER_MS

TURN_MS = 100


class Due(NamedTuple):
    """The next moments at which there is something to do; `FOREVER_MS` where there is none."""

    turn_ms: int
    retry_ms: int
    later_ms: int


def next_due(state: DispatchState) -> Due:
    """Return when there is something to do after the state's present time."""
    turn_ms, retry_ms = FOREVER_MS, state.queue.backoff_ms()
    later_ms = state.queue.expiry_ms()
    for queue in state.queue.rule_queues.values():
        opens_ms = _opens_ms(state, queue)
        if opens_ms > state.now_ms:
            later_ms = min(later_ms, opens_ms)
        elif queue.head() is not None:
            turn_ms = min(turn_ms, _turn_ms(state, queue))
    after_ms = state.now_ms + 1
    return Due(max(turn_ms, after_ms), max(retry_ms, after_ms), max(later_ms, after_ms))


def _opens_ms(state: DispatchState, queue: RuleQueue) -> int:
    """Return when a rule queue may be open again; the present time where nothing closes it."""
    key, now_ms = queue.key, state.now_ms
    channel = state.policy.channels.get(key.channel)
    if channel is None or state.switches.action(key) is not None:
        return FOREVER_MS
    opens_ms = state.local.opens_ms(channel.windows, now_ms)
    if opens_ms <= now_ms and not state.quotas.left(state.local.day(now_ms), key.channel, key.campaign):
        return state.local.next_day_ms(now_ms)
    return opens_ms


def _turn_ms(state: DispatchState, queue: RuleQueue) -> int:
    """Return when the rates let a send of an open rule queue go."""
    name = queue.key.channel
    waiting = next(send for send in queue.sends if send.phase is Phase.WAITING)
    route = [one for one in state.policy.channels[name].route if one not in waiting.refused]
    gateways = [state.rates.gateways[one].due_ms() for one in route if one in state.rates.gateways]
    due_ms = max(state.rates.channels[name].due_ms(), min(gateways, default=0), state.now_ms + 1)
    return -(-due_ms // TURN_MS) * TURN_MS

"""Which sends go now: those whose rule is open, with a gateway that is up and has room, within rates and quotas.

A rule queue is asked once whether it is open (send window, switch, quota); each send is then judged by what changes
from one to the next: rates, room and sends in flight.
"""

from engine.dispatch import records
from engine.dispatch.doors import Door
from engine.dispatch.model import RuleQueue, Send
from engine.dispatch.queue import Verdict
from engine.dispatch.state import DispatchState, places_of

_PASSED_MAX = 64
"""Sends looked at in one round whose gateways are all down or full, before their rule queue is closed for the round."""


class Taking:
    """Takes sends from the queue, one round at a time."""

    def __init__(self, state: DispatchState) -> None:
        self._state = state
        self._rooms: dict[str, int] = {}
        self._passed = 0
        self._open_channels: set[str] = set()
        self.starved = False
        """Whether something could have gone but for rates and room, so it pays to look again soon."""
        self.taken_back: list[Send] = []
        """Those of the last round that must not go; the caller refunds them."""
        self.quiet: list[tuple[Send, int]] = []
        """Those of the last round whose subscriber has quiet hours, and until when; the caller lets them wait."""

    def take(self, now_ms: int) -> list[Send]:
        """Return the sends to hand over, best first, each with its gateway; an attempt record is put for each."""
        state = self._state
        self.starved = False
        self._passed = 0
        self._rooms = {name: self._room_of(name, door, now_ms) for name, door in state.doors.items()}
        day = state.local.day(now_ms)
        self._open_channels = self._channels_open(now_ms)
        self.taken_back, self.quiet = [], []
        taken = state.queue.take(lambda queue: self._is_open(queue, day), lambda send: self._judge(send, day))
        for send in taken:
            state.outbox.put(records.attempt(send))
        return taken

    @property
    def held(self) -> bool:
        """Whether every waiting send is held by a window, a quota, a switch or its subscriber's quiet hours."""
        state = self._state
        self._open_channels = self._channels_open(state.now_ms)
        day = state.local.day(state.now_ms)
        queues = state.queue.rule_queues.values()
        return not any(self._is_open(queue, day) and not self._all_quiet(queue) for queue in queues)

    def _all_quiet(self, queue: RuleQueue) -> bool:
        policy, now_ms = self._state.policy, self._state.now_ms
        if policy.quiet is None:
            return False
        return all(policy.quiet_until_ms(send.what, now_ms) > now_ms for send in queue.sends)

    def _room_of(self, name: str, door: Door, now_ms: int) -> int:
        rate = self._state.rates.gateways.get(name)
        return door.room() if rate is None else min(door.room(), rate.room(now_ms / 1000))

    def _channels_open(self, now_ms: int) -> set[str]:
        state = self._state
        return {
            name
            for name, channel in state.policy.channels.items()
            if state.local.opens_ms(channel.windows, now_ms) <= now_ms
        }

    def _is_open(self, queue: RuleQueue, day: int) -> bool:
        key, state = queue.key, self._state
        return (
            key.channel in self._open_channels
            and state.switches.action(key) is None
            and state.quotas.left(day, key.channel, key.campaign)
        )

    def _judge(self, send: Send, day: int) -> Verdict:
        """Give a send its gateway and count it, where rates, room and quotas allow."""
        what, state = send.what, self._state
        if state.taken_back(what):
            self.taken_back.append(send)
            return Verdict.PASS
        until_ms = state.policy.quiet_until_ms(what, state.now_ms)
        if until_ms > state.now_ms:
            self.quiet.append((send, until_ms))
            return Verdict.PASS
        self._word(send)
        bucket = state.rates.channels[what.channel]
        if state.in_flight >= state.policy.in_flight_max or bucket.room(state.now_ms / 1000) < 1:
            self.starved = True
            return Verdict.CLOSE
        if not state.quotas.fits(day, what.channel, what.campaign, send.parts):
            return Verdict.CLOSE
        gateway = self._gateway_of(send)
        if not gateway:
            # A send that was rerouted has fewer gateways than its neighbours, so the next one may still go. Without
            # a reroute all are alike, and looking at more of them is in vain.
            self._passed += 1
            return Verdict.PASS if send.refused and self._passed < _PASSED_MAX else Verdict.CLOSE
        bucket.take(send.parts)
        if gateway in state.rates.gateways:
            state.rates.gateways[gateway].take(send.parts)
        self._rooms[gateway] -= send.parts
        state.in_flight += 1
        send.gateway, send.day, send.attempted_ms = gateway, day, state.now_ms
        state.quotas.take(*places_of(send))
        return Verdict.TAKE

    def _word(self, send: Send) -> None:
        """Give a decision of an earlier book the words of the active one; not where an attempt may have arrived."""
        policy, what = self._state.policy, send.what
        if policy.words is None or not what.book or what.book == policy.book or send.doubtful:
            return
        worded = policy.words(what)
        if worded is not what:
            send.reworded |= worded.text != what.text
            send.what, send.parts = worded, self._state.parts_of(worded)

    def _gateway_of(self, send: Send) -> str:
        """Return the first gateway of the route that is up and has not refused the send, if it has room."""
        state = self._state
        for name in state.policy.channels[send.what.channel].route:
            door = state.doors.get(name)
            if name in send.refused or door is None or not door.up:
                continue
            if self._rooms[name] > 0:
                return name
            self.starved = True
            return ""
        return ""

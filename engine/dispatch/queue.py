"""Sends that wait, in the order in which they may go.

A **lane** holds the sends of one rule on one channel: windows, quotas and switches hold for all of them alike, so a
closed lane costs one look however long it is. Between lanes the highest priority goes first, then the oldest.

A **line** holds the sends to one subscriber on one channel, in the order of their decisions. While one of them is on
its way or in back-off the others are parked, and a later one overtakes an earlier one only when that one's lane is
closed.

Heaps keep entries of sends that have gone on; they are passed over, and swept when they outnumber the others.
Whether a lane is open and a gateway has room is asked of the caller. No clock, no disk here.
"""

import heapq
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from engine.dispatch.model import FOR_EVER_MS, Phase, Send

_SLACK = 1_000
_BUSY = (Phase.FLYING, Phase.BACKOFF)


class LaneKey(NamedTuple):
    """What the sends of a lane have in common."""

    channel: str
    campaign: str
    rule: str


class Lane:
    """The sends of one rule on one channel."""

    __slots__ = ("heap", "key", "sends")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.heap: list[tuple[int, int, int, Send]] = []
        self.sends: dict[Send, None] = {}

    def head(self) -> tuple[int, int] | None:
        """Return the rank of the first send that is still waiting."""
        heap = self.heap
        while heap and heap[0][3].phase is not Phase.WAITING:
            heapq.heappop(heap)
        return heap[0][:2] if heap else None


class Verdict(Enum):
    """What the caller says to a send that could go."""

    TAKE = 0
    PASS = 1  # not this one now, perhaps the next of its lane
    CLOSE = 2  # nothing more of its lane now


class Queue:
    """Every send that has not gone, wherever it waits."""

    def __init__(self) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self._lines: dict[tuple[int, str], list[Send]] = {}
        self._backoff: list[tuple[int, int, Send]] = []
        self._expiry: list[tuple[int, int, Send]] = []
        self._pushes = 0
        self.count = 0

    def add(self, send: Send) -> None:
        """Take a new send."""
        what = send.what
        key = LaneKey(what.channel, what.campaign, what.rule)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(key)
        lane.sends[send] = None
        self.count += 1
        send.lane = lane
        line = self._lines.get((what.subscriber, what.channel))
        if line is None:
            self._lines[what.subscriber, what.channel] = [send]
        else:
            line.append(send)
        if send.expires_ms < FOR_EVER_MS:
            heapq.heappush(self._expiry, (send.expires_ms, send.order, send))
        self._push(send)

    def _push(self, send: Send) -> None:
        assert send.lane is not None
        send.phase = Phase.WAITING
        self._pushes += 1
        heapq.heappush(send.lane.heap, (-send.what.priority, send.order, self._pushes, send))

    def back_off(self, send: Send, due_ms: int) -> None:
        """Let a send that was on its way wait until `due_ms`."""
        send.phase = Phase.BACKOFF
        send.due_ms = due_ms
        self._pushes += 1
        heapq.heappush(self._backoff, (due_ms, self._pushes, send))

    def wake(self, now_ms: int) -> None:
        """Let those whose back-off is over wait for their turn again."""
        heap = self._backoff
        while heap and heap[0][0] <= now_ms:
            due_ms, _, send = heapq.heappop(heap)
            if send.phase is Phase.BACKOFF and send.due_ms == due_ms:
                self._push(send)
                self._unpark(self._lines[send.what.subscriber, send.what.channel])

    def expired(self, now_ms: int) -> Iterator[Send]:
        """Yield the sends whose time is up; those on their way are left alone. The caller drops each."""
        heap = self._expiry
        if len(heap) > 2 * self.count + _SLACK:
            heap[:] = [entry for entry in heap if entry[2].phase is not Phase.GONE]
            heapq.heapify(heap)
        late = []
        while heap and heap[0][0] <= now_ms:
            entry = heapq.heappop(heap)
            if entry[2].phase is Phase.FLYING:
                late.append(entry)
            elif entry[2].phase is not Phase.GONE:
                yield entry[2]
        for entry in late:
            heapq.heappush(heap, (now_ms + _SLACK, entry[1], entry[2]))

    def drop(self, send: Send) -> None:
        """Forget a send; those parked behind it wait for their turn again."""
        assert send.lane is not None
        send.phase = Phase.GONE
        lane = send.lane
        del lane.sends[send]
        self.count -= 1
        if not lane.sends:
            del self.lanes[lane.key]
        place = (send.what.subscriber, send.what.channel)
        line = self._lines[place]
        line.remove(send)
        if not line:
            del self._lines[place]
        self._unpark(line)

    def _unpark(self, line: list[Send]) -> None:
        for other in line:
            if other.phase is Phase.PARKED:
                self._push(other)

    def line(self, subscriber: int, channel: str) -> tuple[Send, ...]:
        """Return the sends to a subscriber on a channel, in order."""
        return tuple(self._lines.get((subscriber, channel), ()))

    def take(self, is_open: Callable[[Lane], bool], judge: Callable[[Send], Verdict]) -> list[Send]:
        """Return the sends that go now, best first; `judge` is asked of each, `is_open` once of each lane."""
        opened = {lane: is_open(lane) for lane in self.lanes.values() if lane.head() is not None}
        heads = [(*lane.heap[0][:2], lane) for lane, yes in opened.items() if yes]
        heapq.heapify(heads)
        taken: list[Send] = []
        back: list[Send] = []
        while heads:
            lane = heapq.heappop(heads)[2]
            verdict = self._next(lane, opened, judge, taken, back)
            head = lane.head() if verdict is not Verdict.CLOSE else None
            if head is not None:
                heapq.heappush(heads, (*head, lane))
        for send in back:
            self._push(send)
        return taken

    def _next(
        self,
        lane: Lane,
        opened: dict[Lane, bool],
        judge: Callable[[Send], Verdict],
        taken: list[Send],
        back: list[Send],
    ) -> Verdict:
        """Let the head of a lane go, or the one before it in its line, or neither."""
        if lane.head() is None:
            return Verdict.CLOSE
        send = heapq.heappop(lane.heap)[3]
        line = self._lines[send.what.subscriber, send.what.channel]
        send.phase = Phase.PARKED
        if any(other.phase in _BUSY for other in line):
            return Verdict.PASS
        first = self._first_of_line(send, line, opened)
        verdict = judge(first) if first is not None else Verdict.PASS
        if first is not None and verdict is Verdict.TAKE:
            first.phase = Phase.FLYING
            taken.append(first)
        else:
            back.append(send)
        return verdict

    def _first_of_line(self, send: Send, line: list[Send], opened: dict[Lane, bool]) -> Send | None:
        """Return who goes in the turn of `send`; None when one before it was set aside in this round."""
        for other in line:
            if other is send:
                break
            if other.phase is not Phase.WAITING:
                return None
            assert other.lane is not None
            if opened.get(other.lane, False):
                return other
        return send

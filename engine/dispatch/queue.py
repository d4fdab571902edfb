"""Sends that wait, in the order in which they may go.

A **rule queue** holds the sends of one rule on one channel: windows, quotas and switches hold for all of them alike, so
a closed one costs one look however long it is. Between rule queues the highest priority goes first, then the oldest.

A **subscriber queue** holds the sends to one subscriber on one channel, in the order of their decisions. While one of
them is on its way or in back-off the others are parked, and a later one overtakes an earlier one only when the rule
queue of the earlier one is closed.

Heaps keep entries of sends that have gone on: finding one in a heap is linear, skipping it at the head is free. The
heap of expiry times is swept when such entries outnumber the others. The caller says whether a rule queue is open and
a gateway has room. No clock, no disk here.
"""

import heapq
from collections.abc import Callable, Iterator
from enum import Enum

from engine.dispatch.model import Phase, RuleKey, RuleQueue, Send, rule_key_of
from engine.flow.steps import FOREVER_MS

_SLACK = 1_000
"""Entries of ended sends that are not worth a sweep."""
_LOOK_AGAIN_MS = 1_000
_BUSY = (Phase.FLYING, Phase.BACKOFF)


class Verdict(Enum):
    """The caller's answer for a send that could go."""

    TAKE = 0
    PASS = 1  # not this one now, perhaps the next of its rule queue
    CLOSE = 2  # nothing more of its rule queue now


class SendQueue:
    """Every send that has not gone, wherever it waits."""

    def __init__(self) -> None:
        self.rule_queues: dict[RuleKey, RuleQueue] = {}
        self._subscriber_queues: dict[tuple[int, str], list[Send]] = {}
        self._backoff: list[tuple[int, int, Send]] = []
        self._expiry: list[tuple[int, int, Send]] = []
        self._pushes = 0
        self.count = 0

    def add(self, send: Send) -> None:
        """Take a new send."""
        what = send.what
        key = rule_key_of(what)
        queue = self.rule_queues.get(key)
        if queue is None:
            queue = self.rule_queues[key] = RuleQueue(key)
        queue.sends[send] = None
        self.count += 1
        send.rule_queue = queue
        others = self._subscriber_queues.get((what.subscriber, what.channel))
        if others is None:
            self._subscriber_queues[what.subscriber, what.channel] = [send]
        else:
            others.append(send)
        if send.expires_ms < FOREVER_MS:
            heapq.heappush(self._expiry, (send.expires_ms, send.order, send))
        self._push(send)

    def _push(self, send: Send) -> None:
        assert send.rule_queue is not None
        send.phase = Phase.WAITING
        self._pushes += 1
        heapq.heappush(send.rule_queue.heap, (-send.what.priority, send.order, self._pushes, send))

    def back_off(self, send: Send, due_ms: int) -> None:
        """Let a send that was on its way wait until `due_ms`."""
        send.phase = Phase.BACKOFF
        send.due_ms = due_ms
        self._pushes += 1
        heapq.heappush(self._backoff, (due_ms, self._pushes, send))

    def wake(self, now_ms: int) -> None:
        """Let sends whose back-off is over wait for their turn again."""
        heap = self._backoff
        while heap and heap[0][0] <= now_ms:
            due_ms, _, send = heapq.heappop(heap)
            if send.phase is Phase.BACKOFF and send.due_ms == due_ms:
                self._push(send)
                self._unpark(self._subscriber_queues[send.what.subscriber, send.what.channel])

    def backoff_ms(self) -> int:
        """Return when the next back-off ends; `FOREVER_MS` where none is."""
        heap = self._backoff
        while heap and not (heap[0][2].phase is Phase.BACKOFF and heap[0][2].due_ms == heap[0][0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else FOREVER_MS

    def expiry_ms(self) -> int:
        """Return when the next send expires; `FOREVER_MS` where none does."""
        heap = self._expiry
        while heap and heap[0][2].phase is Phase.GONE:
            heapq.heappop(heap)
        return heap[0][0] if heap else FOREVER_MS

    def expired(self, now_ms: int) -> Iterator[Send]:
        """Yield the sends whose time is up; those on their way are looked at again later. The caller drops each."""
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
            heapq.heappush(heap, (now_ms + _LOOK_AGAIN_MS, entry[1], entry[2]))

    def drop(self, send: Send) -> None:
        """Forget a send; those parked after it wait for their turn again."""
        assert send.rule_queue is not None
        send.phase = Phase.GONE
        queue = send.rule_queue
        del queue.sends[send]
        self.count -= 1
        if not queue.sends:
            del self.rule_queues[queue.key]
        place = (send.what.subscriber, send.what.channel)
        others = self._subscriber_queues[place]
        others.remove(send)
        if not others:
            del self._subscriber_queues[place]
        self._unpark(others)

    def _unpark(self, sends: list[Send]) -> None:
        for other in sends:
            if other.phase is Phase.PARKED:
                self._push(other)

    def subscriber_queue(self, subscriber: int, channel: str) -> tuple[Send, ...]:
        """Return the sends to a subscriber on a channel, in order."""
        return tuple(self._subscriber_queues.get((subscriber, channel), ()))

    def take(self, is_open: Callable[[RuleQueue], bool], judge: Callable[[Send], Verdict]) -> list[Send]:
        """Return the sends that go now, best first; `is_open` is called once a rule queue, `judge` once a send."""
        opened = {queue: is_open(queue) for queue in self.rule_queues.values() if queue.head() is not None}
        heads = [(*queue.heap[0][:2], queue) for queue, yes in opened.items() if yes]
        heapq.heapify(heads)
        taken: list[Send] = []
        back: list[Send] = []
        while heads:
            queue = heapq.heappop(heads)[2]
            verdict = self._next(queue, opened, judge, taken, back)
            head = queue.head() if verdict is not Verdict.CLOSE else None
            if head is not None:
                heapq.heappush(heads, (*head, queue))
        for send in back:
            self._push(send)
        return taken

    def _next(
        self,
        queue: RuleQueue,
        opened: dict[RuleQueue, bool],
        judge: Callable[[Send], Verdict],
        taken: list[Send],
        back: list[Send],
    ) -> Verdict:
        """Let the head of a rule queue go, or an earlier send to the same subscriber, or neither."""
        if queue.head() is None:
            return Verdict.CLOSE
        send = heapq.heappop(queue.heap)[3]
        others = self._subscriber_queues[send.what.subscriber, send.what.channel]
        send.phase = Phase.PARKED
        alone = len(others) == 1
        if not alone and any(other.phase in _BUSY for other in others):
            return Verdict.PASS
        first = send if alone else self._first_to_subscriber(send, others, opened)
        verdict = judge(first) if first is not None else Verdict.PASS
        if first is not None and verdict is Verdict.TAKE:
            first.phase = Phase.FLYING
            taken.append(first)
        else:
            back.append(send)
        return verdict

    def _first_to_subscriber(self, send: Send, others: list[Send], opened: dict[RuleQueue, bool]) -> Send | None:
        """Return the send that goes in the turn of `send`; None when an earlier one was set aside in this round."""
        for other in others:
            if other is send:
                break
            if other.phase is not Phase.WAITING:
                return None
            assert other.rule_queue is not None
            if opened.get(other.rule_queue, False):
                return other
        return send

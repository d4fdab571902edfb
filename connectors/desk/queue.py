"""Where panels are kept: the contract, and the keeper in this process.

A keeper stores whole panels and replaces them by compare-and-set: `write` takes pairs (before, after) and stores all or
none, only while every stored panel still has the version it was read at, and every subscriber still stands where the
writer thought. All meaning is in `changes`; two keepers differ in storage only, and one contract suite runs over both.

`watch` yields a terminal's panel at once and after every change, the newest only: a slow reader skips, it never falls
behind. It yields None when the keeper is out of reach, and the panel again when it is back.

`MemoryQueue` belongs to one event loop. With a `PanelStore` (see `store`) its panels survive the process; without, as
in tests, nothing does.
"""

import asyncio
import heapq
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cachetools import FIFOCache

from connectors.desk.model import Card, Panel
from connectors.desk.store import PanelStore
from state.disk import DiskError, DiskFullError

REMEMBERED_MAX = 50_000
"""Cards, and visits, that this process can still find after they left a panel; one written again counts as new."""
FORGET_MS = 3_600_000

log = logging.getLogger(__name__)

Pointer = Literal["subscriber", "card", "visit"]


class QueueLostError(Exception):
    """The keeper of the panels is out of reach; nothing was changed that a repetition would double.

    `doubtful`: a change was on its way, and it is not known yet whether it was made.
    """

    def __init__(self, text: str, *, doubtful: bool = False) -> None:
        super().__init__(text)
        self.doubtful = doubtful


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended: a cancellation that meets a reply on its way can be lost inside a client."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)


@dataclass(frozen=True, slots=True)
class Change:
    """Panels to replace together. `stands` says where the writer read each subscriber to be ("" = nowhere).

    A subscriber is where an open visit is, else where a closed one has left cards.
    """

    pairs: tuple[tuple[Panel, Panel], ...]
    stands: Mapping[int, str] = field(default_factory=dict)

    def moves(self) -> dict[int, str]:
        """Return where subscribers stand afterwards, or have left cards: terminals; "" for those that have gone."""
        gone = {number: "" for before, _ in self.pairs for number in before.subscribers}
        there = {card.subscriber: after.terminal for _, after in self.pairs for card in after.left}
        stand = {a.open_visit.subscriber: a.terminal for _, a in self.pairs if a.open_visit is not None}
        return gone | there | stand

    def cards(self) -> dict[str, tuple[Card, str]]:
        """Return each card that this change touched with its terminal; also one that ended as its visit gave way."""
        found: dict[str, tuple[Card, str]] = {}
        for before, after in self.pairs:
            fresh = [note.card for note in after.owed if note.card is not None and note not in before.owed]
            here = (*before.cards, *before.left)
            for card in (*fresh, *(card for card in (*after.cards, *after.left) if card not in here)):
                found[card.decision_id] = (card, after.terminal)
        return found


class Queue(ABC):
    """Keeps panels. `idle_ms` and `retry_ms` say when a panel is due."""

    def __init__(self, idle_ms: int, retry_ms: int) -> None:
        self.idle_ms = idle_ms
        self.retry_ms = retry_ms

    @abstractmethod
    async def start(self) -> None:
        """Open what must be open; a keeper out of reach is no error here, it may come."""

    @abstractmethod
    async def stop(self) -> None:
        """End every watch and close what is open."""

    @property
    @abstractmethod
    def within_reach(self) -> bool:
        """Whether the keeper answered when last asked."""

    @property
    def recalling(self) -> bool:
        """Whether a visit or card that is not found may still come back."""
        return False

    @abstractmethod
    async def read(self, terminal: str) -> Panel:
        """Return a terminal's panel, an empty one when it was never heard of."""

    @abstractmethod
    async def find(self, kind: Pointer, key: int | str) -> str:
        """Return the terminal where a subscriber stands, or a card or visit was last; "" for nowhere."""

    async def find_panel(self, kind: Pointer, key: int | str) -> Panel | None:
        """Return the panel where a subscriber stands, or a card or visit was last; None for nowhere."""
        terminal = await self.find(kind, key)
        return await self.read(terminal) if terminal else None

    @abstractmethod
    async def card(self, decision_id: str) -> Card | None:
        """Return a card as it last was, also after it left the panel."""

    @abstractmethod
    async def write(self, change: Change) -> bool:
        """Replace panels, all or none; False when one of them was replaced meanwhile."""

    @abstractmethod
    def watch(self, terminal: str) -> AsyncGenerator[Panel | None]:
        """Yield the panel now and after every change; None while the keeper is out of reach."""

    @abstractmethod
    async def due(self, now_ms: int, count_max: int) -> list[str]:
        """Return terminals whose time has come, and put each off by `retry_ms` so that one process takes it."""

    @abstractmethod
    async def holding(self, field_name: Literal["rule", "campaign", "decision_id"], value: str) -> list[str]:
        """Return terminals with a live card of this rule, campaign or decision."""


class Mailbox:
    """The newest panel for one watcher, and a bell."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._newest: Panel | None = None
        self._closed = False

    def put(self, panel: Panel | None) -> None:
        """Leave the newest panel, or None for lost contact; what was not fetched is forgotten."""
        self._newest = panel
        self._bell.set()

    def close(self) -> None:
        """End the watch once the bell is heard."""
        self._closed = True
        self._bell.set()

    async def panels(self) -> AsyncIterator[Panel | None]:
        """Yield what is left here until closed."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            if self._closed:
                return
            yield self._newest


class MemoryQueue(Queue):
    """Panels in this process."""

    def __init__(self, idle_ms: int, retry_ms: int, store: PanelStore | None = None) -> None:
        super().__init__(idle_ms, retry_ms)
        self._store = store
        self._fault: DiskError | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._unsynced = False
        self._panels: dict[str, Panel] = {}
        self._subscribers: dict[int, str] = {}
        self._visits: FIFOCache[str, str] = FIFOCache(REMEMBERED_MAX)
        self._cards: FIFOCache[str, tuple[Card, str]] = FIFOCache(REMEMBERED_MAX)
        self._clock: list[tuple[int, str]] = []
        self._rings_ms: dict[str, int] = {}
        self._watchers: dict[str, set[Mailbox]] = {}

    async def start(self) -> None:
        """Restore the stored panels."""
        for panel in self._store.read() if self._store is not None else ():
            self._apply(Change(((Panel(terminal=panel.terminal), panel),)))

    async def stop(self) -> None:
        """End every watch; what was written is durable."""
        for boxes in self._watchers.values():
            for box in boxes:
                box.close()
        if self._syncing is not None:
            await asyncio.wait([self._syncing])
        if self._store is not None:
            self._store.close()

    @property
    def within_reach(self) -> bool:
        """Whether the disk took the last change."""
        return self._fault is None

    async def read(self, terminal: str) -> Panel:
        """Return the panel of this terminal."""
        return self._panels.get(terminal) or Panel(terminal=terminal)

    async def find(self, kind: Pointer, key: int | str) -> str:
        """Look up a terminal."""
        if kind == "subscriber":
            return self._subscribers.get(int(key), "")
        if kind == "visit":
            return self._visits.get(str(key), "")
        known = self._cards.get(str(key))
        return known[1] if known else ""

    async def card(self, decision_id: str) -> Card | None:
        """Return the card as it last was."""
        known = self._cards.get(decision_id)
        return known[0] if known else None

    async def write(self, change: Change) -> bool:
        """Compare, then store and apply; no await in between. QueueLostError when the disk refuses it."""
        for before, _ in change.pairs:
            current = self._panels.get(before.terminal)
            if (current.version if current else 0) != before.version:
                return False
        if any(self._subscribers.get(number, "") != terminal for number, terminal in change.stands.items()):
            return False
        # The disk first: a panel that it refused must not be seen by a watcher.
        self._append([after for _, after in change.pairs])
        self._apply(change)
        return True

    def _apply(self, change: Change) -> None:
        for number, terminal in change.moves().items():
            if terminal:
                self._subscribers[number] = terminal
            else:
                self._subscribers.pop(number, None)
        for decision_id, known in change.cards().items():
            self._cards[decision_id] = known
        for _, after in change.pairs:
            self._panels[after.terminal] = after
            self._ring(after.terminal, self._moment(after))
            if after.visit is not None:
                self._visits[after.visit.id] = after.terminal
            for box in self._watchers.get(after.terminal, ()):
                box.put(after)

    def _append(self, panels: list[Panel]) -> None:
        """Append panels to the store; a sync follows."""
        if self._store is None:
            return
        try:
            if self._fault is not None and not isinstance(self._fault, DiskFullError):
                raise self._fault
            self._store.append(panels, max(panel.changed_ms for panel in panels))
        except DiskError as fault:
            self._fault = fault
            raise QueueLostError(f"desk: {fault}") from fault
        self._fault = None
        self._unsynced = True
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync(self._store), name="desk sync")

    async def _sync(self, store: PanelStore) -> None:
        """Make durable what was written, also what is written meanwhile."""
        while self._unsynced:
            self._unsynced = False
            try:
                await asyncio.to_thread(store.sync)
            except DiskError as fault:
                log.error("desk: panels cannot be stored any more: %s", fault)
                self._fault = fault

    async def watch(self, terminal: str) -> AsyncGenerator[Panel | None]:
        """Yield the panel now and after every change."""
        box = Mailbox()
        box.put(await self.read(terminal))
        self._watchers.setdefault(terminal, set()).add(box)
        try:
            async for panel in box.panels():
                yield panel
        finally:
            boxes = self._watchers[terminal]
            boxes.discard(box)
            if not boxes:
                del self._watchers[terminal]

    def _moment(self, panel: Panel) -> int:
        moment = panel.due_ms(self.idle_ms, self.retry_ms)
        return panel.changed_ms + FORGET_MS if moment is None else moment

    def _ring(self, terminal: str, moment_ms: int) -> None:
        """Keep one entry a terminal: a later moment waits until the earlier one is looked at."""
        if moment_ms < self._rings_ms.get(terminal, moment_ms + 1):
            self._rings_ms[terminal] = moment_ms
            heapq.heappush(self._clock, (moment_ms, terminal))

    async def due(self, now_ms: int, count_max: int) -> list[str]:
        """Return terminals whose time has come; forget those long without a visit."""
        found: list[str] = []
        while self._clock and self._clock[0][0] <= now_ms and len(found) < count_max:
            rang_ms, terminal = heapq.heappop(self._clock)
            if self._rings_ms.get(terminal) != rang_ms:
                continue
            del self._rings_ms[terminal]
            panel = self._panels[terminal]
            moment = self._moment(panel)
            if moment > now_ms:
                self._ring(terminal, moment)
            elif panel.due_ms(self.idle_ms, self.retry_ms) is None:
                del self._panels[terminal]
                if self._store is not None:
                    self._store.forget(terminal)
            else:
                found.append(terminal)
                self._ring(terminal, now_ms + self.retry_ms)
        return found

    async def holding(self, field_name: Literal["rule", "campaign", "decision_id"], value: str) -> list[str]:
        """Look at every panel."""
        return [
            terminal
            for terminal, panel in self._panels.items()
            if any(getattr(card, field_name) == value for card in (*panel.live, *panel.left))
        ]

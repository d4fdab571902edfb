"""Panels in Redis, for several processes: a hash a terminal, compare-and-set in Lua, one short stream a terminal.

Keys, all under one prefix:

    terminal:{terminal}     hash    version, changed, panel (the whole as JSON); the subscriber there, and since when
    subscriber:{number}     string  the terminal where the subscriber stands
    visit:{id}  card:{id}   string, hash   the terminal, and a card's last state for late answers
    stream:{terminal}       stream  one entry a change, the version; at most `stream_entries_max`
    due                     sorted set   terminal by the moment it wants to be looked at
    run  settling           string  the server's run as last met; while the second stands, panels are put back

A change is one script (`scripts`): it compares every version and every place, then sets all or nothing. A call repeated
after a lost reply is harmless, because every change in `changes` is. Pages are woken by plain XREAD on their terminals'
streams, some hundred terminals a connection (`follow`); an entry only rings, the panel is read afterwards, so a wake-up
doubled does no harm.

**Redis may go and come back**, with its data, with older data or with none. Watchers are notified at once; every call
raises QueueLostError. The first call that reaches it again notices another run; then, for `settle_ms`, all processes
put back the panels that they have written or read, the newest of each terminal wins, and nothing else is accepted.
`listeners` are called at the same moment: the cluster rebuilds more from the log. Nothing is confirmed to a clerk
before the log has it, so Redis cannot lose an answer. Not for Redis Cluster: the scripts touch keys of several
terminals.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, Literal, TypeVar, cast

import orjson
from cachetools import FIFOCache
from pydantic import ValidationError
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSilent

from connectors.desk import scripts
from connectors.desk.config import RedisConfig
from connectors.desk.follow import BLOCK_MS, Follower
from connectors.desk.model import TERMINAL, Card, Panel
from connectors.desk.queue import FORGET_MS, Change, Pointer, Queue, QueueLostError
from connectors.seldom import Seldom

T = TypeVar("T")
log = logging.getLogger(__name__)
seldom = Seldom(log)

GONE = (RedisGone, RedisSilent, OSError)
PANELS_KNOWN_MAX = 4_096
"""Panels that a process remembers for Redis' return."""
PANELS_A_CALL = 64
VERSIONS_AHEAD = 1_000
"""A restored panel's version is this much higher: a write under way since before the restart cannot match it."""


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()


def panel_of(terminal: str, version: bytes | None, text: bytes | None) -> Panel:
    """Read a stored panel; one that cannot be read counts as empty, and the next change replaces it."""
    if version is None or text is None:
        return Panel(terminal=terminal)
    try:
        panel = Panel.model_validate_json(text)
        if panel.terminal == terminal:
            return panel
        places = ["terminal"]
    except ValidationError as fault:
        places = sorted({".".join(str(step) for step in one["loc"]) or "panel" for one in fault.errors()})
    seldom.error(
        "desk: terminal %s: the panel in redis is unreadable, it counts as empty: %s", terminal, ", ".join(places)
    )
    return Panel(terminal=terminal, version=int(version) if version.isdigit() and len(version) < 16 else 0)


def _name(name: bytes) -> str:
    """Return the name of a terminal as Redis has it; empty where it is none."""
    text = name.decode(errors="replace")
    return text if TERMINAL.fullmatch(text) else ""


def newer(panel: Panel, other: Panel) -> bool:
    """Whether a terminal's panel is newer than another of the same terminal."""
    return (panel.changed_ms, panel.version) > (other.changed_ms, other.version)


class RedisQueue(Queue):
    """Panels in a Redis server."""

    def __init__(self, idle_ms: int, retry_ms: int, config: RedisConfig) -> None:
        super().__init__(idle_ms, retry_ms)
        self.config = config
        self.listeners: list[Callable[[], object]] = []
        self._ttl_ms = FORGET_MS + 4 * idle_ms
        self._lost = False
        self._run = b""
        self._met_s = time.monotonic()
        self._meeting = asyncio.Lock()
        self._known: FIFOCache[str, Panel] = FIFOCache(PANELS_KNOWN_MAX)  # one noted again counts as the last in
        self._followers: list[Follower] = []
        self._redis = self.client(config.timeout_ms)
        self._guard = self._redis.register_script(scripts.GUARD)
        self._write = self._redis.register_script(scripts.WRITE)
        self._restore = self._redis.register_script(scripts.RESTORE)
        self._follow = self._redis.register_script(scripts.FOLLOW)
        self._due = self._redis.register_script(scripts.DUE)
        self._holding = self._redis.register_script(scripts.HOLDING)

    def client(self, timeout_ms: int, connections_max: int = 32) -> "aioredis.Redis":
        """Return a client of the server; the secret is read here."""
        config = self.config
        words: dict[str, Any] = {"ssl_ca_certs": str(config.ca_file)} if config.ca_file is not None else {}
        pool = aioredis.BlockingConnectionPool.from_url(
            config.url,
            username=config.user or None,
            password=config.password.read() if config.password is not None else None,
            max_connections=connections_max,
            timeout=config.timeout_ms / 1_000,
            socket_timeout=timeout_ms / 1_000,
            socket_connect_timeout=config.timeout_ms / 1_000,
            retry=Retry(NoBackoff(), 1),
            **words,
        )
        return aioredis.Redis.from_pool(pool)

    def key(self, kind: str, name: object) -> str:
        """Return the key of one thing."""
        return f"{self.config.prefix}:{kind}:{name}"

    @property
    def within_reach(self) -> bool:
        """Whether Redis answered when last asked, and had its panels."""
        return not self._lost

    @property
    def recalling(self) -> bool:
        """Whether this run of Redis was met a short while ago, so that the log may still bring visits back."""
        return time.monotonic() - self._met_s < self.config.recall_ms / 1_000

    async def start(self) -> None:
        """Open nothing yet: connections come with the first question."""

    async def stop(self) -> None:
        """End the watches and the connections."""
        for follower in self._followers:
            await follower.stop()
        await self._redis.aclose()

    async def ask(self, question: Awaitable[T], *, writes: bool = False) -> T:
        """Await an answer from Redis; QueueLostError when it is out of reach."""
        try:
            return await question
        except GONE as fault:
            self._lost = True
            raise QueueLostError(f"redis {self.config.url}: {fault}", doubtful=writes) from fault
        except RedisError as fault:
            # Loading its data, read-only, out of memory: there, but of no use now.
            self._lost = True
            raise QueueLostError(f"redis {self.config.url} refuses: {fault}") from fault

    async def _call(self, script: Any, *args: object, writes: bool = False) -> list[Any]:
        """Run a script; QueueLostError also while Redis settles, and then nothing was done."""
        question = script(keys=[self.config.prefix], args=[self.config.settle_ms, *args])
        run, settled, *found = await self.ask(cast("Awaitable[list[Any]]", question), writes=writes)
        if run != self._run:
            await self._meet(run)
        if not settled:
            self._lost = True
            raise QueueLostError(f"redis {self.config.url} was started again and waits for its panels")
        self._lost = False
        return found

    # What Redis forgot

    async def _meet(self, run: bytes) -> None:
        """Put back what this process knows, once for each run of the server."""
        async with self._meeting:
            if run == self._run:  # another caller met this run while we waited for the lock
                return
            panels = list(self._known.values())
            restored = 0
            for start in range(0, len(panels), PANELS_A_CALL):
                restored += await self._put_back(panels[start : start + PANELS_A_CALL])
            if self._run:
                log.warning("desk: redis was started again: %d of %d panels put back", restored, len(panels))
            self._run, self._met_s = run, time.monotonic()
        for listener in self.listeners:
            listener()

    async def _put_back(self, panels: Iterable[Panel]) -> int:
        ahead = [(one, one.model_copy(update={"version": one.version + VERSIONS_AHEAD})) for one in panels]
        change = _dump({"panels": [self._stored(was, one, one.cards) for was, one in ahead], **self._bounds()})
        question = self._restore(keys=[self.config.prefix], args=[self.config.settle_ms, change])
        _, _, restored = await self.ask(cast("Awaitable[list[Any]]", question))
        return int(restored)

    def note(self, panel: Panel) -> None:
        """Remember a terminal's panel, if it is the newest."""
        known = self._known.get(panel.terminal)
        if panel.version == 0 or (known is not None and not newer(panel, known)):
            return
        self._known[panel.terminal] = panel

    def newest(self, panel: Panel) -> Panel:
        """Return the newest panel of a terminal that is known here, this one included."""
        known = self._known.get(panel.terminal)
        return known if known is not None and newer(known, panel) else panel

    async def settled(self) -> None:
        """Return when Redis answers and has its panels; QueueLostError when it does not."""
        await self._call(self._guard)

    # Reading

    async def read(self, terminal: str) -> Panel:
        """Read the terminal's hash."""
        found = await self._call(self._follow, "terminal", terminal)
        return self._seen(terminal, *found[1:3])

    def _seen(self, terminal: str, version: bytes | None, text: bytes | None) -> Panel:
        panel = panel_of(terminal, version, text)
        self.note(panel)
        return panel

    async def find(self, kind: Pointer, key: int | str) -> str:
        """Follow a pointer."""
        found = await self._call(self._follow, kind, key)
        return _name(found[0]) if found else ""

    async def find_panel(self, kind: Pointer, key: int | str) -> Panel | None:
        """Follow a pointer and read the hash in one step."""
        found = await self._call(self._follow, kind, key)
        terminal = _name(found[0]) if found else ""
        return self._seen(terminal, *found[1:3]) if terminal else None

    async def card(self, decision_id: str) -> Card | None:
        """Read a card as it last was."""
        found = await self._call(self._follow, "card", decision_id)
        try:
            return Card.model_validate_json(found[3]) if found and found[3] else None
        except ValidationError:
            seldom.error("desk: a card in redis is unreadable, it counts as unknown")
            return None

    async def panels(self, terminals: list[str]) -> list[Panel]:
        """Read the hashes of several terminals."""
        pipe = self._redis.pipeline(transaction=False)
        for terminal in terminals:
            pipe.hmget(self.key("terminal", terminal), ["version", "panel"])
        found = await self.ask(pipe.execute())
        return [self._seen(terminal, *parts) for terminal, parts in zip(terminals, found, strict=True)]

    # Writing

    async def write(self, change: Change) -> bool:
        """Compare and set in one script; what is written is remembered for Redis' return."""
        (done,) = await self._call(self._write, self._encode(change), writes=True)
        if done:
            for _, after in change.pairs:
                self.note(after)
        return bool(done)

    def _encode(self, change: Change) -> str:
        cards: dict[str, list[Card]] = {}
        for card, terminal in change.cards().values():
            cards.setdefault(terminal, []).append(card)
        return _dump(
            {
                "panels": [
                    self._stored(before, after, cards.get(after.terminal, ())) for before, after in change.pairs
                ],
                "stands": {str(number): terminal for number, terminal in change.stands.items()},
                "mine": {after.terminal: True for _, after in change.pairs},
                "moves": {str(number): terminal for number, terminal in change.moves().items()},
                **self._bounds(),
            }
        )

    def _bounds(self) -> dict[str, int]:
        return {"ttl": self._ttl_ms, "entries": self.config.stream_entries_max}

    def _stored(self, before: Panel, after: Panel, cards: Iterable[Card]) -> dict[str, object]:
        """Return a panel as the scripts store it."""
        due, visit = after.due_ms(self.idle_ms, self.retry_ms), after.open_visit
        return {
            "terminal": after.terminal,
            "was": str(before.version),
            "version": str(after.version),
            "changed": str(after.changed_ms),
            "json": after.model_dump_json(),
            "due": "" if due is None else str(due),
            "visit": after.visit.id if after.visit is not None else "",
            "subscriber": str(visit.subscriber) if visit is not None else "",
            "opened": str(visit.opened_ms) if visit is not None else "0",
            "cards": {card.decision_id: card.model_dump_json() for card in cards},
        }

    # What runs out, and the watchers

    async def due(self, now_ms: int, count_max: int) -> list[str]:
        """Take terminals whose time has come; Redis puts them off for everybody else."""
        found = await self._call(self._due, now_ms, self.retry_ms, count_max)
        return [terminal for name in found if (terminal := _name(name))]

    async def holding(self, field_name: Literal["rule", "campaign", "decision_id"], value: str) -> list[str]:
        """Search panels of open visits, some hundred a call, inside Redis."""
        await self.settled()
        known = cast("Awaitable[list[bytes]]", self._redis.zrange(f"{self.config.prefix}:due", 0, -1))
        names = [terminal for name in await self.ask(known) if (terminal := _name(name))]
        needle = _dump({field_name: value})[1:-1]
        found: list[str] = []
        for start in range(0, len(names), 512):
            some = await self._call(self._holding, _dump(names[start : start + 512]), needle)
            found += [terminal for name in some if (terminal := _name(name))]
        return found

    async def watch(self, terminal: str) -> AsyncGenerator[Panel | None]:
        """Join a follower with room and yield what it leaves."""
        follower = next((one for one in self._followers if one.takes(terminal)), None)
        if follower is None:
            client = self.client(BLOCK_MS + self.config.timeout_ms, connections_max=2)
            follower = Follower(self, client, self.config.terminals_per_reader)
            self._followers.append(follower)
        box = await follower.join(terminal)
        try:
            async for panel in box.panels():
                yield panel
        finally:
            follower.leave(terminal, box)

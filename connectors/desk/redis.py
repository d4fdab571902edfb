"""Panels in Redis, for several processes: a hash a terminal, compare-and-set in Lua, one short stream a terminal.

Keys, all under one prefix:

    terminal:{terminal}     hash    version, panel (the whole panel as JSON)
    subscriber:{number}     string  the terminal where the subscriber stands
    visit:{id}  card:{id}   string, hash   the terminal, and a card's last state for late answers
    stream:{terminal}       stream  one entry a change, the version; at most `stream_entries_max`
    due                     sorted set   terminal by the moment it wants to be looked at

`write` is one script: it compares every version and every place, then sets all or nothing. A call repeated after a lost
reply is harmless, because every change in `model` is. Pages are woken by plain XREAD on their terminals' streams, some
hundred terminals a connection; an entry only rings, the panel is read afterwards, so a wake-up doubled does no harm.

**Redis may go and come back**, with or without its data. Watchers are told at once; when it is back, the process that
serves a terminal puts its newest panel back unless Redis holds a newer one. What the log holds it holds: nothing is
confirmed to a clerk before the log has it. Not for Redis Cluster: the scripts touch keys of several terminals.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Literal, TypeVar, cast

import orjson
from pydantic import ValidationError
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSilent

from connectors.desk.config import RedisConfig
from connectors.desk.model import Card, Panel
from connectors.desk.queue import FORGET_MS, Change, Mailbox, Pointer, Queue, QueueLost, end

T = TypeVar("T")
log = logging.getLogger(__name__)

GONE = (RedisGone, RedisSilent, OSError)
BLOCK_MS = 2_000
BACKOFF_MS_MIN = 50
BACKOFF_MS_MAX = 2_000

WRITE = """
local prefix, change = KEYS[1], cjson.decode(ARGV[1])
for _, panel in ipairs(change.panels) do
  local kept = redis.call('HGET', prefix .. ':terminal:' .. panel.terminal, 'version') or '0'
  if kept ~= panel.was then return 0 end
end
for number, terminal in pairs(change.stands) do
  if (redis.call('GET', prefix .. ':subscriber:' .. number) or '') ~= terminal then return 0 end
end
local ttl = change.ttl
for number, terminal in pairs(change.moves) do
  local key = prefix .. ':subscriber:' .. number
  if terminal ~= '' then redis.call('SET', key, terminal, 'PX', ttl)
  elseif change.mine[redis.call('GET', key) or ''] then redis.call('DEL', key) end
end
for _, panel in ipairs(change.panels) do
  local name = panel.terminal
  local key, stream = prefix .. ':terminal:' .. name, prefix .. ':stream:' .. name
  redis.call('HSET', key, 'version', panel.version, 'panel', panel.json)
  redis.call('PEXPIRE', key, ttl)
  if panel.visit ~= '' then redis.call('SET', prefix .. ':visit:' .. panel.visit, name, 'PX', ttl) end
  for id, json in pairs(panel.cards) do
    redis.call('HSET', prefix .. ':card:' .. id, 'terminal', name, 'card', json)
    redis.call('PEXPIRE', prefix .. ':card:' .. id, ttl)
  end
  if panel.due ~= '' then redis.call('ZADD', prefix .. ':due', panel.due, name)
  else redis.call('ZREM', prefix .. ':due', name) end
  redis.call('XADD', stream, 'MAXLEN', '~', change.entries, '*', 'version', panel.version)
  redis.call('PEXPIRE', stream, ttl)
end
return 1
"""

LOOK = """
local name = KEYS[1] .. ':' .. ARGV[1] .. ':' .. ARGV[2]
local terminal
if ARGV[1] == 'card' then terminal = redis.call('HGET', name, 'terminal') else terminal = redis.call('GET', name) end
if not terminal then return {} end
local panel = redis.call('HMGET', KEYS[1] .. ':terminal:' .. terminal, 'version', 'panel')
return {terminal, panel[1], panel[2]}
"""

DUE = """
local key, now, retry, limit = KEYS[1] .. ':due', tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local found = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
for _, terminal in ipairs(found) do
  if redis.call('EXISTS', KEYS[1] .. ':terminal:' .. terminal) == 1 then redis.call('ZADD', key, now + retry, terminal)
  else redis.call('ZREM', key, terminal) end
end
return found
"""

HOLDING = """
local found = {}
for _, terminal in ipairs(cjson.decode(ARGV[1])) do
  local panel = redis.call('HGET', KEYS[1] .. ':terminal:' .. terminal, 'panel')
  if panel and string.find(panel, ARGV[2], 1, true) then found[#found + 1] = terminal end
end
return found
"""


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()


def _panel(terminal: str, version: bytes | None, text: bytes | None) -> Panel:
    """Read a stored panel; one that nobody can read counts as empty, and the next change replaces it."""
    if version is None or text is None:
        return Panel(terminal=terminal)
    try:
        return Panel.model_validate_json(text)
    except ValidationError as fault:
        log.error("desk: terminal %s: the panel in redis is unreadable, it counts as empty: %s", terminal, fault)
        return Panel(terminal=terminal, version=int(version))


class RedisQueue(Queue):
    """Panels in a Redis server."""

    def __init__(self, idle_ms: int, retry_ms: int, config: RedisConfig) -> None:
        super().__init__(idle_ms, retry_ms)
        self.config = config
        self._ttl_ms = FORGET_MS + 4 * idle_ms
        self._lost = False
        self._readers: list[_Reader] = []
        self._redis = self._client(config.timeout_ms)
        self._write = self._redis.register_script(WRITE)
        self._look = self._redis.register_script(LOOK)
        self._due = self._redis.register_script(DUE)
        self._holding = self._redis.register_script(HOLDING)

    def _client(self, timeout_ms: int, connections_max: int = 32) -> "aioredis.Redis":
        password = self.config.password.read() if self.config.password is not None else None
        pool = aioredis.BlockingConnectionPool.from_url(
            self.config.url,
            password=password,
            max_connections=connections_max,
            timeout=self.config.timeout_ms / 1_000,
            socket_timeout=timeout_ms / 1_000,
            socket_connect_timeout=self.config.timeout_ms / 1_000,
            retry=Retry(NoBackoff(), 1),
        )
        return aioredis.Redis.from_pool(pool)

    def key(self, kind: str, name: object) -> str:
        """Return the key of one thing."""
        return f"{self.config.prefix}:{kind}:{name}"

    @property
    def within_reach(self) -> bool:
        """Whether Redis answered when last asked."""
        return not self._lost

    async def start(self) -> None:
        """Open nothing yet: connections come with the first question."""

    async def stop(self) -> None:
        """End the watches and the connections."""
        for reader in self._readers:
            await reader.stop()
        await self._redis.aclose()

    async def ask(self, question: Awaitable[T]) -> T:
        """Await an answer from Redis; QueueLost when it is out of reach."""
        try:
            answer = await question
        except GONE as fault:
            self._lost = True
            raise QueueLost(f"redis {self.config.url}: {fault}") from fault
        except RedisError as fault:
            # Loading its data, read-only, out of memory: there, but of no use now.
            self._lost = True
            raise QueueLost(f"redis {self.config.url} refuses: {fault}") from fault
        self._lost = False
        return answer

    async def read(self, terminal: str) -> Panel:
        """Read the terminal's hash."""
        question = self._redis.hmget(self.key("terminal", terminal), ["version", "panel"])
        version, text = await self.ask(cast("Awaitable[list[bytes | None]]", question))
        return _panel(terminal, version, text)

    async def find(self, kind: Pointer, key: int | str) -> str:
        """Follow a pointer."""
        name = self.key(kind, key)
        question = self._redis.hget(name, "terminal") if kind == "card" else self._redis.get(name)
        text = await self.ask(cast("Awaitable[bytes | None]", question))
        return text.decode() if text else ""

    async def look(self, kind: Pointer, key: int | str) -> Panel | None:
        """Follow a pointer and read the hash in one step."""
        found = await self.ask(self._look(keys=[self.config.prefix], args=[kind, key]))
        if not found:
            return None
        terminal, version, text = cast("list[bytes | None]", found)
        return _panel((terminal or b"").decode(), version, text)

    async def card(self, decision_id: str) -> Card | None:
        """Read a card as it last was."""
        text = await self.ask(cast("Awaitable[bytes | None]", self._redis.hget(self.key("card", decision_id), "card")))
        return Card.model_validate_json(text) if text else None

    async def write(self, change: Change) -> bool:
        """Compare and set in one script; what this process watches is remembered for Redis' return."""
        done = await self.ask(self._write(keys=[self.config.prefix], args=[self._encode(change)]))
        if done:
            for _, after in change.pairs:
                for reader in self._readers:
                    reader.remember(after)
        return bool(done)

    def _encode(self, change: Change) -> str:
        cards: dict[str, dict[str, str]] = {}
        for card, terminal in change.cards().values():
            cards.setdefault(terminal, {})[card.decision_id] = card.model_dump_json()
        panels = []
        for before, after in change.pairs:
            due = after.due_ms(self.idle_ms, self.retry_ms)
            panels.append(
                {
                    "terminal": after.terminal,
                    "was": str(before.version),
                    "version": str(after.version),
                    "json": after.model_dump_json(),
                    "due": "" if due is None else str(due),
                    "visit": after.visit.id if after.visit is not None else "",
                    "cards": cards.get(after.terminal, {}),
                }
            )
        return _dump(
            {
                "panels": panels,
                "stands": {str(number): terminal for number, terminal in change.stands.items()},
                "mine": {after.terminal: True for _, after in change.pairs},
                "moves": {str(number): terminal for number, terminal in change.moves().items()},
                "ttl": self._ttl_ms,
                "entries": self.config.stream_entries_max,
            }
        )

    async def due(self, now_ms: int, count_max: int) -> list[str]:
        """Take terminals whose time has come; Redis puts them off for everybody else."""
        found = await self.ask(self._due(keys=[self.config.prefix], args=[now_ms, self.retry_ms, count_max]))
        return [name.decode() for name in cast("list[bytes]", found)]

    async def holding(self, field_name: Literal["rule", "campaign", "decision_id"], value: str) -> list[str]:
        """Search panels of open visits, some hundred a call, inside Redis."""
        known = cast("Awaitable[list[bytes]]", self._redis.zrange(f"{self.config.prefix}:due", 0, -1))
        names = [name.decode() for name in await self.ask(known)]
        needle = _dump({field_name: value})[1:-1]
        found: list[str] = []
        for start in range(0, len(names), 512):
            asked = self._holding(keys=[self.config.prefix], args=[_dump(names[start : start + 512]), needle])
            found += [name.decode() for name in cast("list[bytes]", await self.ask(asked))]
        return found

    async def watch(self, terminal: str) -> AsyncGenerator[Panel | None]:
        """Join a reader with room and yield what it leaves."""
        reader = next((r for r in self._readers if r.takes(terminal)), None)
        if reader is None:
            wait_ms = BLOCK_MS + self.config.timeout_ms
            reader = _Reader(self, self._client(wait_ms, connections_max=2), self.config.terminals_per_reader)
            self._readers.append(reader)
        box = await reader.join(terminal)
        try:
            async for panel in box.panels():
                yield panel
        finally:
            reader.leave(terminal, box)


class _Reader:
    """One blocking connection that serves the streams of some hundred terminals."""

    def __init__(self, queue: RedisQueue, redis: "aioredis.Redis", terminals_max: int) -> None:
        self._queue = queue
        self._redis = redis
        self._terminals_max = terminals_max
        self._boxes: dict[str, set[Mailbox]] = {}
        self._newest: dict[str, Panel] = {}
        self._after: dict[str, str] = {}
        self._fresh: set[str] = set()
        self._bell = queue.key("bell", uuid.uuid4().hex)
        self._task = asyncio.create_task(self._read_forever(), name="desk redis reader")

    def takes(self, terminal: str) -> bool:
        """Whether a watcher of this terminal belongs here."""
        return terminal in self._boxes or len(self._boxes) < self._terminals_max

    def remember(self, panel: Panel) -> None:
        """Keep a watched terminal's newest panel."""
        kept = self._newest.get(panel.terminal)
        if panel.terminal in self._boxes and (kept is None or _newer(panel, kept)):
            self._newest[panel.terminal] = panel

    async def join(self, terminal: str) -> Mailbox:
        """Begin a watch: the panel follows as soon as Redis gives it."""
        box = Mailbox()
        self._boxes.setdefault(terminal, set()).add(box)
        self._fresh.add(terminal)
        with contextlib.suppress(QueueLost):
            await self._queue.ask(self._ring())
        if not self._queue.within_reach:
            box.put(None)
        return box

    async def _ring(self) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(self._bell, {"ring": 1}, maxlen=1)
        pipe.pexpire(self._bell, FORGET_MS)
        await pipe.execute()

    def leave(self, terminal: str, box: Mailbox) -> None:
        """End a watch."""
        boxes = self._boxes[terminal]
        boxes.discard(box)
        if not boxes:
            for kept in (self._boxes, self._newest, self._after):
                cast("dict[str, Any]", kept).pop(terminal, None)
            self._fresh.discard(terminal)

    async def stop(self) -> None:
        """End the watches and the connection."""
        await end(self._task)
        for boxes in self._boxes.values():
            for box in boxes:
                box.close()
        await self._redis.aclose()

    async def _read_forever(self) -> None:
        backoff_ms = BACKOFF_MS_MIN
        bell_after = "0"
        while True:
            try:
                await self._greet()
                bell_after = await self._read_once(bell_after)
                backoff_ms = BACKOFF_MS_MIN
            except QueueLost as fault:
                log.warning("desk: %s; watchers of %d terminals wait", fault, len(self._boxes))
                for boxes in self._boxes.values():
                    for box in boxes:
                        box.put(None)
                self._fresh.update(self._boxes)
                bell_after = "0"
                await asyncio.sleep(backoff_ms / 1_000)
                backoff_ms = min(2 * backoff_ms, BACKOFF_MS_MAX)
            except Exception:
                log.exception("desk: the reader of %d terminals failed, it starts again", len(self._boxes))
                self._fresh.update(self._boxes)
                await asyncio.sleep(BACKOFF_MS_MAX / 1_000)

    async def _greet(self) -> None:
        """Bring terminals up to date that just joined, or whose Redis was away: the stream's end, then the panel."""
        while self._fresh:
            terminals = sorted(self._fresh)
            pipe = self._redis.pipeline(transaction=False)
            for terminal in terminals:
                pipe.xrevrange(self._queue.key("stream", terminal), count=1)
            for terminal, entries in zip(terminals, await self._queue.ask(pipe.execute()), strict=True):
                self._after[terminal] = entries[0][0].decode() if entries else "0"
            for terminal, panel in zip(terminals, await self._panels(terminals), strict=True):
                kept = self._newest.get(terminal)
                stale = kept is not None and _newer(kept, panel)
                self._show(await self._put_back(kept, panel) if kept is not None and stale else panel)
            self._fresh.difference_update(terminals)

    async def _put_back(self, kept: Panel, stored: Panel) -> Panel:
        """Write our newer panel over what Redis holds; return what counts from now on."""
        visit = kept.open_visit
        stands = {visit.subscriber: await self._queue.find("subscriber", visit.subscriber)} if visit else {}
        if any(terminal not in {"", kept.terminal} for terminal in stands.values()):
            self._newest[kept.terminal] = stored
            return stored
        after = kept.model_copy(update={"version": stored.version + 1})
        log.info("desk: terminal %s: redis lost its panel, put back", kept.terminal)
        if not await self._queue.write(Change(((stored, after),), stands)):
            after = await self._queue.read(kept.terminal)
        self._newest[kept.terminal] = after
        return after

    async def _panels(self, terminals: list[str]) -> list[Panel]:
        pipe = self._redis.pipeline(transaction=False)
        for terminal in terminals:
            pipe.hmget(self._queue.key("terminal", terminal), ["version", "panel"])
        found = await self._queue.ask(pipe.execute())
        return [_panel(terminal, *parts) for terminal, parts in zip(terminals, found, strict=True)]

    async def _read_once(self, bell_after: str) -> str:
        streams: dict[Any, Any] = {self._bell: bell_after}
        streams |= {self._queue.key("stream", terminal): after for terminal, after in self._after.items()}
        question = cast("Callable[..., Awaitable[list[Any]]]", self._redis.xread)
        found = await self._queue.ask(question(streams, block=BLOCK_MS))
        changed: list[str] = []
        skip = len(self._queue.key("stream", ""))
        for name, entries in found or []:
            last = entries[-1][0].decode()
            if name.decode() == self._bell:
                bell_after = last
            elif (terminal := name.decode()[skip:]) in self._after:
                self._after[terminal] = last
                changed.append(terminal)
        if changed:
            for panel in await self._panels(changed):
                self._show(panel)
        return bell_after

    def _show(self, panel: Panel) -> None:
        kept = self._newest.get(panel.terminal)
        if kept is not None and _newer(kept, panel):
            panel = kept
        self.remember(panel)
        for box in self._boxes.get(panel.terminal, ()):
            box.put(panel)


def _newer(panel: Panel, other: Panel) -> bool:
    return (panel.changed_ms, panel.version) > (other.changed_ms, other.version)

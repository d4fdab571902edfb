"""Clerks at counters while workers and Redis die: each opens visits, waits for the card, answers it, closes the visit.

A clerk speaks to whatever worker chance gives, and says again what was refused with 503 or met no worker, as the page
and every system does. Its page follows the terminal over one worker after another. What it saw and what was confirmed
to it is kept as a `Story` a visit, for the judge; an answer that is wrong, whatever dies, is kept there too.
"""

import asyncio
import contextlib
import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

FIRST_VISITOR = 8_613_700_000_000
ASK_S, RETRY_S = 3.0, 0.1
PATIENCE_S = 90.0
"""How long a clerk repeats itself, and looks for a visit that was confirmed, until that is a fault."""
CARD_S = 10.0
BEATS_S = 3.0
"""A page that hears nothing for that long looks for another worker."""
TERMINALS = 6
LEFT_ALONE = 0.1
"""Share of cards that no clerk answers."""


@dataclass(slots=True)
class Story:
    """A visit as its clerk knows it; `wrong` is what should not have been said or seen."""

    visit: str
    terminal: str
    subscriber: int
    opened: bool = False
    closed: bool = False
    seen: set[str] = field(default_factory=set)
    reply: str = ""
    answered: bool = False
    late: bool = False
    forgotten: bool = False
    wrong: list[str] = field(default_factory=list)


class Page:
    """The panel of a terminal as a browser has it; every card that ever stood on it is noted with its visit."""

    def __init__(self, terminal: str, address: Callable[[], str], http: aiohttp.ClientSession) -> None:
        self.panel: dict[str, Any] = {}
        self.lost = 0
        self.cards: set[tuple[str, str]] = set()
        self._terminal, self._address, self._http = terminal, address, http
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Follow until cancelled, over whichever worker answers."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=1, sock_read=BEATS_S)
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                url = f"{self._address()}/desk/{self._terminal}/events"
                async with self._http.get(url, timeout=timeout) as stream:
                    await self._read(stream)
            self.lost += 1
            await asyncio.sleep(RETRY_S)

    async def _read(self, stream: aiohttp.ClientResponse) -> None:
        event = b""
        async for line in stream.content:
            if line.startswith(b"event: "):
                event = line[7:].strip()
            elif line.startswith(b"data: ") and event == b"panel":
                self.panel = json.loads(line[6:])
                self.cards |= {(self.panel.get("visit", ""), card["id"]) for card in self.panel["cards"]}
                self._changed.set()
            elif line.startswith(b"data: ") and event == b"link":
                self.lost += b"lost" in line

    async def until(self, seen: Callable[[dict[str, Any]], bool], seconds: float) -> bool:
        """Wait until the page shows something; whether it did in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not seen(self.panel):
                    self._changed.clear()
                    await self._changed.wait()
                return True
        return False


class Clerks(threading.Thread):
    """Clerks at `TERMINALS` counters until `ending` is set, when each closes the visit it has.

    `addresses` gives the fronts of the workers there are.
    """

    def __init__(self, addresses: Callable[[], Sequence[str]], seed: int) -> None:
        super().__init__(name="clerks")
        self._addresses = addresses
        self._rng = random.Random(seed)
        self.ending = threading.Event()
        self.stories: list[Story] = []
        self.refused = 0
        self.links_lost = 0
        self.failure: BaseException | None = None

    @property
    def confirmed(self) -> list[int]:
        """Subscribers whose visits were confirmed."""
        return [story.subscriber for story in self.stories if story.opened]

    def run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as fault:
            self.failure = fault
            raise

    async def _work(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as http:
            await asyncio.gather(*(self._serve(http, f"t{number}") for number in range(TERMINALS)))

    def _address(self) -> str:
        addresses = self._addresses()
        if not addresses:
            raise OSError("no worker has a front")
        return self._rng.choice(addresses)

    async def _serve(self, http: aiohttp.ClientSession, terminal: str) -> None:
        page = Page(terminal, self._address, http)
        following = asyncio.create_task(page.follow())
        try:
            while not self.ending.is_set():
                number = len(self.stories)
                story = Story(f"v-{number}", terminal, FIRST_VISITOR + number)
                self.stories.append(story)
                await self._visit(http, page, story)
                await asyncio.sleep(self._rng.uniform(0.1, 0.6))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            self.links_lost += page.lost

    async def _visit(self, http: aiohttp.ClientSession, page: Page, story: Story) -> None:
        body = {"terminal": story.terminal, "subscriber": story.subscriber, "visit": story.visit}
        story.opened = await self._say(http, story, "post", "/desk/visits", body, (200, 201)) != 0
        if await page.until(lambda panel: _stands(panel, story), PATIENCE_S):
            if await page.until(lambda panel: bool(_live(panel, story)), CARD_S):
                await self._answer(http, story, _live(page.panel, story))
        else:
            story.wrong.append(f"visit not on its page: {page.panel}")
        story.closed = await self._say(http, story, "delete", f"/desk/visits/{story.visit}", None, (200,)) != 0
        story.seen = {card for visit, card in page.cards if visit == story.visit}
        page.cards.clear()

    async def _answer(self, http: aiohttp.ClientSession, story: Story, card: str) -> None:
        await asyncio.sleep(self._rng.uniform(0.1, 0.6))
        if self._rng.random() < LEFT_ALONE:
            return
        story.reply = self._rng.choice(("accept", "decline", "later"))
        said = await self._say(
            http, story, "post", f"/desk/cards/{card}/answer", {"answer": story.reply}, (200, 404, 409)
        )
        story.answered, story.late, story.forgotten = said == 200, said == 409, said == 404

    async def _say(
        self, http: aiohttp.ClientSession, story: Story, verb: str, path: str, body: Any, wanted: tuple[int, ...]
    ) -> int:
        """Say something until it is taken; return the status, 0 when it was not what it may be."""
        said = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    status, said = await self._ask(http, verb, path, body)
                    if status in wanted:
                        return status
                    if status not in {0, 503}:
                        break
                    self.refused += 1
                    await asyncio.sleep(RETRY_S)
        story.wrong.append(f"{verb} {path}: {said}")
        return 0

    async def _ask(self, http: aiohttp.ClientSession, verb: str, path: str, body: Any) -> tuple[int, str]:
        try:
            async with http.request(verb, f"{self._address()}{path}", json=body) as answer:
                return answer.status, f"{answer.status} {await answer.text()}"
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            return 0, repr(fault)


def _stands(panel: dict[str, Any], story: Story) -> bool:
    return panel.get("visit") == story.visit and panel.get("state") == "open"


def _live(panel: dict[str, Any], story: Story) -> str:
    """Return the card that waits for an answer; empty when there is none."""
    cards = panel.get("cards", []) if _stands(panel, story) else []
    return next((str(card["id"]) for card in cards if card["state"] == "live"), "")

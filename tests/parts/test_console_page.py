"""The console in a real browser: every page fits every screen in light and dark, nothing of another runs in it, the
live figures renew themselves, and a form does what it says.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.console import live
from tests.connectors.console.world import ANNA, HOSTILE, console, token_of
from tests.parts.chromium import Chromium, Tab

pytestmark = pytest.mark.parts

PAGES = {"live": "", "switches": "/switches", "books": "/books", "diff": "/books/diff?old=a&new=b",
         "rehearsal": "/rehearsal", "report": "/report", "audit": "/audit"}  # fmt: skip
EVENTS = (
    "[...document.querySelectorAll('#live dt')].find(one => one.textContent.startsWith('Events since')).nextSibling"
)
UNREACHABLE = """
[...document.querySelectorAll('a, button, input, select')].filter(one => one.type !== 'hidden').filter(one => {
  const box = one.getBoundingClientRect();
  return box.left < 0 || box.right > innerWidth + 1 || box.height < 16;
}).map(one => one.outerHTML)
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    browser.start()
    yield browser
    browser.stop()


async def fits(tab: Tab, name: str, *widths: int) -> None:
    """Look at the page at each width, in dark where it is narrower than the first."""
    for wide in widths:
        await tab.prefer(prefers_color_scheme="light" if wide == widths[0] else "dark")
        await tab.resize(wide, 1200)
        assert await tab.read("document.documentElement.scrollWidth") <= wide, name
        assert await tab.read(UNREACHABLE) == [], name
        if "OPPORTUNE_SCREENSHOTS" in os.environ:
            await tab.picture(f"console-{name}-{wide}")


async def send(tab: Tab, action: str, button: str = "", **fields: str) -> None:
    """Fill the form of the page in and send it."""
    script = f"const form = document.querySelector('form.sheet[action=\"/console{action}\"]');"
    for name, value in fields.items():
        script += f"form.elements.{name}.value = {value!r};"
    pressed = f"[...form.querySelectorAll('button')].find(one => one.value === {button!r})" if button else ""
    # Sent when the answer is on its way: the page that is asked for takes the place of the one that answers.
    await tab.look(f"{{ {script} setTimeout(() => form.requestSubmit({pressed}), 0); }}")


async def test_a_user_signs_in_looks_at_every_page_and_kills_a_rule(
    chromium: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFRESH_S", 1)
    async with console(tmp_path) as one, Tab(chromium.port) as tab:
        tab.expected = "status of 400"
        await tab.open(f"{one.url}/sign-in")
        await tab.until("document.querySelector('[name=token]')")
        await fits(tab, "sign-in", 1280, 380)
        await send(tab, "/session", token=token_of("operator"))
        await tab.until("document.getElementById('live')")

        before = await tab.read(f"{EVENTS}.textContent")
        for name, path in PAGES.items():
            await tab.open(one.url + path)
            await tab.until(f"location.href.endsWith({path!r}) && document.readyState === 'complete'")
            await fits(tab, name, 1280, 1024, 380)
        await tab.open(f"{one.url}/why")
        await tab.until("document.querySelector('[name=number]')")
        await send(tab, "/why", number=str(ANNA))
        await tab.until("document.querySelectorAll('article').length === 2")
        await fits(tab, "why", 1280, 380)

        await tab.open(f"{one.url}/switches")
        await tab.until("document.querySelector('datalist option')")
        await send(tab, "/switches", "kill", name=HOSTILE, reason="no")
        await tab.until("document.querySelector('.notice.bad')")
        assert one.engine.done == []
        await tab.open(f"{one.url}/switches")
        await tab.until("document.querySelector('datalist option')")
        await send(tab, "/switches", "kill", name=HOSTILE, reason="it is hostile")
        await tab.until("document.querySelector('.notice').textContent.includes('queued sends touched: 3')")
        assert one.engine.done == [("kill", "rule", HOSTILE)]

        await tab.open(one.url)
        await tab.until(f"{EVENTS}.textContent !== {before!r}")
        shown = await tab.read(f"{EVENTS}.textContent")
        await tab.until(f"document.body.dataset.link === 'ok' && {EVENTS}.textContent !== {shown!r}")
        assert await tab.read("document.querySelectorAll('#live rect').length") > 5
        assert tab.faults == []

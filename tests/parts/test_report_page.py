"""The page of a report in a real browser: it fits, it is read in the dark, nothing fails in it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.evidence.interval import Interval
from engine.evidence.measures import NAMES
from engine.evidence.page import page
from engine.evidence.tally import Group, total
from engine.evidence.units import Lift
from tests.parts.chromium import Chromium, Tab

pytestmark = pytest.mark.parts

OUTSIDE = """
[...document.querySelectorAll('svg text')].filter(text => {
  const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
  return inner.right > outer.right + 1 || inner.left < outer.left - 1;
}).map(text => text.textContent)
"""
"""Words of plots that stand out of their plots."""
COUNTS = {
    "candidates": 50_000, "stopped": 8_000, "held_out": 4_000, "decided": 38_000, "sent": 36_000, "delivered": 34_000,
    "shown": 31_733, "accepted": 20_461, "declined": 5_000, "contacts_over": 30_000, "converted": 4_500, "value": 1e6,
}  # fmt: skip


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    browser.start()
    yield browser
    browser.stop()


def group(share: float, *keys: str) -> Group:
    return Group(keys, np.array([round(COUNTS.get(name, 0) * share) for name in NAMES], float))


async def test_the_page_fits_every_screen_and_paper_in_light_and_dark(chromium: Chromium, tmp_path: Path) -> None:
    groups = [group(n / 40, f"rule-{n}", "sms" if n % 2 else "desk") for n in range(1, 9)]
    groups.append(group(0.05, "首次省际漫游通话", "desk"))
    days = [group((1 + n % 7) / 100, f"2008-11-{n:02d}") for n in range(1, 31)]
    lifts = [
        Lift("uses-12593", "campaign 12593-care", 30_000, 4_500, 3_800, 410, 30, Interval(0.042, 0.03, 0.054)),
        Lift("stays", "rule 欠费提醒", 9_000, 300, 800, 60, 30, Interval(-0.04, -0.06, -0.021)),
    ]
    text = page(["rule", "channel"], groups, days, total(groups, 2), lifts, span="2008-11", zone="Asia/Shanghai")
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")

    async with Tab(chromium.port) as tab:
        await tab.open(path.as_uri())
        await tab.until("document.querySelectorAll('svg').length === 3")
        papers = []
        for scheme in ("light", "dark"):
            await tab.prefer(prefers_color_scheme=scheme)
            papers.append(await tab.look("getComputedStyle(document.body).backgroundColor"))
            for wide in (1280, 1024, 380):
                await tab.resize(wide, 1400)
                assert await tab.look("document.documentElement.scrollWidth") <= wide
                assert await tab.look(OUTSIDE) == []
                await tab.picture(f"report-{scheme}-{wide}")
        printed = await tab.call("Page.printToPDF", landscape=True)

        assert papers == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]
        assert len(printed["data"]) > 10_000
        assert tab.faults == []

"""The desk page in a real browser: what a clerk sees and presses, and what the log learns."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.desk.model import Customer
from connectors.desk.queue import MemoryQueue
from connectors.desk.store import PanelStore
from tests.connectors.desk.world import ANNA, BERT, Served, card, desk_over, serve
from tests.parts.chromium import Chromium, Tab

pytestmark = pytest.mark.parts

REGULAR = Customer(brand="全球通", tenure="在网 6 年 3 个月", handset="诺基亚 N95")
THREE = (
    card("d1"),
    card(
        "d2",
        title="省际漫游包 30 元 / 月",
        price="30 元/月",
        reason="昨天第一次漫游到湖南，漫游通话已有 42 分钟。",
        script="您在外省通话比较多，包月 30 元含 200 分钟漫游通话，比单独计费省 60%。",
    ),
    card(
        "d3",
        title="手机上网 5 元包",
        price="5 元/月",
        reason="换了新手机，本周上网流量是上周的四倍。",
        script="新手机上网方便，办 5 元包含 30M 流量，用多少看得见。",
    ),
)
LINK = "document.getElementById('link').textContent"
LIVE = "document.querySelectorAll('.card:not(.ended)').length"


@contextlib.asynccontextmanager
async def counter(chromium: Chromium, **settings: Any) -> AsyncIterator[tuple[Served, Tab]]:
    """A served desk and its page, joined."""
    desk, log = desk_over(**settings)
    async with serve(desk, log) as served, Tab(chromium.port) as tab:
        await tab.resize(1280, 800)
        await tab.prefer(prefers_color_scheme="light")
        await tab.open(f"{served.url}/desk/counter-3")
        await tab.until("document.body.dataset.link === 'ok'")
        yield served, tab
        assert tab.faults == []


async def with_three(served: Served, tab: Tab) -> None:
    await served.open(customer=REGULAR.model_dump())
    for one in THREE:
        await served.desk.offer(ANNA, one)
    await tab.until(f"{LIVE} === 3")
    await asyncio.sleep(0.7)  # the guard after a change of customer


async def outcome(tab: Tab, place: int, words: str) -> None:
    await tab.until(f"document.querySelectorAll('.card')[{place}].querySelector('.outcome').innerText === '{words}'")


async def test_a_day_at_the_counter_looks_as_it_should(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await tab.until("document.body.dataset.state === 'empty'")
        await tab.picture("1-empty-wide-light")
        await with_three(served, tab)
        await tab.picture("2-three-cards-wide-light")
        await tab.prefer(prefers_color_scheme="dark")
        await tab.picture("3-three-cards-wide-dark")
        await tab.press("2")
        await tab.press("n")
        await tab.until("document.querySelector('.card.asking')")
        await tab.picture("4-asking-why-wide-dark")
        await tab.prefer(prefers_color_scheme="light")
        await tab.press("2")
        await outcome(tab, 1, "已拒绝：嫌贵")
        await tab.press("1")
        await tab.press("y")
        await outcome(tab, 0, "已办理")
        await tab.picture("5-answered-wide-light")
        await tab.resize(390, 844, 2)
        await tab.picture("6-answered-narrow-light")
        await tab.press("l")
        await tab.until(f"{LIVE} === 0")
        await served.http.delete(f"{served.url}/desk/visits/{served.log.visits[0].id}")
        await tab.until("document.body.dataset.state === 'closed'")
        await tab.picture("7-closed-narrow-light")
        await tab.until("document.body.dataset.state === 'empty'")
        await tab.picture("8-empty-narrow-light")
        await with_three(served, tab)
        await tab.picture("9-three-cards-narrow-light")
        await tab.prefer(prefers_color_scheme="dark")
        await tab.press("n")
        await tab.until("document.querySelector('.card.asking')")
        await tab.picture("10-asking-why-narrow-dark")


async def test_a_card_is_on_the_screen_within_200_ms_of_its_offer(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await served.open()
        await tab.until("document.body.dataset.state === 'visit'")
        await tab.look(
            "window.seenAt = {}; new MutationObserver(() => requestAnimationFrame(() => {"
            "for (const t of document.querySelectorAll('.title')) window.seenAt[t.textContent] ??= Date.now()}))"
            ".observe(document.getElementById('cards'), {childList: true, subtree: true, characterData: true}); 1"
        )
        took: list[float] = []
        for number in range(20):
            offered = time.time() * 1000
            await served.desk.offer(ANNA, card(f"d{number}", title=f"推荐 {number}"))
            await tab.until(f"'推荐 {number}' in window.seenAt")
            took.append(await tab.look(f"window.seenAt['推荐 {number}']") - offered)
            await served.answer(f"d{number}", "later")
        print(f"offer to screen: median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms of {len(took)}")
        assert sorted(took)[-2] <= 200  # one hiccup of a busy test machine is allowed


async def test_what_a_rule_writes_is_text_and_never_runs(chromium: Chromium) -> None:
    evil = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'
    async with counter(chromium) as (served, tab):
        await served.open(customer={"brand": evil[:40], "handset": "<b>N95</b>"})
        await served.desk.offer(ANNA, card(title=evil[:60], reason=evil, script=evil, price="<i>1</i>"))
        await tab.until(f"{LIVE} === 1")
        assert await tab.look("document.querySelector('.reason').textContent") == evil
        assert await tab.look("window.broken === undefined && document.querySelectorAll('main img').length === 0")


async def test_keys_answer_the_chosen_card_and_the_log_learns_it_once(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await with_three(served, tab)
        await tab.press("3")
        await tab.press("y")
        await outcome(tab, 2, "已办理")
        await tab.press("2")
        await tab.press("n")
        await tab.press("Escape")
        await tab.press("n")
        await tab.press("5")
        await outcome(tab, 1, "已拒绝：客户已走")
        await tab.press("l")
        await outcome(tab, 0, "稍后再说")
        await tab.press("y")
        assert served.log.told() == ["d3 accept", "d2 decline", "d1 later"]
        assert served.log.answers[1][1].note == "left"
        assert all(answer.shown for _, answer in served.log.answers)


async def test_a_key_pressed_while_customers_change_answers_nothing(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await with_three(served, tab)
        await served.open(subscriber=BERT)
        await served.desk.offer(BERT, card("d9", BERT))
        await tab.until(f"{LIVE} === 1")
        await tab.press("y")
        await asyncio.sleep(0.1)
        assert served.log.told() == []


async def test_a_clerk_types_a_number_and_ends_the_visit(chromium: Chromium) -> None:
    async with counter(chromium, number_prefix="86") as (served, tab):
        await tab.until("document.activeElement.id === 'number'")
        await tab.write("13800135678")
        await tab.press("Enter")
        await tab.until("document.getElementById('customer-number').textContent === '138 **** 5678'")
        assert served.log.visits[0].subscriber == ANNA
        assert "13800135678" not in await tab.look("document.body.outerHTML")
        await tab.picture("11-no-cards-wide-light")
        await tab.look("document.getElementById('close').click()")
        await tab.until("document.body.dataset.state === 'closed'")
        assert served.log.stood()[-1].endswith(" done")


async def test_an_unanswered_card_is_seen_to_expire_and_is_no_refusal(chromium: Chromium) -> None:
    async with counter(chromium, sweep_ms=50) as (served, tab):
        await served.open(customer=REGULAR.model_dump())
        await served.desk.offer(ANNA, THREE[1])
        await served.desk.offer(ANNA, card(expires_ms=served.desk.clock() + 2_500))
        await tab.until("document.querySelectorAll('.left')[1].textContent.startsWith('还剩')")
        assert await tab.look("document.getElementById('key-choose').innerText") == "12 选择"
        await tab.picture("12-running-out-wide-light")
        await outcome(tab, 1, "已过期")
        await tab.picture("13-expired-wide-light")
        assert served.log.told() == ["0-100-0-7 expired"]


async def test_an_answer_that_came_too_late_is_said_so(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        tab.expected = "status of 409"
        await with_three(served, tab)
        await tab.look(
            "window.fetchNow = fetch; window.fetch = async (...a) => {"
            "await new Promise((r) => setTimeout(r, 400)); return window.fetchNow(...a)}; 1"
        )
        await tab.press("y")
        await served.answer("d1", "later")
        await tab.until("!document.getElementById('notice').hidden")
        assert "没有记录" in await tab.look("document.getElementById('notice').textContent")
        await tab.picture("14-too-late-wide-light")
        assert served.log.told() == ["d1 later"]


async def test_an_idle_visit_warns_and_any_key_keeps_it(chromium: Chromium) -> None:
    async with counter(chromium, visit_idle_ms=31_500) as (served, tab):
        await with_three(served, tab)
        await tab.until("!document.getElementById('idle').hidden")
        await tab.picture("15-idle-wide-light")
        await tab.press("Tab")
        await tab.until("document.getElementById('idle').hidden")
        panel = await served.desk.queue.read("counter-3")
        assert panel.open_visit is not None
        assert panel.open_visit.touched_ms > panel.open_visit.opened_ms + 1_000


async def test_a_page_whose_server_died_reconnects_and_repeats_its_answer(chromium: Chromium, tmp_path: Path) -> None:
    desk, log = desk_over(MemoryQueue(300_000, 2_000, PanelStore(tmp_path / "desk")))
    async with Tab(chromium.port) as tab:
        await tab.resize(1280, 800)
        async with serve(desk, log) as served:
            await tab.open(f"{served.url}/desk/counter-3")
            await tab.until("document.body.dataset.link === 'ok'")
            await with_three(served, tab)
            port = int(served.url.rpartition(":")[2])
        await tab.until("document.getElementById('link').textContent === '重新连接'")
        await tab.press("y")
        await outcome(tab, 0, "等待提交…")
        await tab.picture("16-reconnecting-wide-light")
        again, second = desk_over(MemoryQueue(300_000, 2_000, PanelStore(tmp_path / "desk")))
        async with serve(again, second, port) as served:
            await outcome(tab, 0, "已办理")
            await tab.until("document.getElementById('link').textContent === '已连接'")
            assert second.told() == ["d1 accept"]
            assert second.visits == []


async def test_a_terminal_needs_its_own_token(chromium: Chromium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_TOKEN", "a long secret")
    desk, log = desk_over(token={"env": "DESK_TOKEN"})
    async with serve(desk, log) as served, Tab(chromium.port) as tab:
        await tab.resize(1280, 800)
        await tab.open(f"{served.url}/desk/counter-3")
        await tab.until("document.body.dataset.state === 'locked'")
        assert await tab.look(LINK) == "需要登录"
        assert "counter-3" in await tab.look("document.getElementById('locked').innerText")
        await tab.picture("17-locked-wide-light")
        await tab.open("about:blank")
        await tab.open(f"{served.url}{served.sessions.page_path('counter-3')}")
        await tab.until("document.body.dataset.state === 'empty'")
        assert await tab.look("location.hash + document.cookie") == ""
        await served.open()
        await served.desk.offer(ANNA, card())
        await tab.until(f"{LIVE} === 1")
        await asyncio.sleep(0.7)
        await tab.press("y")
        await outcome(tab, 0, "已办理")
        assert await tab.look("fetch('/desk/counter-4/session').then((reply) => reply.status)") == 401
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as elsewhere:
            token = {"token": served.sessions.terminal_token("counter-3")}
            assert (await elsewhere.post(f"{served.url}/desk/counter-3/session", json=token)).ok
            async with elsewhere.get(f"{served.url}/desk/counter-3/events"):
                await tab.until("document.body.dataset.state === 'locked'")
        assert await tab.look(LINK) == "需要登录"
        await tab.picture("19-taken-over-wide-light")


CONTRASTS = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * (top[3] ?? 1) + under[i] * (1 - (top[3] ?? 1)));
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const back = (el) => parse(getComputedStyle(el).backgroundColor);
  const ground = (el) => el ? over(back(el), ground(el.parentElement)) : [255, 255, 255];
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || el.closest('.unseen, kbd, :disabled')) continue;
    if (!el.checkVisibility({visibilityProperty: true})) continue;
    const under = ground(el), ink = over(parse(getComputedStyle(el).color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${el.className}: ${walker.currentNode.textContent.trim()}`);
  }
  return found;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_word_has_contrast_enough_and_every_button_a_name(chromium: Chromium, scheme: str) -> None:
    async with counter(chromium) as (served, tab):
        await tab.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        assert await tab.look(CONTRASTS) == []
        await with_three(served, tab)
        await tab.press("y")
        await outcome(tab, 0, "已办理")
        await tab.press("n")
        assert await tab.look(CONTRASTS) == []
        names = await tab.look(
            "[...document.querySelectorAll('button')].map((b) => b.ariaLabel || b.textContent.trim())"
        )
        assert all(names)
        assert await tab.look("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for width in (320, 390, 768, 1024):
            await tab.resize(width, 800)
            assert await tab.look("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width


async def test_a_clerk_records_that_a_customer_wants_no_more_texts_by_pressing_twice(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await with_three(served, tab)
        words = "document.getElementById('optout').textContent"
        press = "document.getElementById('optout').click()"
        await tab.look(press)
        await tab.until(f"{words} === '确认退订营销？'")
        assert served.log.opted_out == [], "a slip records nothing"
        await tab.look(press)
        await tab.until(f"{words} === '已退订营销'")
        assert served.log.opted_out == [ANNA]
        assert await tab.look("document.getElementById('notice').textContent") == "已登记：不再发送营销短信。"
        await tab.picture("11-opted-out-wide-light")
        await served.open(subscriber=BERT)
        await tab.until(f"{words} === '不再营销'")
        assert await tab.look("document.getElementById('optout').disabled") is False, "the next customer has not"


async def test_a_key_pressed_twice_ends_the_visit_and_once_it_only_asks(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await with_three(served, tab)
        await tab.press("e")
        await tab.until("document.getElementById('close').innerText === '再按 E 结束'")
        assert await tab.look("document.body.dataset.state") == "visit"
        await tab.press("e")
        await tab.until("document.body.dataset.state === 'closed'")

        assert served.log.stood()[-1].endswith(" done")


async def test_a_clerk_who_looks_elsewhere_is_called_by_title_and_icon_until_he_looks(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await tab.look("document.hasFocus = () => window.looks; window.looks = false; 1")
        await served.open()
        await tab.until("document.title === '● 新的接待'")
        assert (await tab.look("document.querySelector('link[rel=icon]').href")).endswith("icon-called.svg")
        await tab.until("document.title === 'counter-3 · 前台'")  # it blinks

        await tab.look("window.looks = true; window.dispatchEvent(new Event('focus')); 1")
        assert await tab.look("document.title") == "counter-3 · 前台"
        assert (await tab.look("document.querySelector('link[rel=icon]').href")).endswith("/icon.svg")
        await served.desk.offer(ANNA, card("d1"))
        await tab.until(f"{LIVE} === 1")
        assert await tab.look("document.title") == "counter-3 · 前台"


async def test_a_sound_is_made_by_choice_alone_and_the_choice_is_kept(chromium: Chromium) -> None:
    async with counter(chromium) as (served, tab):
        await tab.look(
            "document.hasFocus = () => false; window.sounds = 0; const start = OscillatorNode.prototype.start;"
            "OscillatorNode.prototype.start = function () { window.sounds += 1; start.call(this); }; 1"
        )
        await served.open()
        await tab.until("document.body.dataset.state === 'visit'")
        assert await tab.look("window.sounds") == 0

        await tab.look("document.getElementById('sound').focus()")
        await tab.press("Enter")  # a browser sounds for who has pressed something, not for a script
        await tab.until("window.sounds === 1")  # as a trial
        await served.desk.offer(ANNA, card("d1"))
        await tab.until("window.sounds === 2")
        assert await tab.look("document.getElementById('sound').innerText") == "声音：开"
        assert await tab.look("localStorage.getItem('opportune-desk-sound')") == "on"

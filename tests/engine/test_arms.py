"""Days under arms, a shadow and a control group of everything: what went, what is recorded, and what reports say."""

from collections import Counter
from typing import Any

import orjson
import pytest

from rules.gates import holdout
from rules.load import load_text
from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, call, config
from tests.oracle.judging import arm_of, ticket

BOOK = """
campaign = "spring"
[book]
zone = "Asia/Shanghai"
max_age = "366d"
holdout = "10%"
decisions_per_event = 2
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
per_event_max = 2
[campaigns.spring]
[[rule]]
id = "tried"
on = "call"
when = "kind == 'long'"
channels = ["sms"]
cap = ["1 per 30d"]
text.sms = "plain"
arms = { plain = "40%", warm = { share = "40%", text = { sms = "warm {seconds}" } }, control = "20%" }
[[rule]]
id = "rehearsed"
on = "call"
when = "kind == 'long'"
priority = 90
channels = ["sms"]
cap = ["1 per 30d"]
text.sms = "never"
shadow = true
[[goal]]
name = "uses"
campaign = "spring"
on = "call"
when = "kind == 'used'"
within = "1h"
"""
PEOPLE, DAYS = 600, 6
DAY_MS = 86_400_000
SUBSCRIBERS = [8_613_800_000_000 + number for number in range(PEOPLE)]
ARMS = ("control", "plain", "warm")
BOOK_READ = load_text({"book.toml": BOOK})
ARM = {one: ARMS[arm_of(BOOK_READ.by_id["tried"], one)[0] - 1] for one in SUBSCRIBERS}


def uses(number: int, subscriber: int) -> bool:
    """Who is written to warmly uses it seldom, whoever gets nothing half the time."""
    return number % {"control": 2, "plain": 2, "warm": 40}[ARM[subscriber]] == 0


@pytest.fixture(scope="module")
def engine(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = Engine(nursery, tmp_path_factory.mktemp("arms") / "engine", BOOK, config())
    begin_ms = [BASE_MS + number * DAYS // PEOPLE * DAY_MS + number for number in range(PEOPLE)]
    lines = [(at_ms, call(one, at_ms)) for one, at_ms in zip(SUBSCRIBERS, begin_ms, strict=True)]
    lines += [
        (at_ms + 60_000, call(one, at_ms + 60_000, "used"))
        for (number, one), at_ms in zip(enumerate(SUBSCRIBERS), begin_ms, strict=True)
        if uses(number, one)
    ]
    for day in range(1, DAYS + 1):  # others tell that it is day again, in every partition
        at_ms = BASE_MS + day * DAY_MS - 1
        lines += [(at_ms, call(1 + n, at_ms, "short")) for n in range(64)]
    made.put("days.ndjson", b"".join(line for _, line in sorted(lines)))
    made.drain()
    return made


def told(engine: Engine, *options: str) -> str:
    process = engine.command("report", *options)
    assert process.exit == 0, process.err
    return process.out


@pytest.fixture(scope="module")
def nobody(engine: Engine) -> set[int]:
    """Whom the control group of everything holds out."""
    return {one["subscriber"] for one in engine.records() if one.get("detail") == "all"}


def test_every_arm_is_treated_as_the_book_says_and_a_shadow_sends_nothing(engine: Engine, nobody: set[int]) -> None:
    sent = {one["to"]: one["text"] for one in engine.spooled()}

    assert len(sent) == len(engine.spooled())
    assert 20 < len(nobody) < 120
    said = {"plain": "plain", "warm": "warm 60"}
    assert sent == {one: said[ARM[one]] for one in SUBSCRIBERS if ARM[one] != "control" and one not in nobody}


def test_every_candidate_is_recorded_with_its_arm_and_its_probability(engine: Engine) -> None:
    records = engine.records("--rule", "tried")

    assert len(records) == PEOPLE
    assert {one["subscriber"]: one["arm"] for one in records} == ARM
    assert {(one["arm"], one["probability"]) for one in records} == {("control", 0.2), ("plain", 0.4), ("warm", 0.4)}


def test_a_shadow_is_recorded_with_the_channel_on_which_it_would_have_gone(engine: Engine) -> None:
    records = engine.records("--rule", "rehearsed")
    why = engine.command("why", str(SUBSCRIBERS[0])).out

    assert [(one["outcome"], one["gate"], one["channel"]) for one in records] == [
        ("suppressed", "shadow", "sms")
    ] * PEOPLE
    assert "rehearsed: stopped by gate shadow: it would have been decided on sms" in why
    assert f"arm {ARM[SUBSCRIBERS[0]]}, drawn with probability" in why


def test_a_report_counts_by_arm_and_counts_shadows_apart(engine: Engine, nobody: set[int]) -> None:
    by_arm = Counter(ARM[one] for one in SUBSCRIBERS if one not in nobody)

    rows = [orjson.loads(line) for line in told(engine, "--by", "rule,arm", "--format", "ndjson").splitlines()]

    found = {(one["rule"], one["arm"]): one for one in rows}
    assert found["rehearsed", ""]["shadow"] == found["rehearsed", ""]["candidates"] == PEOPLE
    assert found["rehearsed", ""]["stopped"] == 0
    assert {arm: found["tried", arm]["candidates"] for arm in ARMS} == by_arm
    assert {arm: found["tried", arm]["held_out"] for arm in ARMS} == {
        "control": by_arm["control"],
        "plain": 0,
        "warm": 0,
    }
    assert found["tried", "held out"]["held_out"] == len(nobody)


def test_arms_are_compared_with_control_and_with_each_other_and_one_that_hurts_is_warned_of(
    engine: Engine, nobody: set[int]
) -> None:
    drawn: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    for number, one in enumerate(SUBSCRIBERS):
        if one not in nobody:
            drawn[ARM[one]] += 1
            reached[ARM[one]] += uses(number, one)

    lines = told(engine).splitlines()

    rows: dict[str, Any] = {
        line.split(": ")[1].split("  ")[0]: line.split() for line in lines if "uses  rule tried: " in line
    }
    assert list(rows) == ["plain against control", "warm against control", "plain against warm"]
    for pair, cells in rows.items():
        first, _, second = pair.split()
        assert [int(cells[place]) for place in (6, 7, 9, 10)] == [
            drawn[first], reached[first], drawn[second], reached[second],
        ]  # fmt: skip
    assert rows["warm against control"][-1] == "HURTS"
    assert rows["plain against warm"][-1] == "better"
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert [line.split(" hurt: ")[0] for line in warnings][
        -1
    ] == "warning: Contacts of rule tried: warm against control"


def test_an_export_names_arms(engine: Engine, nobody: set[int]) -> None:
    done = engine.command("export", "out", "--format", "ndjson")
    assert done.exit == 0, done.err
    (file,) = (engine.folder / "out").glob("decisions*.ndjson")
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]

    tried = {one["subscriber"]: one["arm"] for one in rows if one["rule"] == "tried"}
    assert tried == {one: "held out" if one in nobody else ARM[one] for one in SUBSCRIBERS}


def test_the_next_book_in_another_year_holds_out_of_everything_whom_this_one_did() -> None:
    later = (
        "[book]\nholdout = '10%'\n[events.x]\n[channels.sms]\n[[rule]]\nid = 'other'\non = 'x'\nchannels = ['sms']\n"
    )
    both = [_held_out_of_all(text) for text in (BOOK, later + "text.sms = 't'\n")]

    assert both[0] == both[1]
    assert 20 < len(both[0]) < 120


def _held_out_of_all(text: str) -> list[int]:
    columns = holdout.GATE.columns(load_text({"book.toml": text}))
    return [one for one in SUBSCRIBERS if ticket(int(columns.salt[0, 2]), one) < columns.ppm[0, 2]]

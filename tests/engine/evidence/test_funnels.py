"""The tables of the source, made again from a day, and judged by what gateway, desk and network have on record."""

import csv
import json
from collections import Counter
from datetime import datetime
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from state.calendar import epoch_ms
from tests.engine.conftest import Make
from tests.engine.desk_pages import Pages
from tests.engine.engines import Engine, Nursery, fetch, wait_for
from tests.engine.test_doors import FIRST, now_ms
from tests.engine.world import BOOK, call, config

JSON = {"Content-Type": "application/json"}
SEATS = {"gz-1": ("广州", "王"), "gz-2": ("广州", "李"), "sz-1": ("深圳", "=陈")}
STORY = (
    ("gz-1", "accept"), ("gz-1", "accept"), ("gz-1", "decline"), ("gz-2", "accept"), ("gz-2", ""), ("gz-2", "decline"),
    ("sz-1", "accept"), ("sz-1", ""), ("sz-1", "later"), ("sz-1", "accept"),
)  # fmt: skip
"""At which terminal each customer was, and what it said of the card; nothing where it left."""
HOUR_MS = 3_600_000
DAY_BOOK = """
[book]
zone = "Asia/Shanghai"
[events.call]
fields = { kind = "string!", seconds = "int", prefix = "string" }
[channels.sms]
[campaigns.care]
[[rule]]
id = "care"
campaign = "care"
on = "call"
when = "kind == 'long_distance' and default(prefix, '') != '12593'"
channels = ["sms"]
holdout = "25%"
cap = ["1 per 30d"]
text.sms = "12593"
[[goal]]
name = "uses-12593"
campaign = "care"
on = "call"
when = "prefix == '12593'"
within = "6h"
value = "seconds"
"""


def report(engine: Engine, *options: str) -> list[dict[str, Any]]:
    process = engine.command("report", "--format", "ndjson", *options)
    assert process.exit == 0, process.err
    return [orjson.loads(line) for line in process.out.splitlines()]


def at_the_counter(engine: Engine, pages: Pages, terminal: str, subscriber: int, reply: str) -> bool:
    """Play one visit as its clerk; return whether the page drew a card."""
    page = pages(engine, terminal)
    body = json.dumps({"terminal": terminal, "subscriber": subscriber, "visit": f"v-{subscriber}"}).encode()
    assert engine.post("/desk/visits", body, **JSON)[0] == 201
    assert engine.post("/events", call(subscriber, now_ms()))[0] == 202
    wait_for(page.cards, "the card", 10)
    (card,) = page.cards()
    if reply:
        path = f"/desk/cards/{card['id']}/answer"
        assert engine.post(path, json.dumps({"answer": reply}).encode(), **JSON)[0] == 200
    assert fetch(f"{engine.url}/desk/visits/v-{subscriber}", method="DELETE")[0] == 200
    page.close()
    return True


def ended_cards(engine: Engine) -> int:
    lines = engine.page("/metrics").decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("opportune_cards_total"))


@pytest.mark.slow
def test_the_desk_funnel_by_city_and_clerk_is_what_the_counters_saw(make: Make, pages: Pages) -> None:
    engine = make(book=BOOK.replace('shelf_life = "7d"', 'shelf_life = "5s"'), clock="wall").start()
    shown: Counter[tuple[str, str]] = Counter()
    said: Counter[tuple[str, str, str]] = Counter()
    for number, (terminal, reply) in enumerate(STORY):
        shown[SEATS[terminal]] += at_the_counter(engine, pages, terminal, FIRST + number, reply)
        said[(*SEATS[terminal], reply)] += 1
    undrawn = json.dumps({"terminal": "gz-1", "subscriber": FIRST + 99, "visit": "v-99"}).encode()
    engine.post("/desk/visits", undrawn, **JSON)
    engine.post("/events", call(FIRST + 99, now_ms()))
    wait_for(lambda: engine.status()["desk"].get("offer_shown") == len(STORY) + 1, "the card that nobody draws")
    fetch(f"{engine.url}/desk/visits/v-99", method="DELETE")
    wait_for(lambda: ended_cards(engine) == len(STORY) + 1, "the end of cards that nobody answered", 30)
    with (engine.folder / "seats.csv").open("w", encoding="utf-8") as file:
        csv.writer(file).writerows([("terminal", "city", "clerk"), *((t, *seat) for t, seat in SEATS.items())])
    while_it_runs = report(engine, "--by", "city,clerk", "--terminals", "seats.csv")
    metrics = engine.page("/metrics").decode()
    engine.stop()

    found = report(engine, "--by", "city,clerk", "--terminals", "seats.csv")

    seen = {(row["city"], row["clerk"]): row for row in found}
    assert {seat: row["shown"] for seat, row in seen.items() if row["shown"]} == dict(shown)
    for (city, clerk), row in seen.items():
        assert row["accepted"] == said[city, clerk, "accept"]
        assert row["declined"] == said[city, clerk, "decline"]
        assert row["later"] == said[city, clerk, "later"]
        assert row["unanswered"] == said[city, clerk, ""]
        assert row["accepted_of_shown"] == pytest.approx(said[city, clerk, "accept"] / shown[city, clerk])
    assert sum(row["decided"] for row in found) == len(STORY) + 1
    assert sum(row["refunded"] for row in found) == 1
    assert sum(row["decided"] for row in while_it_runs) == len(STORY) + 1
    assert 'opportune_rule_outcomes_total{outcome="accept",rule="long-care"} 5.0' in metrics
    table = engine.command("report", "--by", "city,clerk", "--terminals", "seats.csv").out
    assert f"{said['广州', '王', 'accept']} {100 * 2 / 3:.2f}%" in " ".join(table.split())
    formulas = engine.command("report", "--by", "clerk", "--terminals", "seats.csv", "--format", "csv").out
    assert "\n'=陈," in formulas


Day = tuple[Engine, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def day(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A generated day that was decided, with receipts for the texts; the engine, stopped, and the day's calls."""
    engine = Engine(nursery, tmp_path_factory.mktemp("day") / "engine", DAY_BOOK, config())
    fed = engine.command("feed", "--to", "files", "made", "--subscribers", "1500", "--events", "24000", "--no-profiles")
    assert fed.exit == 0, fed.err
    made = [path.read_bytes() for path in sorted((engine.folder / "made").glob("*.ndjson"))]
    calls = [one for one in map(orjson.loads, b"".join(made).splitlines()) if one["type"] == "call"]
    engine.put("day.ndjson", b"".join(made))
    (engine.folder / "spool").mkdir(exist_ok=True)
    receipts = engine.folder / "spool" / "in.ndjson"
    receipts.touch()
    engine.drain()
    told = [{"receipt": one["id"], "state": state_of(one)} for one in engine.spooled()]
    receipts.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in told))
    engine.start()
    wait_for(lambda: engine.status()["outcomes"].get("delivered") == delivered(engine), "the receipts")
    assert engine.stop() == 0
    return engine, calls


def delivered(engine: Engine) -> dict[str, int]:
    return {"": sum(state_of(one) == "delivered" for one in engine.spooled())}


def state_of(message: dict[str, Any]) -> str:
    return "undelivered" if message["to"] % 10 == 3 else "delivered"


def at_ms_of(event: dict[str, Any]) -> int:
    return epoch_ms(datetime.fromisoformat(event["time"]))


@pytest.mark.slow
def test_the_12593_funnel_is_what_network_and_gateway_have_on_record(day: Day) -> None:
    engine, calls = day
    marketed = {one["to"]: one["at_ms"] for one in engine.spooled()}
    first: dict[int, int] = {}
    used: dict[int, list[tuple[int, int]]] = {}
    for one in calls:
        if one.get("prefix") == "12593":
            used.setdefault(int(one["msisdn"]), []).append((at_ms_of(one), int(one["seconds"])))
        elif one["kind"] == "long_distance":
            first.setdefault(int(one["msisdn"]), at_ms_of(one))
    held_out = {number: at_ms for number, at_ms in first.items() if number not in marketed}
    end_ms = max(map(at_ms_of, calls))

    (row,) = report(engine, "--by", "campaign")

    assert row["decided"] + row["held_out"] == len(first) > 100
    assert row["held_out"] == len(held_out) > 20
    assert row["sent"] == len(marketed)
    assert row["delivered"] == sum(state_of({"to": number}) == "delivered" for number in marketed)
    assert row["undelivered"] == sum(state_of({"to": number}) == "undelivered" for number in marketed)

    def reached(number: int, at_ms: int) -> list[int]:
        return [worth for time_ms, worth in used.get(number, []) if at_ms <= time_ms <= at_ms + 6 * HOUR_MS]

    for over, converted, group in (
        ("contacts_over", "converted", marketed),
        ("held_out_over", "held_out_converted", held_out),
    ):
        past = {number: at_ms for number, at_ms in group.items() if at_ms + 6 * HOUR_MS < end_ms - HOUR_MS}
        near = {number: at_ms for number, at_ms in group.items() if at_ms + 6 * HOUR_MS < end_ms + HOUR_MS}
        assert len(past) <= row[over] <= len(near)
        wins = [sum(bool(reached(*one)) for one in some.items()) for some in (past, near)]
        assert wins[0] <= row[converted] <= wins[1]
        assert wins[0] > 0
    assert row["value"] == sum(sum(reached(*one)) for one in marketed.items())


@pytest.mark.slow
def test_an_export_has_every_record_once_in_every_format(day: Day) -> None:
    engine, _ = day
    for kind in ("parquet", "csv", "ndjson"):
        done = engine.command("export", "out", "--format", kind)
        assert done.exit == 0, done.err
    lines = [orjson.loads(line) for line in (engine.folder / "out" / "decisions.ndjson").read_bytes().splitlines()]
    table = pq.read_table(engine.folder / "out" / "decisions.parquet")
    with (engine.folder / "out" / "decisions.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    spooled = {one["id"]: one for one in engine.spooled()}

    known = {record["id"]: record for record in engine.records()}
    assert [one["id"] for one in lines] == table["id"].to_pylist() == [one["id"] for one in cells]
    assert {one["id"] for one in lines} == set(known)
    assert len(lines) == len(known)
    for one in lines:
        assert orjson.loads(one["facts"]) == known[one["id"]]["facts"]
        assert (one["ends"] is not None) == (one["id"] in spooled)
        if one["id"] in spooled:
            assert one["ends"] == f"sent+{state_of(spooled[one['id']])}"
            assert at_ms_of({"time": one["sent"]}) == spooled[one["id"]]["at_ms"]
    sent = [value for value in table["sent"].to_pylist() if value is not None]
    assert sorted(int(value.timestamp() * 1000) for value in sent) == sorted(one["at_ms"] for one in spooled.values())
    assert sum(table["value"].to_pylist()) == sum(float(one["value"]) for one in cells)
    held = json.loads((engine.folder / "out" / "export.json").read_text())
    assert held["records"] == len(lines)

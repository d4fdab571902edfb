"""A list event that names no list of the book is a dead letter; `lists` says so before anything is changed."""

import orjson

from tests.engine.conftest import Make
from tests.engine.world import BASE_MS, call, joined, line

FIRST = 8613800000001


def put_on(subscriber: int, name: str, after_ms: int = 0, member: bool = True) -> bytes:
    return line(type="list", msisdn=subscriber, time=BASE_MS + after_ms, list=name, member=member)


def test_a_list_event_of_no_list_is_a_dead_letter_and_its_neighbours_count(make: Make) -> None:
    engine = make()
    lines = [
        call(FIRST, BASE_MS),
        put_on(FIRST + 1, "optuot"),
        put_on(FIRST + 2, "optout", 1),
        put_on(FIRST + 1, "gone", 2, member=False),
        call(FIRST + 1, BASE_MS + 3),
        call(FIRST + 2, BASE_MS + 4),
    ]
    engine.put("day.ndjson", joined(lines))
    engine.drain()
    letters = [orjson.loads(one) for one in engine.command("dead", "list", "--format", "ndjson").out.splitlines()]
    assert [(one["code"], one["line"], one["value"]) for one in letters] == [
        ("unknown_list", 2, "optuot"),
        ("unknown_list", 4, "gone"),
    ]
    assert "did you mean optout" in letters[0]["reason"].replace("`", "")
    assert letters[0]["raw"].encode() + b"\n" == lines[1]
    assert {one["to"] for one in engine.spooled()} == {FIRST, FIRST + 1}


def test_lists_puts_subscribers_on_the_opt_outs_of_any_book_and_names_a_wrong_list(make: Make) -> None:
    engine = make().start()
    assert engine.command("lists", "add", "optout", str(FIRST)).exit == 0
    wrong = engine.command("lists", "add", "optuot", str(FIRST))
    assert wrong.exit != 0
    assert "list='optuot' is not in the book" in wrong.err
    assert engine.post("/events", call(FIRST, BASE_MS) + call(FIRST + 1, BASE_MS))[0] == 202
    engine.stop()
    stopped = {one["subscriber"]: one["gate"] for one in engine.records() if one["rule"] == "long-care"}
    assert stopped == {FIRST: "list", FIRST + 1: None}

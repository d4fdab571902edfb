"""What scripts ask a running engine or its files: decisions, why, dead letters, status, metrics, health."""

import subprocess

import orjson
import pytest

from tests.engine.conftest import Make
from tests.engine.engines import Engine, wait_for
from tests.engine.world import BASE_MS, BOOK, call, iso, joined, line
from tests.parts.need import program

FIRST = 8613800000000
HOUR_MS = 3_600_000


def fed(make: Make) -> Engine:
    """A running engine with four calls of one customer, one an hour, and three charges of another."""
    engine = make().start()
    calls = [call(FIRST, BASE_MS + n * HOUR_MS, seconds=60) for n in range(4)]
    charges = [line(type="charge", msisdn=FIRST + 1, time=BASE_MS + n, fen=2_000) for n in range(3)]
    assert engine.post("/events", joined([*calls, *charges]))[0] == 202
    return engine


def test_decisions_are_one_record_a_candidate_with_all_that_was_promised(make: Make) -> None:
    first = fed(make).records("--rule", "long-care")[0]

    assert {name: first[name] for name in ("subscriber", "rule", "outcome", "gate", "channel", "at_ms")} == {
        "subscriber": FIRST,
        "rule": "long-care",
        "outcome": "decided",
        "gate": None,
        "channel": "sms",
        "at_ms": BASE_MS,
    }
    assert first["facts"] == {"kind": "long", "long_calls": 1, "name": None}
    assert first["id"].startswith(f"{first['partition']}-{first['position']}-{first['row']}-")
    assert {"event_id", "book"} <= first.keys()


def test_decisions_are_chosen_by_rule_and_half_open_by_time(make: Make) -> None:
    engine = fed(make)
    all_of_it = engine.records()

    assert [one["gate"] for one in engine.records("--rule", "long-care")] == [None, None, "cap", "cap"]
    assert len(engine.records("--rule", "spender")) == 2
    chosen = engine.records("--from", iso(BASE_MS + HOUR_MS), "--to", iso(BASE_MS + 3 * HOUR_MS))
    assert [one["at_ms"] - BASE_MS for one in chosen] == [HOUR_MS, 2 * HOUR_MS]
    local = engine.records("--from", "2008-11-04T09:00", "--to", "2008-11-04T11:00")
    assert local == chosen
    engine.kill()
    assert engine.records() == all_of_it


def test_why_tells_what_fired_what_stopped_it_the_facts_and_the_end(make: Make) -> None:
    engine = fed(make)
    wait_for(lambda: len(engine.spooled()) == 4, "the messages")
    wait_for(lambda: engine.command("why", str(FIRST)).out.count("accepted") >= 2, "the outcomes in the log")
    story = engine.command("why", f"+{FIRST}").out
    nobody = engine.command("why", "8613899999999").out

    assert "2008-11-04 08:00:00  long-care: decided on sms" in story
    assert "2008-11-04 10:00:00  long-care: stopped by gate cap" in story
    assert "2 per 6h" in story
    assert "long_calls = 3" in story
    assert nobody == "8613899999999: no rule was ever a candidate\n"


def test_dead_letters_are_listed_counted_and_replayed_once_the_cause_is_mended(make: Make) -> None:
    engine = make().start()
    late = line(type="refund", msisdn=FIRST, time=BASE_MS, fen=7)
    hopeless = b'{"type":"call"}\n'
    engine.post("/events", late + hopeless)
    engine.put("file.ndjson", late + hopeless)
    wait_for(lambda: engine.status()["dead_letters"] == 4, "the dead letters")
    listed = [orjson.loads(one) for one in engine.command("dead", "list", "--format", "ndjson").out.splitlines()]

    assert {(one["source"], one["line"], one["code"]) for one in listed} == {
        (source, number, code)
        for source in ("inbox", "http")
        for number, code in ((1, "unknown_type"), (2, "missing_subscriber"))
    }
    (unknown, *_) = [one for one in listed if one["code"] == "unknown_type" and one["source"] == "inbox"]
    assert (unknown["field"], unknown["value"]) == ("type", "refund")
    assert unknown["reason"]
    assert unknown["key"].startswith("inbox:file.ndjson#")

    book = (engine.folder / "book" / "book.toml").read_text()
    version = engine.status()["book"]["version"]
    engine.write_book(book.replace("[channels.sms]", '[events.refund]\nfields = { fen = "int" }\n[channels.sms]'))
    wait_for(lambda: engine.command("dead", "list", "--code", "unknown_type").out.count("\n") == 2, "the list")
    wait_for(lambda: engine.status()["book"]["version"] != version, "the new book")
    replayed = engine.command("dead", "replay", "--code", "unknown_type")

    assert replayed.out == "http: 1 lines handed over\ninbox: 1 lines handed over\n"
    wait_for(lambda: engine.status()["events"] == 2, "the replayed lines")
    assert engine.command("dead", "list", "--code", "unknown_type").out == ""
    assert engine.command("dead", "list", "--counts").out.count("missing_subscriber") == 2
    assert engine.command("dead", "replay", "--code", "unknown_type").out == "nothing to replay\n"


def test_a_broken_line_that_a_client_sent_twice_acts_once_when_it_is_replayed(make: Make) -> None:
    engine = make().start()
    late = line(type="refund", msisdn=FIRST, time=BASE_MS, fen=7, id="r-1")
    for _ in range(2):
        engine.post("/events", late)
    wait_for(lambda: engine.status()["dead_letters"] == 2, "the dead letters")
    book = (engine.folder / "book" / "book.toml").read_text()
    version = engine.status()["book"]["version"]
    engine.write_book(book.replace("[channels.sms]", '[events.refund]\nfields = { fen = "int" }\n[channels.sms]'))
    wait_for(lambda: engine.status()["book"]["version"] != version, "the new book")

    assert engine.command("dead", "replay").out == "http: 2 lines handed over\n"
    wait_for(lambda: engine.status()["doubled"] == 1, "the second one to be left out")


def test_a_line_that_was_edited_is_replayed_as_it_stands_now_and_its_letter_is_shown_as_replayed(make: Make) -> None:
    engine = make().start()
    engine.put("file.ndjson", line(type="cal", msisdn=FIRST, time=BASE_MS, kind="long") + b"no json\n")
    wait_for(lambda: engine.status()["dead_letters"] == 2, "the dead letters")
    (letter, other) = [
        orjson.loads(one) for one in engine.command("dead", "list", "--format", "ndjson").out.splitlines()
    ]
    assert not letter["replayed"]
    file = engine.folder / "edited.ndjson"
    file.write_bytes(orjson.dumps(letter | {"raw": letter["raw"].replace('"cal"', '"call"')}) + b"\n")

    assert engine.command("dead", "replay", "--edited", str(file)).out == "inbox: 1 lines handed over\n"
    wait_for(lambda: [one["rule"] for one in engine.records()] == ["long-care"], "the call")
    assert engine.command("dead", "replay", "--edited", str(file)).out == "nothing to replay\n"
    both = engine.command("dead", "list", "--all").out.splitlines()
    assert [one.endswith("  replayed") for one in both] == [True, False]
    assert engine.command("dead", "list").out.startswith(other["number"])
    file.write_bytes(b'{"raw": 7}\n')
    assert "edited.ndjson:1 is no letter" in engine.command("dead", "replay", "--edited", str(file)).err


def test_who_is_put_on_a_list_is_left_alone_from_then_on(make: Make) -> None:
    engine = make(book=BOOK + '\n[lists.quiet]\nexcludes = "all"\n').start()
    numbers = engine.folder / "numbers.txt"
    numbers.write_text(f"+{FIRST}\n{FIRST + 1}\n")
    gates: list[tuple[str, ...]] = []

    def after(*words: str) -> None:
        done = engine.command("lists", *words)
        gates.append((done.out, done.err.rpartition(": ")[2]))
        engine.post("/events", call(FIRST, BASE_MS + len(gates) * HOUR_MS))
        wait_for(lambda: len(engine.records("--rule", "long-care")) == len(gates), "the record")
        gates[-1] += (engine.records("--rule", "long-care")[-1]["gate"],)

    after("add", "quiet", "--file", str(numbers))
    after("add", "quite", str(FIRST))
    after("remove", "quiet", str(FIRST))

    assert gates == [
        ("2 subscribers are on the list quiet\n", "", "list"),
        ("", "list='quite' is not in the book; did you mean `quiet`?\n", "list"),
        ("1 subscribers are off the list quiet\n", "", None),
    ]
    numbers.write_text(f"{FIRST}\nsomebody\n")
    assert (
        "numbers.txt:2: msisdn='somebody' must be"
        in engine.command("lists", "add", "quiet", "--file", "numbers.txt").err
    )
    assert "give numbers, or --file" in engine.command("lists", "add", "quiet").err
    refused = engine.post("/lists", orjson.dumps({"list": "quiet", "member": True, "subscribers": [-1]}))
    assert refused[0] == 400


def test_lines_replayed_without_an_engine_are_read_at_its_next_start_and_once(make: Make) -> None:
    engine = make()
    engine.put("file.ndjson", line(type="refund", msisdn=FIRST, time=BASE_MS, fen=7))
    engine.drain()
    book = (engine.folder / "book" / "book.toml").read_text()
    engine.write_book(book.replace("[channels.sms]", '[events.refund]\nfields = { fen = "int" }\n[channels.sms]'))

    assert engine.command("dead", "replay").out == "inbox: 1 lines handed over\n"
    assert engine.drain().startswith("1 events")
    assert engine.drain().startswith("0 events")
    assert engine.drain().startswith("0 events")
    assert engine.command("dead", "list").out == ""


def test_status_once_is_a_table_and_json_for_scripts(make: Make) -> None:
    engine = fed(make)
    table = engine.command("status", "--once")
    status = orjson.loads(engine.command("status", "--once", "--format", "json").out)

    assert table.exit == 0
    assert "events 7" in table.out
    assert "long-care" in table.out
    assert "cap 2" in table.out
    assert (status["events"], status["book"]["rules"], status["dead_letters"]) == (7, 3, 0)


@pytest.mark.parts
def test_metrics_are_clean_for_promtool_and_count_right(make: Make) -> None:
    promtool = program("promtool", package="prometheus")
    engine = fed(make)
    engine.post("/events", b"broken\n")
    page = engine.page("/metrics")
    done = subprocess.run([promtool, "check", "metrics"], check=False, input=page, capture_output=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for sample in (
        b'opportune_events_total{source="http"} 7.0',
        b'opportune_dead_letters_total{code="bad_syntax",source="http"} 1.0',
        b'opportune_decisions_total{gate="cap",rule="long-care"} 2.0',
        b'opportune_decisions_total{gate="decided",rule="long-care"} 2.0',
        b"opportune_event_to_decision_seconds_count",
        b"opportune_event_to_gateway_seconds_count",
        b"opportune_redo_distance_frames",
        b"opportune_dirty_pages",
        b"opportune_sleeping_subscribers",
        b"opportune_book_info",
        b"opportune_intake_queued_bytes 0.0",
    ):
        assert sample in page


def test_health_says_that_it_serves(make: Make) -> None:
    assert make().start().get("/health") == {"ok": True, "fault": ""}


def test_a_number_without_its_country_code_gets_a_hint_and_one_that_nobody_has_gets_none(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", call(8613800000001, BASE_MS))
    engine.drain()

    assert engine.command("why", "3800000001").err == "hint: was the country code left off? there is 8613800000001\n"
    assert engine.command("why", "3800000002").err == ""
    assert engine.command("why", "8613800000001").err == ""

"""The doors of a running engine: events by HTTP and TCP, texts by SMPP, visits and cards at the desk, the switches."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engine.conftest import Make
from tests.engine.desk_pages import Pages
from tests.engine.engines import ROOT, Engine, fetch, wait_for
from tests.engine.world import BASE_MS, call, joined
from tests.faults.counting import outcomes
from tests.parts.ports import free_port

FIRST = 8613800000000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# ---- events by HTTP


def test_events_that_were_answered_202_survive_a_kill_at_once(make: Make) -> None:
    engine = make().start()
    for number in range(5):
        assert engine.post("/events", call(FIRST + number, BASE_MS))[0] == 202
        engine.kill()
        engine.start()

    assert {record["subscriber"] for record in engine.records("--decided")} == set(range(FIRST, FIRST + 5))


def test_without_the_token_nothing_is_taken(make: Make) -> None:
    engine = make(more='[[sources.http]]\nname = "guarded"\npath = "/guarded"\ntoken = { env = "EVENTS_TOKEN" }\n')
    engine.env["EVENTS_TOKEN"] = "right"
    engine.start()
    body = call(FIRST, BASE_MS)

    assert engine.post("/guarded", body)[0] == 401
    assert engine.post("/guarded", body, Authorization="Bearer wrong")[0] == 401
    assert engine.status()["events"] == 0
    assert engine.post("/guarded", body, Authorization="Bearer right")[0] == 202


def test_switches_need_the_token_where_there_is_one(make: Make) -> None:
    engine = make(more='[http]\nport = 0\ntoken = { env = "FRONT_TOKEN" }\n')
    engine.env["FRONT_TOKEN"] = "right"
    engine.start()
    order = json.dumps({"action": "pause", "kind": "rule", "name": "long-care"}).encode()

    assert engine.post("/control", order)[0] == 401
    assert engine.status()["paused"] == []
    assert engine.command("pause", "rule", "long-care").exit == 0
    assert engine.status()["paused"] == [["rule", "long-care"]]


def test_an_intake_without_room_answers_429_and_when_to_come_again(make: Make) -> None:
    engine = make(more="[limits]\nintake_bytes_max = 1048576\n").start()
    body = joined(call(FIRST + n % 1_000, BASE_MS + n, "local") for n in range(9_000))
    assert len(body) < 1 << 20
    answers: list[tuple[int, str | None]] = []
    lock = threading.Lock()

    def post() -> None:
        for _ in range(6):
            status, headers, _ = engine.post("/events", body)
            with lock:
                answers.append((status, headers.get("Retry-After")))

    callers = [threading.Thread(target=post) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert set(answers) == {(202, None), (429, "1")}
    assert engine.status()["events"] == 9_000 * answers.count((202, None))


def test_an_event_that_is_sent_again_with_its_id_acts_once_also_over_a_restart(make: Make) -> None:
    engine = make().start()
    body = joined(call(FIRST + n, BASE_MS, id=f"event-{n}") for n in range(20))
    assert [engine.post("/events", body)[0] for _ in range(2)] == [202, 202]
    engine.kill()
    engine.start()
    assert engine.post("/events", body)[0] == 202

    assert len(engine.records()) == 20
    assert engine.status()["doubled"] >= 20


def test_events_that_cannot_be_kept_are_not_answered_202_until_there_is_room(make: Make) -> None:
    engine = make(more="[log]\nsegment_bytes = 1048576\n").start()
    process = engine.process
    assert process is not None
    (engine.folder / "disk.full").touch()
    body = joined(call(FIRST + n, BASE_MS) for n in range(1_000))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(engine.post, "/events", body)
        wait_for(lambda: process.exit is not None or "the flow waits until there is room" in process.err, "a full disk")
        assert not answer.done()
        (engine.folder / "disk.full").unlink()

        assert answer.result()[0] == 202
    assert len(engine.records()) == 1_000


# ---- events by TCP


def test_tcp_lines_are_acknowledged_when_they_are_durable(make: Make) -> None:
    port = free_port()
    engine = make(more=f'[[sources.tcp]]\nname = "tcp"\nport = {port}\nacknowledge = true\n').start()
    lines = [call(FIRST + n, BASE_MS) for n in range(100)]

    with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as answers:
        client.sendall(joined(lines)[:-20])
        assert int(answers.readline()) <= 99
        client.sendall(joined(lines)[-20:])
        acknowledged = 0
        while acknowledged < 100:
            acknowledged = int(answers.readline())
        engine.kill()

    engine.start()
    assert len({record["subscriber"] for record in engine.records("--decided")}) == 100


# ---- texts by SMPP, and the switches


@pytest.fixture
def slow_smsc() -> Iterator[int]:
    """The port of an SMSC that takes 20 submits a second and no more."""
    command = [sys.executable, "-m", "connectors.gateways.smpp.simulator", "--port", "0", "--rate-per-s", "20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[1])
        process.kill()


def sending_slowly(make: Make, port: int, count: int = 400) -> Engine:
    """An engine with many texts waiting for a slow SMSC."""
    smsc = f'[gateways.smsc]\nkind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "opportune"\n'
    more = smsc + 'password = { env = "SMSC_PASSWORD" }\nthrottle_ms_min = 100\n[channels.sms]\ngateway = "smsc"\n'
    engine = make(clock="wall", more=more)
    engine.env["SMSC_PASSWORD"] = "secret"
    engine.start()
    engine.post("/events", joined(call(FIRST + n, now_ms()) for n in range(count)))
    wait_for(lambda: dispatch(engine, "total_committed") > 5, "the first texts")
    return engine


def dispatch(engine: Engine, name: str) -> int:
    return int(engine.status()["dispatch"].get(name, 0))


def test_a_kill_takes_queued_texts_back_within_a_second(make: Make, slow_smsc: int) -> None:
    engine = sending_slowly(make, slow_smsc)
    began = time.monotonic()
    killed = engine.command("kill", "rule", "long-care")
    sent = dispatch(engine, "total_committed")
    wait_for(lambda: dispatch(engine, "waiting") + dispatch(engine, "untold") == 0, "the end of what waited")
    waited_s = time.monotonic() - began
    time.sleep(0.5)
    engine.post("/events", call(FIRST + 5_000, now_ms()))

    assert killed.out.startswith("kill: rule long-care; queued sends touched: ")
    assert waited_s < 1.0
    assert dispatch(engine, "total_committed") - sent <= 10
    assert dispatch(engine, "total_refunded") >= 300
    assert [record["gate"] for record in engine.records() if record["subscriber"] == FIRST + 5_000] == ["paused"]
    assert engine.status()["killed"] == [["rule", "long-care"]]
    assert engine.status()["paused"] == []
    assert "KILLED: rule long-care" in engine.command("status", "--once").out
    engine.kill()
    engine.start()
    assert engine.status()["killed"] == [["rule", "long-care"]]


def test_a_pause_holds_queued_texts_and_a_resume_lets_them_go(make: Make, slow_smsc: int) -> None:
    engine = sending_slowly(make, slow_smsc, count=60)
    began = time.monotonic()
    assert engine.command("pause", "channel", "sms").exit == 0
    assert time.monotonic() - began < 1.0
    wait_for(lambda: dispatch(engine, "in_flight") == 0, "what was on its way")
    held = dispatch(engine, "total_committed")
    time.sleep(0.5)
    assert dispatch(engine, "total_committed") == held
    assert engine.command("status", "--once").out.count("PAUSED: channel sms") == 1

    assert engine.command("resume", "channel", "sms").exit == 0
    wait_for(lambda: dispatch(engine, "total_committed") == 60, "the rest")
    heard = outcomes(engine.data)
    assert sum(1 in states for states in heard.values()) == 60
    assert engine.status()["paused"] == []


def test_a_stop_waits_for_answers_and_a_start_sends_the_rest_once(make: Make, slow_smsc: int) -> None:
    engine = sending_slowly(make, slow_smsc, count=60)
    assert engine.stop() == 0
    engine.start()
    wait_for(lambda: dispatch(engine, "waiting") + dispatch(engine, "in_flight") == 0, "the rest")
    wait_for(lambda: dispatch(engine, "untold") == 0, "the log")
    states = [one for heard in outcomes(engine.data).values() for one in heard if one in {1, 2, 5}]

    assert states == [1] * 60


# ---- the desk


def test_a_visit_brings_a_card_to_the_page_and_its_answer_into_the_log(make: Make, pages: Pages) -> None:
    engine = make(clock="wall").start()
    page = pages(engine, "hall01-1")
    body = json.dumps({"terminal": "hall01-1", "subscriber": FIRST}).encode()
    status, _, answer = engine.post("/desk/visits", body, **{"Content-Type": "application/json"})
    assert status == 201

    began = time.monotonic()
    engine.post("/events", call(FIRST, now_ms()))
    wait_for(page.cards, "the card", 5)
    shown_s = time.monotonic() - began
    (card,) = page.cards()
    path = f"/desk/cards/{card['id']}/answer"
    accepted = engine.post(path, b'{"answer":"accept"}', **{"Content-Type": "application/json"})
    again = engine.post(path, b'{"answer":"accept"}', **{"Content-Type": "application/json"})
    closed = fetch(f"{engine.url}/desk/visits/{json.loads(answer)['visit']}", method="DELETE")

    (record,) = engine.records("--decided")
    assert record["channel"] == "desk"
    assert card["reason"] == "long call number 1"
    assert shown_s < 0.5
    assert (accepted[0], again[0], closed[0]) == (200, 200, 200)
    story = engine.command("why", str(FIRST)).out
    assert "decided on desk" in story
    assert "at the desk: accept" in story
    assert engine.spooled() == []


def test_after_a_kill_the_page_has_its_card_and_one_decided_then_still_reaches_it(make: Make, pages: Pages) -> None:
    engine = make(clock="wall").start()
    body = json.dumps({"terminal": "hall01-1", "subscriber": FIRST, "visit": "v-1"}).encode()
    engine.post("/desk/visits", body, **{"Content-Type": "application/json"})
    engine.post("/events", call(FIRST, now_ms()))
    before = pages(engine, "hall01-1")
    wait_for(before.cards, "the card", 5)
    engine.kill()

    engine.start()
    page = pages(engine, "hall01-1")
    wait_for(page.cards, "the card after the restart", 5)
    assert [card["id"] for card in page.cards()] == [card["id"] for card in before.cards()]
    path = f"/desk/cards/{page.cards()[0]['id']}/answer"
    accepted = engine.post(path, b'{"answer":"accept"}', **{"Content-Type": "application/json"})
    engine.post("/events", call(FIRST, now_ms()))
    wait_for(lambda: engine.status()["desk"].get("offer_shown"), "the second card", 5)

    assert accepted[0] == 200
    assert "at the desk: accept" in engine.command("why", str(FIRST)).out
    assert engine.spooled() == []


def test_a_customer_who_has_left_gets_a_text_in_place_of_a_card(make: Make) -> None:
    engine = make(clock="wall").start()
    body = json.dumps({"terminal": "hall01-1", "subscriber": FIRST, "visit": "v-1"}).encode()
    engine.post("/desk/visits", body, **{"Content-Type": "application/json"})
    assert fetch(f"{engine.url}/desk/visits/v-1", method="DELETE")[0] == 200
    engine.post("/events", call(FIRST, now_ms()))
    wait_for(engine.spooled, "the text")

    (record,) = engine.records("--decided")
    assert record["channel"] == "sms"


def test_a_visit_before_the_first_event_stands_and_the_log_hears_of_it_when_time_begins(make: Make) -> None:
    engine = make(clock="events").start()
    body = json.dumps({"terminal": "hall01-1", "subscriber": FIRST, "visit": "v-1"}).encode()
    assert engine.post("/desk/visits", body, **{"Content-Type": "application/json"})[0] == 503

    engine.post("/events", call(FIRST + 1, BASE_MS))
    wait_for(lambda: engine.status()["desk"].get("visits_opened"), "the visit in the log")
    engine.post("/events", call(FIRST, BASE_MS + 1000))
    wait_for(lambda: engine.status()["desk"].get("offer_shown"), "the card")

    (record,) = [one for one in engine.records("--decided") if one["subscriber"] == FIRST]
    assert record["channel"] == "desk"
    assert "visits_closed" not in engine.status()["desk"]


# ---- the end


def test_a_signal_ends_the_run_with_a_summary_and_leaves_no_address(make: Make) -> None:
    engine = make().start()
    engine.post("/events", call(FIRST, BASE_MS))

    assert engine.stop() == 0
    assert engine.process is not None
    assert engine.process.out.startswith("1 events")
    assert not (engine.data / "http.json").exists()

"""A saved book is in force within a second, under load; a bad one leaves the running one serving and is told."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from tests.engine.conftest import Make
from tests.engine.engines import Engine, wait_for
from tests.engine.world import BASE_MS, BOOK, call, joined

FIRST = 8613800000000
NEW_RULE = """
[[rule]]
id = "any-call"
on = "call"
channels = ["alert"]
reason = "call number {long_calls}"
"""


class Load(threading.Thread):
    """Posts calls of always new subscribers until told to stop; remembers the slowest answer."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self.posted = 0
        self.slowest_s = 0.0
        self.refused = 0
        self._engine = engine
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            body = joined(call(FIRST + 1_000 + self.posted + n, BASE_MS, "local") for n in range(50))
            began = time.monotonic()
            self.refused += self._engine.post("/events", body)[0] != 202
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.posted += 50

    def finish(self) -> None:
        self._stopped.set()
        self.join()


def decided_by(engine: Engine, rule: str) -> int:
    rules: dict[str, dict[str, int]] = engine.status()["decisions"]
    return rules.get(rule, {}).get("decided", 0)


def test_a_new_rule_decides_within_a_second_and_no_event_is_dropped(make: Make) -> None:
    engine = make().start()
    load = Load(engine)
    load.start()
    wait_for(lambda: load.posted > 500, "load")
    version = engine.status()["book"]["version"]

    engine.write_book(BOOK + NEW_RULE)
    waited_s = wait_for(lambda: decided_by(engine, "any-call") > 0, "the new rule")
    load.finish()
    wait_for(lambda: engine.status()["events"] == load.posted, "the last event")
    records = engine.records("--rule", "any-call")

    assert waited_s < 1.0
    assert load.refused == 0
    assert {record["book"] for record in records} == {engine.status()["book"]["version"]} != {version}
    positions = [(record["partition"], record["position"]) for record in records]
    assert len(set(positions)) > 1


def test_a_bad_book_leaves_the_running_one_serving_and_shows_everywhere(make: Make) -> None:
    engine = make().start()
    version = engine.status()["book"]["version"]

    engine.write_book(BOOK.replace("kind == 'long'\"\nchannels", "knd == 'long'\"\nchannels"))
    wait_for(lambda: engine.status()["book"]["fault"], "the fault")
    engine.post("/events", call(FIRST, BASE_MS))
    status = engine.status()
    assert engine.process is not None

    assert status["book"]["version"] == version
    assert "unknown name `knd`" in status["book"]["fault"]
    assert decided_by(engine, "long-care") == 1
    assert "error[R201]: unknown name `knd`" in engine.process.err
    assert b'opportune_book_reloads_total{result="error"} 1.0' in engine.page("/metrics")
    assert version.encode() in engine.page("/metrics")
    assert "THE BOOK ON DISK IS BAD" in engine.command("status", "--once").out

    engine.write_book(BOOK + NEW_RULE)
    wait_for(lambda: engine.status()["book"]["version"] != version, "the mended book")
    assert engine.status()["book"]["fault"] == ""
    wait_for(lambda: b'opportune_book_reloads_total{result="ok"} 1.0' in engine.page("/metrics"), "the count")


def test_a_book_broken_while_the_engine_was_away_leaves_the_one_in_the_log_serving(make: Make) -> None:
    engine = make().start()
    version = engine.status()["book"]["version"]
    engine.kill()
    engine.write_book(BOOK.replace("kind == 'long'\"\nchannels", "knd == 'long'\"\nchannels"))

    engine.start()
    engine.post("/events", call(FIRST, BASE_MS))

    assert engine.status()["book"]["version"] == version
    assert "unknown name `knd`" in engine.status()["book"]["fault"]
    assert decided_by(engine, "long-care") == 1


def test_a_desk_that_a_reload_adds_gets_its_cards_and_texts_go_on(make: Make) -> None:
    engine = make(clock="wall").start()
    desks = BOOK.replace("[channels.desk]\n", '[channels.desk]\n[channels.counter]\nkind = "desk"\n')
    engine.write_book(desks.replace('channels = ["desk", "sms"]', 'channels = ["counter", "sms"]'))
    version = engine.status()["book"]["version"]
    wait_for(lambda: engine.status()["book"]["version"] != version, "the new book")
    body = json.dumps({"terminal": "hall01-1", "subscriber": FIRST}).encode()
    now = time.time_ns() // 1_000_000
    engine.post("/desk/visits", body, **{"Content-Type": "application/json"})

    engine.post("/events", call(FIRST, now) + call(FIRST + 1, now))
    wait_for(engine.spooled, "the text")
    wait_for(lambda: engine.status()["desk"].get("offer_shown"), "the card")

    assert {record["channel"] for record in engine.records("--decided")} == {"counter", "sms"}


def test_a_book_that_the_mapping_does_not_fit_is_refused_like_a_bad_one(make: Make) -> None:
    engine = make(more='[sources.http.mapping]\nrename = { length = "seconds" }\n').start()

    engine.write_book(BOOK.replace(', seconds = "int"', "").replace(" and seconds > 100", ""))
    wait_for(lambda: engine.status()["book"]["fault"], "the fault")

    assert "seconds" in engine.status()["book"]["fault"]
    assert engine.serves


def test_features_and_caps_keep_their_history_over_a_reload_and_a_crash(make: Make) -> None:
    engine = make().start()
    for n in range(4):
        assert engine.post("/events", call(FIRST, BASE_MS + n))[0] == 202
    engine.write_book(BOOK + NEW_RULE)
    wait_for(lambda: engine.status()["book"]["rules"] == 4, "the new book")
    engine.kill()
    engine.start()
    assert engine.post("/events", call(FIRST, BASE_MS + 10, seconds=200))[0] == 202

    records = [record for record in engine.records() if record["at_ms"] == BASE_MS + 10]
    by_rule = {record["rule"]: record for record in records}

    assert by_rule["any-call"]["facts"] == {"long_calls": 5}
    assert by_rule["long-care"]["gate"] == "cap"
    assert by_rule["chatty"]["facts"] == {"long_calls": 5, "seconds": 200}


def test_a_book_changed_while_the_engine_was_away_is_taken_up_at_the_start(make: Make) -> None:
    engine = make().start()
    engine.post("/events", call(FIRST, BASE_MS))
    engine.kill()
    engine.write_book(BOOK + NEW_RULE)
    engine.start()
    engine.post("/events", call(FIRST, BASE_MS + 1))

    (record,) = engine.records("--rule", "any-call")
    assert record["facts"] == {"long_calls": 2}


def test_the_process_that_reads_books_may_be_killed_and_ends_with_its_engine(make: Make) -> None:
    engine = make().start()
    assert engine.process is not None
    (reader,) = children(engine.process.pid)
    os.kill(reader, signal.SIGKILL)

    engine.write_book(BOOK + NEW_RULE)
    wait_for(lambda: engine.status()["book"]["rules"] == 4, "the new book")
    (again,) = (pid for pid in children(engine.process.pid) if "spawn_main" in command_line(pid))
    engine.kill()

    wait_for(lambda: not command_line(again), "the end of the process")
    assert "the process that reads books is started again: it ended with status -9" in engine.process.err


def children(pid: int) -> list[int]:
    """The processes that a process started and that run."""
    found = (Path(f"/proc/{pid}/task") / task.name / "children" for task in Path(f"/proc/{pid}/task").iterdir())
    return [int(one) for path in found for one in path.read_text().split() if command_line(int(one))]


def command_line(pid: int) -> str:
    """How a process was called; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_feature_that_means_something_else_is_told_by_check_in_the_log_and_in_status(make: Make) -> None:
    engine = make().start()
    swapped = BOOK.replace("where = \"kind == 'long'\"", "where = \"'long' == kind\"")
    other = BOOK.replace("where = \"kind == 'long'\"", "where = \"kind == 'far'\"")
    folder = engine.folder / "next"
    folder.mkdir()
    told = []
    for text in (swapped, other):
        (folder / "book.toml").write_text(text)
        told.append(engine.command("check", str(folder)).out)

    engine.write_book(other)
    wait_for(lambda: engine.status()["book"]["renewed"], "the changed book")

    assert ["history" in one for one in told] == [False, True]
    assert "feature long_calls changed: its history would start anew" in told[1]
    assert engine.status()["book"]["renewed"] == ["long_calls"]
    assert engine.process is not None
    assert "the history of feature long_calls starts anew" in engine.process.err
    assert "HISTORY STARTS ANEW: feature long_calls" in engine.command("status", "--once").out

"""An alert goes to its own destination, never to its subject; what outside channels say of it comes back."""

from collections.abc import Iterator

import orjson
import pytest

from state.hashing import partition_of
from tests.connectors.gateways.test_webhook import Server
from tests.engine.conftest import Make
from tests.engine.engines import wait_for
from tests.engine.world import BASE_MS, joined, line

FIRST = 8613800000001
SMPP = """
[gateways.smsc]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "o"
password = {{ env = "SMSC_PASSWORD" }}
[channels.alert]
gateway = "{gateway}"
{more}
"""
HOOK = """
[gateways.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/fraud"
secret = {{ env = "HOOK_SECRET" }}
pause_ms_min = 50
[channels.alert]
gateway = "hook"
retry_ms_min = 50
retry_ms_max = 100
"""


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server(500, 503, 202)
    yield one
    one.stop()


def charges() -> bytes:
    return joined(line(type="charge", msisdn=FIRST, time=BASE_MS + n, fen=2000) for n in range(2))


def test_an_alert_channel_without_a_destination_is_refused_where_the_gateway_sends_texts(make: Make) -> None:
    engine = make(more=SMPP.format(port=1, gateway="smsc", more=""))
    engine.env = {"SMSC_PASSWORD": "secret"}
    wanted = "channels.alert.destination is missing: gateway 'smsc' is of kind 'smpp'"
    assert wanted in engine.command("check").err
    engine.start(ready=False)
    assert engine.process is not None
    assert engine.process.wait() != 0
    assert wanted in engine.process.err


def test_a_line_of_an_alert_names_its_subject_and_addresses_nobody(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", charges())
    engine.drain()
    (line,) = engine.spooled()
    assert (line["to"], line["about"]) == (None, FIRST)


def test_an_alert_goes_to_the_number_of_its_channel(make: Make) -> None:
    more = SMPP.format(port=1, gateway="spool", more='destination = "8613900000000"')
    engine = make(more=more)
    engine.env = {"SMSC_PASSWORD": "secret"}
    engine.put("day.ndjson", charges())
    engine.drain()
    (line,) = engine.spooled()
    assert (line["to"], line["about"]) == (8613900000000, FIRST)


def test_an_alert_is_posted_until_it_is_taken_and_its_answer_comes_back(make: Make, server: Server) -> None:
    engine = make(more=HOOK.format(port=server.port))
    engine.env = {"HOOK_SECRET": "s3cret"}
    engine.start()
    assert engine.post("/events", charges())[0] == 202
    wait_for(lambda: engine.status()["dispatch"].get("total_committed", 0) == 1, "the alert")
    requests = [server.request() for _ in range(3)]
    bodies = [orjson.loads(one["body"]) for one in requests]
    assert {one["headers"]["idempotency-key"] for one in requests} == {bodies[0]["id"]}
    assert (bodies[0]["to"], bodies[0]["about"]) == (None, FIRST)

    said = {"id": bodies[0]["id"], "subscriber": FIRST, "state": "accepted", "note": "card blocked"}
    assert engine.post("/outcomes", orjson.dumps({"outcomes": [said]}))[::2] == (200, b'{"recorded":1}')
    story = engine.command("why", str(FIRST)).out
    assert "accepted by hook" in story
    assert "delivered, says outside" in story
    assert "at the desk: accept (card blocked)" in story


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": "0-1"}, "id="),
        ({"state": "seen"}, "state="),
        ({"subscriber": 0}, "subscriber="),
        ({"subscriber": 8613800000003}, "no decision about that subscriber"),
    ],
)
def test_a_report_that_fits_no_decision_is_refused(make: Make, change: dict[str, object], fault: str) -> None:
    engine = make(more="[data]\ndirectory = 'data'\nclock = 'events'\npartitions = 16\n").start()
    good = {"id": f"{partition_of_first()}-1-0-7", "subscriber": FIRST, "state": "shown"}
    status, _, body = engine.post("/outcomes", orjson.dumps({"outcomes": [good | change]}))
    assert status == 400
    assert fault in orjson.loads(body)["error"]
    assert engine.post("/outcomes", orjson.dumps({"outcomes": [good]}))[0] == 200


def partition_of_first() -> int:
    return int(partition_of(FIRST, 16))

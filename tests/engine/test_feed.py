"""The generated day: the same bytes for the same seed, true to the shipped book, and wrong only as asked."""

import gzip
import http.server
import socket
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from connectors.sources.contract import chunk_of
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from engine.commands import main
from engine.feed.day import CHUNK_ROWS, KINDS, DayPlan, make_chunk
from engine.feed.faults import BREAKS, Faults, FaultShares
from engine.feed.lines import chunk_lines, encode, profile_lines
from engine.feed.places import CELLS, SERVICES
from engine.feed.population import make_population, numbers
from engine.feed.run import feed
from engine.feed.send import FeedError, Files, Http, Tcp, paced
from rules.load import load_book
from rules.model import Book
from state.schema import Kind

ROOT = Path(__file__).parents[2]
PLAN = DayPlan(subscribers=3_000, events=20_000, seed=7)
LATEST_MS = 2_000_000_000_000


class Kept:
    """A target that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, lines: list[str]) -> None:
        self.lines += lines

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def book() -> Book:
    return load_book(ROOT / "rules" / "book")


@pytest.fixture(scope="module")
def day() -> list[str]:
    kept = Kept()
    feed(PLAN, kept)
    return kept.lines


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(day: list[str]) -> None:
    again, other = Kept(), Kept()
    feed(PLAN, again)
    feed(DayPlan(subscribers=3_000, events=20_000, seed=8), other)

    assert encode(again.lines) == encode(day)
    assert encode(other.lines) != encode(day)


def test_a_chunk_depends_on_its_number_only() -> None:
    plan = DayPlan(subscribers=500, events=CHUNK_ROWS + 100, seed=3)
    people = make_population(plan.subscribers, plan.seed)

    last = make_chunk(plan, people, 1)

    assert last.n == 100
    make_chunk(plan, people, 0)
    assert chunk_lines(make_chunk(plan, people, 1)) == chunk_lines(last)


def test_every_line_is_an_event_of_the_shipped_book(day: list[str], book: Book) -> None:
    data = encode(day)

    decoded = Decoder(Mapping(), book.schema).decode(chunk_of(data), LATEST_MS)

    assert decoded.dead == []
    assert decoded.batch.n == len(day)


def test_every_field_on_the_wire_is_declared_in_the_book(day: list[str], book: Book) -> None:
    heads = {"type", "id", "msisdn", "time"}
    for line in day[:: len(day) // 4_000] + [line for line in day if '"visit"' in line or '"complaint"' in line]:
        fields = orjson.loads(line)
        declared = {field.name for field in book.schema.types[book.schema.code(fields["type"])].fields}
        assert fields.keys() - heads <= declared, line


def test_events_come_in_time_order_within_their_day_with_ids_of_their_own(day: list[str]) -> None:
    events = [orjson.loads(line) for line in day if '"id"' in line]
    times = [event["time"] for event in events]

    assert times == sorted(times)
    assert times[0] >= "2008-11-04T00:00:00"
    assert times[-1] <= "2008-11-04T23:59:59.999+08:00"
    assert len({event["id"] for event in events}) == len(events) == PLAN.events


def test_an_event_line_has_about_185_bytes(day: list[str]) -> None:
    sizes = [len(line) + 1 for line in day if '"id"' in line]

    assert 175 <= np.mean(sizes) <= 195


def test_all_kinds_happen_in_about_their_shares() -> None:
    kept = Kept()

    report = feed(DayPlan(subscribers=3_000, events=200_000, seed=1), kept, profiles=False)

    assert set(report.kinds) == set(KINDS)
    assert report.kinds["data"] / report.lines == pytest.approx(0.34, abs=0.01)


def test_the_moments_that_the_shipped_rules_wait_for_occur() -> None:
    kept = Kept()
    feed(DayPlan(subscribers=20_000, events=200_000, seed=1), kept, profiles=False)
    calls = Counter(orjson.loads(line)["kind"] for line in kept.lines if '"type":"call"' in line)
    events = [orjson.loads(line) for line in kept.lines]
    fair = [event for event in events if event["type"] == "move" and event["cell"] in CELLS.fair]
    fees: Counter[tuple[int, str]] = Counter()
    for event in events:
        if event["type"] == "charge":
            fees[event["msisdn"], event["time"][:13]] += event["amount_fen"]

    assert min(calls[kind] for kind in ("local", "long_distance", "roam_intra", "roam_inter")) > 100
    assert len(fair) > 10
    assert max(fees.values()) >= 20_000
    assert any(event.get("kbytes", 0) >= 10_240 for event in events)


def test_the_areas_of_the_book_are_cells_of_the_map(book: Book) -> None:
    assert book.areas["trade-fair"].cells == CELLS.fair
    assert book.areas["airport"].cells == CELLS.airport
    services = next(field for field in book.schema.types[0].fields if field.kind is Kind.SET)
    assert services.members == SERVICES


def test_every_subscriber_has_a_number_and_a_profile_of_their_own() -> None:
    index = np.arange(200_000)
    people = make_population(700, 1)

    lines = [orjson.loads(line) for part in profile_lines(DayPlan(700, 0, 1), people) for line in part]

    assert len(np.unique(numbers(index))) == len(index)
    assert {len(str(number)) for number in numbers(index[:1000]).tolist()} == {13}
    assert len({line["msisdn"] for line in lines if line["type"] == "profile"}) == 700
    assert any(line["type"] == "list" for line in lines)


def test_a_live_feed_stamps_events_at_its_rate() -> None:
    plan = DayPlan(subscribers=100, events=50, seed=1, live_rate=10.0, start_ms=1_700_000_000_000)

    chunk = make_chunk(plan, make_population(100, 1), 0)

    assert chunk.at_ms.tolist() == [1_700_000_000_000 + 100 * index for index in range(50)]


def test_faults_lose_nothing_and_count_what_they_did() -> None:
    lines = [f'{{"type":"call","id":{index},"msisdn":861,"time":"2008"}}' for index in range(30_000)]
    faults = Faults(FaultShares(late=0.1, doubled=0.05), seed=1)

    out = faults.apply(lines[:15_000]) + faults.apply(lines[15_000:]) + faults.flush()

    assert Counter(out).keys() == set(lines)
    assert len(out) == len(lines) + faults.doubled
    assert faults.late == pytest.approx(3_000, rel=0.1)
    assert out != sorted(out, key=lambda line: orjson.loads(line)["id"])


def test_every_break_makes_a_dead_letter(book: Book, day: list[str]) -> None:
    line = next(line for line in day if '"type":"call"' in line)
    lines = [once(line) for once in BREAKS]
    broken = encode(lines)
    starts = [len(encode(lines[:row])) for row in range(len(lines))]

    decoded = Decoder(Mapping(), book.schema).decode(chunk_of(broken), LATEST_MS)

    assert [one.offset for one in decoded.dead] == starts
    assert decoded.batch.n == 0


def test_without_faults_lines_pass_untouched() -> None:
    lines = ["a", "b"]

    assert Faults(FaultShares(), 1).apply(lines) is lines


@pytest.mark.parametrize("packed", [False, True])
def test_files_show_only_when_the_day_is_whole(tmp_path: Path, packed: bool) -> None:
    files = Files(tmp_path, "day", 3, packed)
    files.write(["a", "b", "c", "d"])
    assert not files.exists()
    assert list(tmp_path.glob("*.ndjson*")) == []

    files.close()

    read = [gzip.decompress(path.read_bytes()) if packed else path.read_bytes() for path in files.written]
    assert read == [b"a\nb\nc\n", b"d\n"]
    assert files.exists()


def test_a_socket_gets_every_line() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(65_536):
                got.append(data)

    thread = threading.Thread(target=serve)
    thread.start()
    target = Tcp(f"127.0.0.1:{server.getsockname()[1]}")
    for lines in paced([["a", "b"], ["c"]], 10_000):
        target.write(lines)
    target.close()
    thread.join(5)
    server.close()

    assert b"".join(got) == b"a\nb\nc\n"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Puts the first post off, takes the second, refuses the third."""

    answers = (429, 202, 401)
    seen: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["Authorization"], body))
        self.send_response(self.answers[(len(self.seen) - 1) % 3])
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_post_that_is_put_off_is_sent_again_and_a_refusal_is_told() -> None:
    handler: Any = type("Once", (Receiver,), {"seen": []})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    target = Http(f"http://127.0.0.1:{server.server_port}/events", "geheim")

    target.write(["a"])
    with pytest.raises(FeedError, match="401"):
        target.write(["b"])

    target.close()
    server.shutdown()
    thread.join(5)
    server.server_close()
    assert handler.seen == [("Bearer geheim", b"a\n")] * 2 + [("Bearer geheim", b"b\n")]


def test_a_steady_rate_is_kept() -> None:
    began = time.monotonic()
    sent = sum(len(part) for part in paced([["x"] * 300], 2_000))

    assert sent == 300
    assert 0.1 <= time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "fils", "x"], "kind='fils' must be one of files, tcp, http"),
        (["--to", "tcp", "nowhere"], "tcp address='nowhere' must read HOST:PORT"),
        (["--to", "http", "ftp://x"], "url='ftp://x' must read"),
        (["--to", "files", "x", "--late", "2"], "late=2.0 must be in 0..1"),
        (["--to", "files", "x", "--subscribers", "0"], "subscribers=0 must be in 1.."),
        (["--to", "files", "x", "--events", "-1"], "events=-1 must be in 0.."),
        (["--to", "files", "x", "--live"], "rate=0.0 must be > 0 with --live"),
        (["--to", "http", "http://x/", "--token-env", "NOT_THERE"], "environment variable NOT_THERE is not set"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    status = main(["feed", *words])

    error = capsys.readouterr().err
    assert status != 0
    assert told in error
    assert error.count("\n") == 1


def test_the_command_writes_a_day_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["feed", "--to", "files", str(tmp_path), "--subscribers", "50", "--events", "500", "--broken", "0.1"]

    assert main(words) == 0
    first = capsys.readouterr().out
    assert main(words) == 0

    assert "500 event lines" in first
    assert "broken" in first
    assert "kept" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1


def test_a_plan_names_what_is_out_of_bounds() -> None:
    with pytest.raises(ValueError, match="seed=-1 must be >= 0"):
        DayPlan(1, 1, -1)
    with pytest.raises(ValueError, match=r"shares=.* must be 8 numbers >= 0"):
        DayPlan(1, 1, 1, date(2008, 1, 1), (1.0,))

"""`run --drain` ends by itself, with a summary; a second run finds nothing new."""

from tests.engine.conftest import Make
from tests.engine.world import BASE_MS, BOOK, call, joined, line


def day(count: int = 300) -> bytes:
    return joined(call(8613800000000 + n % 50, BASE_MS + n * 60_000) for n in range(1, count + 1))


def test_a_drained_run_decides_and_sends_everything_and_says_so(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", day())

    summary = engine.drain()
    records = engine.records("--decided")

    assert "300 events" in summary
    assert len(records) >= 50
    assert len(engine.spooled()) == len([one for one in records if one["channel"] in {"sms", "alert"}])
    assert f"{len(records):,}" in summary


def test_the_summary_adds_up(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", day() + b"no event\n")

    (line,) = [one for one in engine.drain().splitlines() if " lines = " in one]
    assert line == "301 lines = 300 decided upon + 0 doubled + 1 dead letters"


def test_a_second_run_reads_no_line_twice(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", day())
    engine.drain()
    before = engine.records()
    spooled = engine.spooled()

    summary = engine.drain()

    assert engine.records() == before
    assert engine.spooled() == spooled
    assert summary.startswith("0 events")


def test_a_recorded_day_goes_on_over_quiet_hours_and_sends_what_waited_for_their_end(make: Make) -> None:
    quiet = '[book]\nquiet = { from = "quiet_from", to = "quiet_to" }\n'
    attributes = '[attributes]\nquiet_from = "string"\nquiet_to = "string"\n'
    engine = make(book=BOOK.replace("[book]\n", quiet).replace("[attributes]\n", attributes))
    hour_ms, who, other, third = 3_600_000, 8613800000001, 8613800000002, 8613800000003  # it begins at eight
    hours = {"quiet_from": "21:00", "quiet_to": "07:30"}
    rows = [
        line(type="profile", msisdn=who, time=BASE_MS, **hours),
        call(who, BASE_MS + 15 * hour_ms),
        call(other, BASE_MS + 15 * hour_ms + 1),
        call(third, BASE_MS + 24 * hour_ms),
    ]
    # The clock of a source follows those who agree on it: others call every ten minutes.
    quarters = range(0, 26 * hour_ms, hour_ms // 6)
    others = [(at_ms, call(8613900000000 + n, BASE_MS + at_ms, kind="short")) for at_ms in quarters for n in range(5)]
    timed = zip((0, 15 * hour_ms, 15 * hour_ms + 1, 24 * hour_ms), rows, strict=True)
    engine.put("day.ndjson", joined(row for _, row in sorted([*others, *timed], key=lambda one: one[0])))
    engine.drain()

    assert sorted(one["to"] for one in engine.spooled()) == [who, other, third]

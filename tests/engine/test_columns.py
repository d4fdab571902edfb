"""An engine decides the same of columns as of lines, also when it is killed on the way; a wrong row is replayed."""

import orjson
import pyarrow as pa

from tests.engine.conftest import Make
from tests.engine.engines import wait_for
from tests.engine.world import BASE_MS, call, joined

COLUMNS = """
[[sources.files]]
name = "columns"
directory = "columns"
mapping = { format = "arrow" }
"""
ROWS = 20_000


def stream(seconds: list[str] | None = None) -> bytes:
    times = pa.array([BASE_MS + n * 1_000 for n in range(1, ROWS + 1)], pa.timestamp("ms", "UTC"))
    columns = {
        "type": ["call"] * ROWS, "msisdn": [8613800000000 + n % 500 for n in range(1, ROWS + 1)], "time": times,
        "kind": ["long"] * ROWS, "seconds": [60] * ROWS,
    }  # fmt: skip
    table = pa.table(columns if seconds is None else {**{k: v[:1] for k, v in columns.items()}, "seconds": seconds})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, 1_000)
    return bytes(sink.getvalue())


def test_columns_are_decided_as_lines_are_through_a_kill(make: Make) -> None:
    lines = make(name="lines")
    lines.put("day.ndjson", joined(call(8613800000000 + n % 500, BASE_MS + n * 1_000) for n in range(1, ROWS + 1)))
    lines.drain()
    engine = make(more=COLUMNS, name="columns")
    (engine.folder / "columns").mkdir()
    engine.start()
    (engine.folder / "columns" / "a.arrows").write_bytes(stream())
    wait_for(lambda: engine.status()["events"] > 0, "the first rows")
    engine.kill()
    engine.drain()

    decided = [
        sorted((one["subscriber"], one["at_ms"], one["rule"]) for one in each.records("--decided"))
        for each in (lines, engine)
    ]
    assert decided[0] == decided[1]
    assert len(decided[0]) >= 500


def test_a_row_that_is_no_event_is_replayed_as_a_line(make: Make) -> None:
    engine = make(more=COLUMNS)
    (engine.folder / "columns").mkdir()
    (engine.folder / "columns" / "a.arrows").write_bytes(stream(["61"]))
    engine.start()
    wait_for(lambda: engine.status()["dead_letters"] == 1, "the dead letter")
    (letter,) = [orjson.loads(one) for one in engine.command("dead", "list", "--format", "ndjson").out.splitlines()]
    assert (letter["code"], letter["field"], letter["value"], letter["line"]) == ("wrong_type", "seconds", "61", 1)
    file = engine.folder / "edited.ndjson"
    file.write_bytes(orjson.dumps(letter | {"raw": letter["raw"].replace('"61"', "61")}) + b"\n")

    assert engine.command("dead", "replay", "--edited", str(file)).out == "columns: 1 lines handed over\n"
    wait_for(lambda: [one["rule"] for one in engine.records()] == ["long-care"], "the call")

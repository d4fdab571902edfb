"""The benchmarks run, and what they print is of the right order; figures are judged by people, on a quiet machine."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from perf import lines

ROOT = Path(__file__).parents[2]


def run(bench: str, folder: Path) -> dict[str, Any]:
    """Run a benchmark quickly; return what it kept."""
    results = folder / "results.jsonl"
    command = [sys.executable, "-m", f"perf.bench_{bench}", "--quick", "--results", str(results)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = results.read_bytes().splitlines()
    kept = orjson.loads(line)
    assert kept["bench"] == bench.replace("_", "-")
    assert {"at", "commit", "machine"} <= kept.keys()
    return dict(kept)


def test_the_engine_does_the_work_of_a_plain_program_in_a_third_of_the_time_and_decides_the_same(
    tmp_path: Path,
) -> None:
    kept = run("pipeline", tmp_path)

    assert kept["ratio"] >= 3
    assert kept["same"] > 1_000
    assert all(one["events"] == 300_000 for one in kept["runs"])


def test_as_many_runs_of_a_sequence_end_as_a_plain_program_finds(tmp_path: Path) -> None:
    kept = run("sequences", tmp_path)

    assert kept["ended"] > 100
    assert kept["compared_ended"] > 0


def test_the_whole_way_ends_in_the_spool_and_a_holdout_lets_nothing_there(tmp_path: Path) -> None:
    kept = run("whole", tmp_path)
    texted, held_back = kept["runs"]

    assert texted["texts"] > 1_000
    assert held_back["texts"] == 0
    assert all(one["cpu_s_per_million"] > 0 for one in kept["runs"])
    assert kept["plain"] > 0


def test_every_event_offered_at_a_rate_is_decided_within_seconds(tmp_path: Path) -> None:
    (one,) = run("latency", tmp_path)["runs"]

    assert one["lost"] == 0
    assert 0 < one["p50_ms"] <= one["p99_ms"] <= one["p99.9_ms"] <= one["max_ms"] < 10_000


def test_memory_of_a_subscriber_is_mostly_columns(tmp_path: Path) -> None:
    kept = run("memory", tmp_path)

    assert kept["subscribers"] == 10_000
    assert 0 < kept["columns"] < 700
    assert kept["columns"] < kept["bytes"]
    grown = kept["shipped"]
    assert grown["subscribers"] == 10_000
    assert grown["columns"] < grown["bytes"]
    assert {24, 48, 88} <= set(grown["constructs"].values())


def test_after_a_crash_every_subscriber_is_there_again(tmp_path: Path) -> None:
    kept = run("recovery", tmp_path)

    assert kept["subscribers"] == 20_000
    assert 0 < kept["refolded"] < kept["events"]
    assert kept["seconds"] < 60


def test_every_deadline_comes_as_a_plain_program_says(tmp_path: Path) -> None:
    kept = run("absence", tmp_path)

    assert kept["fired"] > 10_000
    assert 0 < kept["fired_us"] < 100
    assert kept["hint_bytes"] < 5 * kept["subscribers"]


def test_reloads_under_load_lose_no_event(tmp_path: Path) -> None:
    kept = run("reload", tmp_path)

    assert kept["lost"] == 0
    assert all(one["count"] >= 1 for one in kept["reloads"].values())


def test_a_book_in_pieces_brings_only_what_changed(tmp_path: Path) -> None:
    kept = run("transfer", tmp_path)["found"]

    assert kept["one rule"]["pieces"]["messages"] < kept["every rule"]["pieces"]["messages"]
    assert kept["one rule"]["pieces"]["bytes"] < kept["one rule"]["whole"]["bytes"]


def test_an_event_costs_about_the_same_at_ten_times_the_subscribers(tmp_path: Path) -> None:
    small, large = run("scale", tmp_path)["runs"]

    assert large["subscribers"] == 10 * small["subscribers"]
    assert large["cpu_s_per_million"] < 5 * small["cpu_s_per_million"]


def test_the_stages_make_up_the_whole(tmp_path: Path) -> None:
    for stages in run("stages", tmp_path)["ns"].values():
        parts = [value for stage, value in stages.items() if stage not in ("all", "sweeps")]

        assert stages["all"] == pytest.approx(sum(parts))
        assert stages["scan"] > 0
        assert stages["features"] > 0


@pytest.mark.parts
def test_the_cluster_does_the_work_of_plain_faust_in_a_tenth_of_the_time(tmp_path: Path) -> None:
    kept = run("cluster", tmp_path)

    both, frames = (sum(kept[name]["cpu_s_per_million"].values()) for name in ("one_worker", "frames"))
    assert 0 < frames < both
    assert both < kept["plain_faust"]["cpu_s_per_million"] / 10


@pytest.mark.parts
def test_decisions_of_a_cluster_can_be_read_within_seconds_of_their_event(tmp_path: Path) -> None:
    (one,) = run("cluster_latency", tmp_path)["runs"]

    assert one["decisions"] > 100
    assert 0 < one["p50_ms"] <= one["p99_ms"] <= one["max_ms"] < 20_000


@pytest.mark.parts
def test_a_worker_s_partitions_decide_again_soon_after_its_death(tmp_path: Path) -> None:
    (one,) = run("failover", tmp_path)["runs"]

    assert one["moved"] == 2
    assert one["restore_s"] < one["last_s"] < 30
    assert one["refolded"] > 0


def test_lines_are_as_long_as_promised_and_the_same_every_time(tmp_path: Path) -> None:
    feed = lines.Feed(1_000)
    size = lines.write_lines(tmp_path / "a", feed, 20_000)
    lines.write_lines(tmp_path / "b", feed, 20_000)
    written = (tmp_path / "a").read_bytes()

    assert size / 20_000 == pytest.approx(185, abs=2)
    assert written == (tmp_path / "b").read_bytes()
    assert {orjson.loads(line)["type"] for line in written.splitlines()} == set(lines.TYPES)

"""The command line's promises: what is wrong is said in one clear line, and the exit status says that it was."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from tests.engine.conftest import Make
from tests.engine.engines import Nursery, Process, wait_for
from tests.engine.world import BASE_MS, BOOK, call, config, joined
from tests.parts.need import missing
from tests.parts.small_disk import NO_SMALL_DISK_STATUS


def one_line(process: Process, status: int = 1) -> str:
    """The one line of a refused command."""
    assert (process.wait(), process.out) == (status, "")
    assert process.err.count("\n") == 1, process.err
    assert "Traceback" not in process.err
    return process.err.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rnu", "opportune: 'rnu' is no command; did you mean run?"),
        ("frobnicate", "opportune: 'frobnicate' is no command; see opportune --help"),
        ("run --dry", "opportune run: unrecognized arguments: --dry; see opportune run --help"),
        ("run --drain=3", "opportune run: argument --drain: ignored explicit argument '3'; see opportune run --help"),
        ("why", "opportune why: the following arguments are required: msisdn; see opportune why --help"),
        ("decisions --format xml", "opportune decisions: argument --format: invalid choice: 'xml'"),
        ("pause shop x", "opportune pause: argument kind: invalid choice: 'shop'"),
        ("dead", "opportune dead: the following arguments are required: list|replay"),
        ("feed", "opportune feed: the following arguments are required: --to"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(nursery: Nursery, tmp_path: Path, words: str, said: str) -> None:
    assert one_line(nursery.start(words.split(), tmp_path), 2).startswith(said)


@pytest.mark.parametrize(
    "words",
    ["run", "check", "test", "decisions", "why 8613800000001", "dead list", "pause rule x", "status --once"],
)
def test_a_missing_configuration_is_named(nursery: Nursery, tmp_path: Path, words: str) -> None:
    name, *rest = words.split()
    process = nursery.start([name, "--config", "nowhere.toml", *rest], tmp_path)

    assert one_line(process) == f"opportune {name}: nowhere.toml: No such file or directory"


def test_a_faulty_configuration_tells_every_fault_with_its_place(make: Make) -> None:
    engine = make(more="[data]\ndirectory = 3\npartitions = 0\n[log]\nsegmentbytes = 1\n")
    process = engine.command("run")

    assert process.exit == 1
    faults = process.err.strip().splitlines()[1:]
    assert [fault.split(":")[0] for fault in faults] == ["config.toml"] * 3
    assert "data.partitions" in process.err
    assert "segment_bytes" in process.err
    assert "Traceback" not in process.err


@pytest.mark.parametrize("name", ["run", "check", "test"])
def test_a_missing_book_is_named(make: Make, name: str) -> None:
    engine = make(more='[book]\nfolder = "nothing-here"\n')
    said = one_line(engine.command(name))

    assert "nothing-here" in said


@pytest.mark.parametrize("name", ["run", "check", "test"])
def test_a_bad_book_tells_every_fault_with_place_and_hint(make: Make, name: str) -> None:
    engine = make(book=BOOK.replace("seconds > 100", "secods > 100").replace("spent > 3000", "spent > 'much'"))
    process = engine.command(name)

    assert process.exit == 1
    assert "error[R201]" in process.err
    assert "did you mean `seconds`?" in process.err
    assert process.err.count("error[") == 2
    assert "Traceback" not in process.err


def test_a_missing_inbox_is_named(make: Make) -> None:
    engine = make()
    engine.inbox.rmdir()

    assert "inbox" in one_line_at_the_end(engine.command("run"))


def test_a_field_of_the_mapping_that_the_book_does_not_have_is_named(make: Make) -> None:
    engine = make(more='[sources.http.mapping]\nrename = { lenght = "length" }\n')

    assert "length" in one_line_at_the_end(engine.command("run"))


def one_line_at_the_end(process: Process) -> str:
    """The line that a refused `run` ends with; before it may stand what it had said until then."""
    assert process.wait() == 1
    assert "Traceback" not in process.err
    return process.err.strip().splitlines()[-1]


def test_a_directory_that_another_process_holds_is_refused(make: Make) -> None:
    engine = make().start()
    said = one_line_at_the_end(engine.command("run"))

    assert re.fullmatch(r"opportune run: data is held by process \d+", said)
    assert engine.serves


def test_another_number_of_partitions_than_the_directory_has_is_refused(make: Make) -> None:
    engine = make()
    engine.drain()
    other = config(more='[data]\ndirectory = "data"\npartitions = 4\n')
    (engine.folder / "other.toml").write_text(other)

    said = one_line_at_the_end(engine.command("run", config="other.toml"))

    assert "partitions=4 must be 2" in said


@pytest.mark.parametrize(
    "words", ["status --once", "pause rule long-care", "resume rule long-care", "kill channel sms"]
)
def test_without_a_running_engine_a_command_says_so(make: Make, words: str) -> None:
    engine = make()
    assert "no engine" in one_line(engine.command(*words.split()))

    engine.start().kill()
    assert "no engine" in one_line(engine.command(*words.split()))


def test_a_command_never_reaches_the_engine_that_took_the_port_of_a_dead_one(make: Make) -> None:
    dead, other = make().start(), make(name="other").start()
    dead.kill()
    record = json.loads((dead.data / "http.json").read_bytes())
    record["port"] = int(other.url.rpartition(":")[2])
    (dead.data / "http.json").write_text(json.dumps(record))

    assert one_line(dead.command("pause", "rule", "long-care")) == "opportune pause: no engine runs on data"
    assert other.status()["paused"] == []


@pytest.mark.parametrize("words", ["decisions", "why 8613800000001", "dead list", "dead replay"])
def test_without_data_a_command_says_so(make: Make, words: str) -> None:
    engine = make()
    said = one_line(engine.command(*words.split()))

    assert "holds no data" in said
    assert not engine.data.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("why 86x", "opportune why: msisdn='86x' must be up to 15 digits"),
        (
            "decisions --from yesterday",
            "opportune decisions: time='yesterday' must look like 2008-11-04T09:00:00+08:00",
        ),
        ("decisions --rule long-car", "opportune decisions: rule='long-car' was never in a book; did you mean"),
        ("pause rule long-car", "opportune pause: the engine refused: rule='long-car' is not in the book"),
        ("kill channel fax", "opportune kill: the engine refused: channel='fax' is not in the book"),
    ],
)
def test_a_wrong_name_or_time_is_told(make: Make, words: str, said: str) -> None:
    engine = make().start()

    assert one_line(engine.command(*words.split())).startswith(said)


def many_calls(count: int = 20_000) -> bytes:
    return joined(call(8613800000000 + n, BASE_MS + n * 1000) for n in range(1, count + 1))


def test_a_disk_that_fills_holds_the_engine_up_until_there_is_room_and_nothing_is_lost(make: Make) -> None:
    engine = make(more="[log]\nsegment_bytes = 1048576\n").start()
    process = engine.process
    assert process is not None
    (engine.folder / "disk.full").touch()
    engine.put("day.ndjson", many_calls())

    wait_for(lambda: process.exit is not None or "the flow waits until there is room" in process.err, "a full disk")
    (engine.folder / "disk.full").unlink()
    wait_for(lambda: process.exit is not None or len(engine.spooled()) == 20_000, "the rest of the day")
    assert process.exit is None, process.err
    assert re.search(r"write \S+: no room left on the disk; the flow waits", process.err)
    assert engine.stop() == 0
    summary = engine.drain()

    assert "20,000 subscribers known" in summary
    assert len({record["subscriber"] for record in engine.records("--decided")}) == 20_000
    assert len(engine.spooled()) == 20_000


def test_a_start_on_a_full_disk_is_refused_with_one_line(make: Make) -> None:
    engine = make()
    (engine.folder / "disk.full").touch()

    assert one_line_at_the_end(engine.command("run")).endswith(": no room left on the disk")


@pytest.mark.parts
def test_a_real_disk_that_fills_is_waited_out_said_once_and_left_at_once_when_asked(make: Make) -> None:
    small = "[log]\nsegment_bytes = 1048576\n"
    roomy = make(name="roomy", more=small).start()
    used = sum(path.stat().st_blocks * 512 for path in roomy.data.rglob("*"))
    engine = make(more=small)
    engine.put("day.ndjson", many_calls(60_000))
    process = engine.start(disk_bytes=used + (2 << 20), ready=False).process
    assert process is not None

    said = process.folder / f"{process.name}.err"
    wait_for(lambda: process.exit is not None or (said.exists() and "the flow waits" in process.err), "a full disk")
    if process.exit == NO_SMALL_DISK_STATUS:
        missing(f"a mount of our own: {process.err}")
    time.sleep(1.0)
    assert process.exit is None
    assert process.err.count("the flow waits until there is room") == 1
    process.signal(signal.SIGTERM)
    process.wait()
    assert ": no room left on the disk" in process.err.splitlines()[-1]
    assert "Traceback" not in process.err


@pytest.mark.parts
def test_a_full_disk_under_the_outbox_alone_ends_a_drained_run_with_one_line(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", many_calls(200))
    engine.start("--drain", disk_bytes=1 << 20, disk_at="data/outbox", ready=False)
    assert engine.process is not None

    if engine.process.wait() == NO_SMALL_DISK_STATUS:
        missing(f"a mount of our own: {engine.process.err}")
    assert one_line_at_the_end(engine.process).endswith(": no room left on the disk")
    summary = engine.drain()
    assert "200 subscribers known" in summary
    assert len(engine.spooled()) == 200


def test_a_drained_run_does_not_wait_for_ever_for_a_gateway_that_is_away(make: Make) -> None:
    smsc = 'kind = "smpp"\nhost = "127.0.0.1"\nport = 1\nsystem_id = "x"\npassword = { env = "PATH" }\n'
    waits = "[dispatch]\ndrain_wait_s = 0.2\n"
    engine = make(more=f'{waits}[gateways.away]\n{smsc}[channels.sms]\ngateway = "away"\n')
    engine.env = {"PATH": "secret"}
    engine.put("day.ndjson", many_calls(20))

    assert "20" in engine.drain().split("waiting")[1]


def test_a_port_that_is_taken_is_named(make: Make) -> None:
    first = make().start()
    port = int(first.url.rpartition(":")[2])
    second = make(name="second", more=f"[http]\nport = {port}\n")

    assert str(port) in one_line_at_the_end(second.command("run"))


def test_help_names_every_command(nursery: Nursery, tmp_path: Path) -> None:
    process = nursery.start(["--help"], tmp_path)

    assert process.wait() == 0
    for name in ("run", "feed", "check", "test", "decisions", "why", "dead", "pause", "resume", "kill", "status"):
        assert re.search(rf"^ +{name}\b", process.out, re.MULTILINE)

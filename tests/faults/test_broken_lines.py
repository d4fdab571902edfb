"""A million lines that are no events, through the whole engine: no crash, and each one counted."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.engine.conftest import Make
from tests.engine.engines import wait_for
from tests.engine.world import BASE_MS, call
from tests.faults.broken import BLANK, FIRST, GOOD, variety

FILES = 10
BROKEN_A_FILE = 100_000
GOOD_A_FILE = 500


def write(path: Path, seed: int, number: int) -> None:
    """A file of broken lines, with blank ones and good ones among them, and a half line at its end."""
    chance = random.Random(seed * FILES + number)
    lines = list(variety(chance, BROKEN_A_FILE - 1, seldom=5_000))
    lines += [chance.choice(BLANK) for _ in range(1_000)]
    first = FIRST + number * GOOD_A_FILE
    lines += [call(first + n, BASE_MS + number * 1_000)[:-1] for n in range(GOOD_A_FILE)]
    chance.shuffle(lines)
    path.write_bytes(b"\n".join([*lines, GOOD[:40]]))


@pytest.mark.slow
def test_a_million_broken_lines_are_counted_one_by_one(make: Make, seed: int) -> None:
    engine = make()
    for number in range(FILES):
        write(engine.inbox / f"{number}.ndjson", seed, number)

    summary = engine.drain()
    counted = Counter[str]()
    for text in engine.command("dead", "list", "--counts").out.splitlines():
        source, code, count = text.split()
        assert source == "inbox"
        counted[code] = int(count.replace(",", ""))

    assert f"{FILES * GOOD_A_FILE:,} events" in summary
    assert f"{FILES * BROKEN_A_FILE:,} dead letters" in summary
    assert counted.total() == FILES * BROKEN_A_FILE
    assert len(counted) >= 16
    assert len(engine.spooled()) == FILES * GOOD_A_FILE
    shutil.rmtree(engine.data)


def test_broken_lines_over_http_and_a_caller_who_hangs_up_are_counted(make: Make, seed: int) -> None:
    engine = make().start()
    chance = random.Random(seed)
    lines = list(variety(chance, 2_000, seldom=500))
    body = b"\n".join([*lines, GOOD])

    status, _, answer = engine.post("/events", body)

    assert (status, answer) == (202, b'{"lines": 2001}')
    wait_for(lambda: len(engine.spooled()) == 1, "the message of the good line")
    assert engine.status()["dead_letters"] == 2_000
    assert engine.status()["events"] == 1

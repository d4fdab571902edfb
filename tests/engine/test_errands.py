"""Commands that another process runs for the console: bounded in time, number and output, and deaf to the list of
processes.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.console.contract import BusyError, RefusedError, Rehearsal, SlowError
from engine.runtimes import errands
from engine.runtimes.console import ConsoleAnswers
from engine.runtimes.errands import Errands
from engine.settings.reading import parse_config

STAND_IN = """
import json, os, sys, time
command, _, config, *words = json.load(sys.stdin)
with open("pids", "a") as file:
    file.write(f"{os.getpid()}\\n")
if command == "sleep":
    time.sleep(60)
if command == "flood":
    while True:
        sys.stdout.write("x" * 65536)
if command == "backtest":
    page = next(word for word in words if word.startswith("--html=")).removeprefix("--html=")
    with open(page, "w") as file:
        file.write(" ".join(words[:-3] + words[-2:]))
    sys.exit(1)
if command == "fail":
    sys.stderr.write("opportune: a hint\\nopportune fail: no such rule\\n")
    sys.exit(1)
with open("/proc/self/cmdline") as file:
    print(json.dumps({"words": words, "shown": file.read(), "config": config}))
"""


@pytest.fixture(autouse=True)
def _stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(errands, "MODULE", "stand_in")
    monkeypatch.setattr(errands, "OUTPUT_BYTES_MAX", 1 << 20)


def gone(folder: Path) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in (folder / "pids").read_text().split())


async def test_words_and_settings_arrive_and_no_word_stands_in_the_list_of_processes(tmp_path: Path) -> None:
    printed = await Errands(tmp_path / "config.toml", 20, 1).run("why", "8613800135678")

    assert b'"words": ["8613800135678"]' in printed
    assert str(tmp_path / "config.toml").encode() in printed
    assert b"8613800135678" not in printed.partition(b'"shown"')[2]


async def test_what_takes_too_long_or_prints_without_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SlowError, match=r"0\.5"):
        await Errands(tmp_path / "c", 0.5, 1).run("sleep")
    with pytest.raises(RefusedError, match="more than 1 MiB"):
        await Errands(tmp_path / "c", 20, 1).run("flood")

    assert gone(tmp_path)


async def test_a_complaint_is_handed_on_without_what_stands_before_it(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"^no such rule$"):
        await Errands(tmp_path / "c", 20, 1).run("fail")


async def test_of_many_only_so_many_run_some_wait_and_the_rest_is_refused(tmp_path: Path) -> None:
    one = Errands(tmp_path / "c", 0.6, at_a_time=1)
    asked = [asyncio.create_task(one.run("sleep")) for _ in range(errands.WAITING_MAX + 3)]
    await asyncio.sleep(0.2)
    refused = [task for task in asked if task.done() and isinstance(task.exception(), BusyError)]
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)

    assert len(refused) == 2
    assert len((tmp_path / "pids").read_text().split()) <= 1
    assert gone(tmp_path)


async def test_a_rehearsal_is_shown_also_where_the_running_book_disagrees_with_its_journal(tmp_path: Path) -> None:
    config = parse_config('[book]\nfolder = "book"')
    answers = ConsoleAnswers(config, tmp_path / "c", cast("Any", None), cast("Any", None))

    page = await answers.rehearsal(Rehearsal("10%", "2008-11-04T09:00", ""))

    assert page.decode() == f"--sample=10% --from=2008-11-04T09:00 -- {tmp_path / 'book'}"

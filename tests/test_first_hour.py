"""A new user's first hour, as rules/WORKBENCH.md tells it: every line is run as it stands, in a copy of the tree."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("rules", "config.toml")
COMMANDS_MAX = 10
ZONE = ZoneInfo("Asia/Shanghai")


def lines_of_the_hour() -> list[str]:
    text = (ROOT / "rules" / "WORKBENCH.md").read_text(encoding="utf-8")
    hour = text.split("\n## A first hour\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```$", hour, re.MULTILINE | re.DOTALL)
    return str(block).splitlines()


def copy_of_the_tree(folder: Path) -> Path:
    """What the commands touch: rules and settings, and the environment that runs us."""
    for name in OURS:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def texts_by_day(folder: Path, words: str) -> Counter[str]:
    """Texts with these words in the gateway's own record, by day."""
    found: Counter[str] = Counter()
    for line in (folder / "var" / "spool" / "out.ndjson").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)
        if words in text["text"]:
            found[datetime.fromtimestamp(text["at_ms"] / 1000, ZONE).date().isoformat()] += 1
    return found


@pytest.mark.slow
def test_a_rule_is_changed_tried_put_in_shadow_made_live_and_rolled_back(tmp_path: Path) -> None:
    lines = lines_of_the_hour()
    assert len(lines) <= COMMANDS_MAX
    folder = copy_of_the_tree(tmp_path)
    said = []
    for line in lines:
        done = subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == (1 if "--lint" in line else 0), f"{line}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    _, _, advice, tests, backtest, shadow, _, report, rolled_back = said

    assert advice.endswith("1 warning\n")
    assert "0 failed" in tests
    assert re.search(r"^data-burst +sms +\d+ +\d+ \[\+\d+ -\d+\]$", backtest, re.MULTILINE)
    assert re.search(r"^data-burst +0 +shadow \d+", shadow, re.MULTILINE)
    assert "data-burst" in report
    assert "holds version" in rolled_back
    assert "shadow   = true" in (folder / "rules" / "book" / "data-burst.toml").read_text(encoding="utf-8")
    texts = texts_by_day(folder, "10分钟内上网")
    assert texts["2008-11-04"] > 0
    assert texts["2008-11-05"] == 0
    assert texts["2008-11-06"] > 0

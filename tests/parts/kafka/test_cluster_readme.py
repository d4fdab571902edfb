"""The README's way from one machine to a cluster, walked line by line."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.kafka.broker import Broker
from tests.parts.kafka.workers import START

ROOT = Path(__file__).parents[3]
SECTION = (
    (ROOT / "README.md").read_text(encoding="utf-8").split("## From one machine to a cluster")[1].split("\n## ")[0]
)

pytestmark = [pytest.mark.parts, pytest.mark.slow]


def block(language: str) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)[0])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "kafka") as made:
        yield made


def test_the_readme_leads_to_a_cluster(tmp_path: Path, broker: Broker) -> None:
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    (tmp_path / "cluster.toml").write_text(block("toml").replace("127.0.0.1:9092", broker.bootstrap))
    lines = block("sh").replace("127.0.0.1:9092", broker.bootstrap).replace("--events 20000", "--events 8000")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    behind: list[subprocess.Popen[bytes]] = []
    try:
        for line in lines.splitlines():
            words = shlex.split(line.split(" | ")[0].rstrip("& "))
            assert words[0] == ".venv/bin/opportune"
            command = [sys.executable, "-P", "-c", START, *words[1:]]  # -P: `rules` here is no package
            if line.endswith("&"):
                with (tmp_path / f"{len(behind)}.log").open("wb") as out:
                    behind.append(subprocess.Popen(command, cwd=tmp_path, env=env, stdout=out, stderr=out))
                continue
            deadline = time.monotonic() + 240
            while True:
                done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
                if words[1] != "decisions" or done.stdout or time.monotonic() > deadline:
                    break
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  86\d+  \S+ +\S", done.stdout), done.stdout
        assert [worker.poll() for worker in behind] == [None, None]
    finally:
        for worker in behind:
            worker.kill()
            worker.wait(20)


def test_topics_that_do_not_fit_are_named(tmp_path: Path, broker: Broker) -> None:
    config = tmp_path / "cluster.toml"
    config.write_text(block("toml").replace("127.0.0.1:9092", broker.bootstrap))

    def opportune(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", START, *words, "--config", config],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert opportune("worker").stderr.count("is missing") == 8
    assert opportune("topics", "create").returncode == 1, "the raw topic is its producers'"
    assert opportune("topics", "create", "--raw", "4").returncode == 0
    config.write_text(config.read_text().replace("partitions = 8", "partitions = 16"))
    faults = opportune("topics", "check")
    assert faults.returncode == 1
    assert "topic opportune.log: partitions=8 must be 16" in faults.stdout
    broker.kill()
    assert "no broker answers" in opportune("topics", "check").stderr

"""A real Prometheus that scrapes what tests run, with the shipped alert rules loaded."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.parts.need import program
from tests.parts.ports import free_port

RULES = Path(__file__).parents[2] / "engine" / "operations" / "alerts.yml"
CONFIG = """
global: {{ scrape_interval: 500ms, evaluation_interval: 500ms }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: opportune
    static_configs: [{{ targets: {targets} }}]
"""


class Prometheus:
    """One server process; used as a context."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        folder.mkdir()
        self._port = free_port()
        targets = json.dumps([f"127.0.0.1:{port}" for port in ports])
        (folder / "prometheus.yml").write_text(CONFIG.format(rules=RULES, targets=targets), encoding="utf-8")
        self._command = [
            program("prometheus", package="prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]

    def __enter__(self) -> "Prometheus":
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(20)

    def wait_for(self, query: str, value: float, seconds: float = 30.0) -> None:
        """Wait until a query has one result of this value."""
        deadline = time.monotonic() + seconds
        while (found := self.ask(query)) != [value]:
            assert time.monotonic() < deadline, f"{query}: {found}, must be {value}"
            time.sleep(0.2)

    def ask(self, query: str) -> list[float]:
        """Return the values of a query's results; none while the server starts."""
        words = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{words}", timeout=5) as answer:
                found: dict[str, Any] = json.loads(answer.read())
        except OSError:
            return []
        return [float(one["value"][1]) for one in found["data"]["result"]]

"""Alert rules and dashboard: Prometheus' own tool tests the rules, and every metric that they name exists."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.parts.need import program

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "engine" / "operations"
DECLARED = "".join(
    (ROOT / "engine" / path).read_text(encoding="utf-8")
    for path in (
        "metrics.py",
        "serve/gauges.py",
        "runtimes/cluster/decide/gauges.py",
        "runtimes/cluster/dispatch/service.py",
    )
)

pytestmark = pytest.mark.parts


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_is_content_with_the_alerts(words: tuple[str, ...]) -> None:
    command = [program("promtool", package="prometheus"), *words]
    done = subprocess.run(command, cwd=OPERATIONS, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_and_says_what_to_do() -> None:
    rules, tests = ((OPERATIONS / name).read_text(encoding="utf-8") for name in ("alerts.yml", "alerts_test.yml"))
    alerts = re.findall(r"alert: (\w+)", rules)

    assert alerts
    assert set(alerts) == set(re.findall(r"alertname: (\w+)", tests))
    assert rules.count("action:") == len(alerts)


@pytest.mark.parametrize("name", ["alerts.yml", "dashboard.json"])
def test_every_metric_named_exists(name: str) -> None:
    named = set(re.findall(r"opportune_\w+", (OPERATIONS / name).read_text(encoding="utf-8")))
    bare = {re.sub(r"^opportune_|_(total|bucket|info)$", "", one) for one in named}

    assert bare
    assert {one for one in bare if not re.search(rf'"(opportune_)?{one}"', DECLARED)} == set()


def test_the_dashboard_reads_and_its_panels_do_not_overlap() -> None:
    panels = json.loads((OPERATIONS / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len(places) == len({panel["id"] for panel in panels}) == len(panels) > 6

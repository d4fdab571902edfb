"""The floor under the branch coverage of rules and state: what falls below it fails, and it only rises."""

import subprocess
import tomllib
from pathlib import Path

from tests.branches import verdict

ROOT = Path(__file__).parents[1]


def git(*words: str) -> str:
    """Return what git says; nothing where there is no repository."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], check=False, capture_output=True, text=True)
    return done.stdout


def floor_of(text: str) -> float:
    """Return the floor that a pyproject.toml sets; 0 where it sets none."""
    report = tomllib.loads(text).get("tool", {}).get("coverage", {}).get("report", {})
    return float(report.get("fail_under", 0))


def test_the_floor_is_no_lower_than_in_any_commit_before() -> None:
    commits = git("log", "--format=%H", "--max-count=100", "--", "pyproject.toml").split()
    before = [floor_of(git("show", f"{commit}:pyproject.toml")) for commit in commits]

    assert floor_of((ROOT / "pyproject.toml").read_text(encoding="utf-8")) >= max(before, default=0) >= 0


def test_a_coverage_below_the_floor_is_a_fault_that_says_both() -> None:
    told = "branch coverage of rules and state=89.9 must be >= 90.0 (fail_under, pyproject.toml)"
    assert verdict(89.9, 90.0) == told
    assert verdict(90.0, 90.0) is None


def test_kernels_are_left_out_with_their_reason_and_nothing_else_is() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    coverage = tomllib.loads(text)["tool"]["coverage"]

    assert coverage["run"]["omit"] == ["state/raw.py", "rules/expressions/lanes.py"]
    assert coverage["report"]["exclude_also"] == [r"^\s*@(kernel|allocating|routine|part|intrinsic)\b"]

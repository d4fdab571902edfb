"""What is shipped: the bill of materials names each package of the run-time lock, and nothing that builds or tests."""

import json
import re
import subprocess
import sys

from tests.engine.engines import ROOT

BUILDS = {
    "build", "editables", "hatchling", "mypy", "pathspec", "pip", "pluggy", "pytest", "ruff", "setuptools", "tomlkit",
    "trove-classifiers", "uv", "wheel",
}  # fmt: skip


def locked(name: str) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_the_bill_of_materials_names_each_package_of_the_run_time_lock_with_its_check_sums() -> None:
    done = subprocess.run(
        [sys.executable, ".ci/sbom", "requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    bill = json.loads(done.stdout)

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert {one["name"] for one in bill["components"]} == locked("requirements.txt")
    assert all(len(one["properties"][0]["value"]) == 64 for one in bill["components"])


def test_nothing_that_builds_or_tests_is_in_the_run_time_lock() -> None:
    assert "numba" in locked("requirements.txt")
    assert locked("requirements.txt") & BUILDS == set()
    assert "hatchling" in locked("requirements-build.txt")

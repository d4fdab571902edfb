"""The fences between the packages hold, and each of them would notice a breach."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("connectors", "engine", "rules", "state")

BREACHES = {
    "engine may import connectors and rules": ("state/breach.py", "import engine"),
    "neither sees the other": ("rules/breach.py", "import connectors"),
    "numba only": ("engine/flow/breach.py", "import numba"),
    "rocksdict only": ("engine/flow/breach.py", "import rocksdict"),
    "faust only": ("engine/flow/breach.py", "import faust"),
    "network libraries only": ("state/breach.py", "import aiohttp"),
    "state and rules count nothing": ("rules/breach.py", "import prometheus_client"),
    "the rooms of engine": ("engine/flow/breach.py", "import engine.commands"),
    "the rooms of the cluster runtime": (
        "engine/runtimes/cluster/shared/breach.py",
        "import engine.runtimes.cluster.app",
    ),
}


def lint(folder: Path) -> tuple[int, str]:
    """Run the contracts of pyproject.toml on a tree."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_no_fence_is_broken() -> None:
    status, text = lint(ROOT)

    assert status == 0, text


@pytest.fixture(scope="module")
def breached(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the tree in which every fence is broken."""
    copy = tmp_path_factory.mktemp("breached")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "*.toml"))
    for path, line in BREACHES.values():
        with (copy / path).open("a") as file:
            file.write(f"{line}\n")
    return lint(copy)[1]


@pytest.mark.parametrize("fence", BREACHES)
def test_a_breach_of_the_fence_is_noticed(fence: str, breached: str) -> None:
    _, line = BREACHES[fence]

    assert re.search(rf"{re.escape(fence)}[^.]*?BROKEN", breached), breached
    assert f"breach -> {line.removeprefix('import ')}" in breached


def test_the_names_of_our_packages_belong_to_nobody_else() -> None:
    owners = packages_distributions()

    assert {name: set(owners.get(name, ())) - {"opportune"} for name in PACKAGES} == {name: set() for name in PACKAGES}


def circle_in(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """Return modules that import each other in a circle, the first one again at the end; none where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found = circle_in({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})

    assert not found, " is imported by ".join(found)


def test_a_circle_is_told_by_its_modules() -> None:
    assert circle_in({"a": ["b"], "b": ["c"], "c": []}) == []
    assert sorted(set(circle_in({"a": ["b"], "b": ["c"], "c": ["b"]}))) == ["b", "c"]

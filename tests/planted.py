"""Run tests over the product with a bug in one of its modules: in a process of its own, no file of the tree is changed.

The changed source lies in a folder of the test and is loaded in place of the module. Kernels are compiled anew where
they contain it, because `state.jit` reads the source that was loaded.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]

_START = """
import sys
from importlib.util import spec_from_file_location

import pytest


class Finder:
    def find_spec(self, name, path=None, target=None):
        return spec_from_file_location(name, {file!r}) if name == {module!r} else None


sys.meta_path.insert(0, Finder())
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--randomly-seed=1", *{tests!r}]))
"""


def run_planted(module: str, right: str, wrong: str, tests: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """Return exit status and output of pytest for `tests`, with `wrong` in place of `right` in the source of a module.

    `right` must stand there once.
    """
    spec = find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert source.count(right) == 1, f"{module} has {right!r} {source.count(right)} times, must have it once"
    changed = folder / f"{module.rpartition('.')[2]}.py"
    changed.write_text(source.replace(right, wrong), encoding="utf-8")
    start = folder / "start.py"
    start.write_text(_START.format(file=str(changed), module=module, tests=list(tests)), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"OPPORTUNE_PROFILE": "planted", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")}
    done = subprocess.run(
        [sys.executable, start], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    return done.returncode, done.stdout + done.stderr

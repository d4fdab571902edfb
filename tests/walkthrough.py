"""Add one file to a package of the product, in a process of its own, and see what the product makes of it.

The file lies in a folder of the test; the package finds it by its own listing, as it would find one beside its modules.
So what `run_with` runs has touched the files it was given, and no other.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

_START = """
import sys
from importlib.machinery import PathFinder

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != {package!r}:
            return None
        spec = PathFinder.find_spec(name, path)
        spec.submodule_search_locations.insert(0, {folder!r})
        return spec

sys.meta_path.insert(0, Finder())
"""


def run_with(package: str, files: Mapping[str, str], script: str, folder: Path) -> str:
    """Return what `script` prints when `files` (text by name) stand in `package`, before the files it has."""
    place = folder / "added"
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    start = folder / "start.py"
    start.write_text(_START.format(package=package, folder=str(place)) + script, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, start], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""A folder added to a listing: the command line of an untouched tree, run where one more kind exists."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.engine.world import BOOK

ROOT = Path(__file__).parents[2]
PROGRAM = """
import importlib, sys

package, folder, *words = sys.argv[1:]
importlib.import_module(package).__path__.append(folder)
from engine.commands import main

sys.exit(main(words))
"""


def add_kind(listing: Path, kind: str, files: Mapping[str, str]) -> None:
    """Write the one folder of a kind."""
    for name, text in files.items():
        path = listing / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def run_with(package: str, listing: Path, home: Path, config: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `opportune WORDS` on a configuration in `home`, with what lies in `listing` added to `package`."""
    (home / "book").mkdir(parents=True, exist_ok=True)
    (home / "book" / "book.toml").write_text(BOOK, encoding="utf-8")
    (home / "config.toml").write_text(config, encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, package, str(listing), *words, "--config", str(home / "config.toml")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)

"""Simulate: run seeded worlds around the real engine, with crashes and faults, and say which invariant broke.

The worlds are tests and stand in `tests/simulation` of a checkout, so a copy of the engine without one has none to run.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from engine.commands.shared.error import CommandError

HELP = "Run seeded worlds with crashes and faults around the engine, and check every invariant."

ROOT = Path(__file__).resolve().parents[2]

Simulate = Callable[[int, int, Callable[[str], object]], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many worlds, and which is the first."""
    parser.add_argument("--seeds", type=_count, default=300, metavar="N", help="worlds to run (default: %(default)s)")
    parser.add_argument("--from", type=_count, default=1, dest="first", metavar="S", help="seed of the first one")


def run(args: argparse.Namespace) -> int:
    """Run the worlds; print every failure with the command that repeats it; 1 when any failed."""
    return 1 if load_simulate()(args.seeds, args.first, _say) else 0


def load_simulate() -> Simulate:
    """Return `tests.simulation.run.simulate`; CommandError where there is no checkout."""
    if not (ROOT / "tests" / "simulation" / "run.py").is_file():
        raise CommandError(f"the worlds stand in tests/simulation of a checkout, and {ROOT} is none")
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return cast("Simulate", importlib.import_module("tests.simulation.run").simulate)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= 1")
    return int(text)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

"""The command line: one subcommand a module, each with `HELP`, `arguments(parser)` and `run(args)`.

Every command takes `--config`. What goes wrong is said in one line on standard error, and the exit status says that it
did: 2 for a wrong call, 1 for everything else. A fault that nobody foresaw keeps its traceback.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

COMMANDS = (
    "run",
    "feed",
    "check",
    "test",
    "decisions",
    "why",
    "dead",
    "pause",
    "resume",
    "kill",
    "lists",
    "status",
    "simulate",
    "topics",
    "worker",
)


class CommandError(Exception):
    """The command cannot do what was asked; the text is the line to print."""


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong call with one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in {"-h", "--help"}:
        sys.stdout.write(_help())
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "see opportune --help"
        sys.stderr.write(f"opportune: {name!r} is no command; {hint}\n")
        return 2
    module = importlib.import_module(f"engine.commands.{name}")
    return _run(name, module.run, parser_of(name).parse_args(words[1:]))


def parser_of(name: str) -> Parser:
    """Return the parser of a command's words."""
    module = importlib.import_module(f"engine.commands.{name}")
    parser = Parser(prog=f"opportune {name}", description=module.HELP)
    parser.add_argument("--config", type=Path, default=Path("config.toml"), help="settings (default: %(default)s)")
    module.arguments(parser)
    return parser


def _run(name: str, run: "object", args: argparse.Namespace) -> int:
    """Run a command; turn the faults that users cause into one line."""
    from engine.commands.faults import FAULTS, say  # noqa: PLC0415 so that --help stays quick

    assert callable(run)
    try:
        return int(run(args) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FAULTS as fault:
        sys.stderr.write(f"opportune {name}: {say(fault)}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _help() -> str:
    lines = ["usage: opportune COMMAND [--config FILE] ...", "", "commands:"]
    for name in COMMANDS:
        path = Path(__file__).with_name(f"{name}.py")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        help_line = next((line for line in text.splitlines() if line.startswith("HELP = ")), 'HELP = ""')
        lines.append(f"  {name:<10} {help_line[8:].strip(chr(34))}")
    return "\n".join([*lines, "", "opportune COMMAND --help tells more.", ""])

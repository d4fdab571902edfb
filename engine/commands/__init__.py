"""The command line: one command a module of this folder, found by its file name.

A command's module has three names:

    HELP                     one line for `opportune --help`
    add_arguments(parser)    its options
    run(args)                does it; returns the exit status

To add a command, add its file; nothing else is changed. A module imports what its `run` needs inside `run`, so
`--help`, which imports every module, loads neither numba nor a client. What several commands use is in `shared`.

Every command takes `--config`. What goes wrong is said in one line on standard error, and the exit status says that it
did: 2 for a wrong call, 1 for everything else. An unforeseen fault keeps its traceback.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from state.listing import names_in

UMASK = 0o027
"""What is written is the owner's and, to read, the group's: subscribers' numbers stand in most of it."""


class Command(Protocol):
    """A module of this folder."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add its options."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit status."""


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong call with one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with status 2."""
        from engine.commands.shared.out import complain

        complain(f"{self.prog}: {message}; see {self.prog} --help")
        self.exit(2)


class _Version(argparse.Action):
    """Print the version of the installed package; it is looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and end")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        sys.stdout.write(f"opportune {version('opportune')}\n")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status, or leave with it where argparse does."""
    os.umask(UMASK)
    words = list(sys.argv[1:] if argv is None else argv)
    known = command_names()
    if not words:
        parser_of(known, options=False).print_help()
        return 2
    if words[0] not in known and not words[0].startswith("-"):
        from engine.commands.shared.out import complain

        complain(f"opportune: {words[0]!r} is no command; {_hint(words[0], known)}")
        return 2
    # Only the named command is imported: `opportune pause` must not wait for the imports of `opportune feed`.
    parser = parser_of(words[:1]) if words[0] in known else parser_of(known, options=False)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        Parser(prog=f"opportune {args.command}").error(f"unrecognized arguments: {' '.join(unknown)}")
    return _run(args)


def command_names() -> tuple[str, ...]:
    """Return the names of all commands, in order."""
    return tuple(names_in(__path__))


def parser_of(names: Iterable[str], *, options: bool = True) -> Parser:
    """Return the parser of some commands; `args.command` says which one was called.

    Without `options` it only lists them: some options need imports that an overview does not.
    """
    parser = Parser(
        prog="opportune",
        description="Watches what subscribers do, and sends the right recommendation at the opportune moment.",
        epilog="opportune COMMAND --help says more.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name in names:
        command = _command(name)
        one = commands.add_parser(name, help=command.HELP, description=command.HELP)
        if options:
            one.add_argument("--config", type=Path, default=Path("config.toml"), help="settings (default: %(default)s)")
            command.add_arguments(one)
    return parser


def _command(name: str) -> Command:
    return cast("Command", importlib.import_module(f"{__name__}.{name}"))


def _hint(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "see opportune --help"


def _run(args: argparse.Namespace) -> int:
    """Run a command; turn the faults that users cause into one line."""
    from engine.commands.shared.faults import FAULTS, say

    try:
        return int(_command(args.command).run(args) or 0)
    except BrokenPipeError:
        # The reader has gone, as `head` does. Standard output must not be flushed into it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FAULTS as fault:
        sys.stderr.write(f"opportune {args.command}: {say(fault)}\n")
        return 1
    except KeyboardInterrupt:
        return 130

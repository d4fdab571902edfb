"""Dead: list the lines that are no events, and put them back once their cause is mended."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from connectors.sources.dead_letter import Code
from engine.commands import CommandError
from engine.commands.client import ask, running
from engine.config import Config, load_config
from engine.datadir import DataDir
from engine.dead_letters import DeadLetters, Kept, read_letters
from state.disk import RealDisk

NUMBERS_A_REQUEST = 20_000

HELP = "List dead letters, or replay them once their cause is mended."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add list and replay with their filters."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|replay")
    for name, text in (("list", "print the letters"), ("replay", "hand whole letters to their source again")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, help="settings")
        action.add_argument("--source", help="of this source only")
        codes = [code.value for code in Code]
        action.add_argument("--code", choices=codes, metavar="CODE", help=f"with this code only: {', '.join(codes)}")
        if name == "list":
            action.add_argument("--format", choices=("table", "ndjson"), default="table", help="default: %(default)s")
            action.add_argument("--counts", action="store_true", help="only how many by source and code")


def run(args: argparse.Namespace) -> int:
    """List or replay."""
    config = load_config(args.config)
    datadir = DataDir(config.data.directory)
    datadir.fixed()
    chosen = _chosen(datadir, args)
    if args.action == "replay":
        return _replay(config, datadir, chosen)
    if args.counts:
        counts = Counter((kept.letter.source, str(kept.letter.code)) for kept in chosen)
        for (source, code), count in sorted(counts.items()):
            sys.stdout.write(f"{source:<20} {code:<20} {count:>10,}\n")
        return 0
    for kept in chosen:
        sys.stdout.write(_line(kept) if args.format == "table" else kept.letter.to_json().decode() + "\n")
    return 0


def _chosen(datadir: DataDir, args: argparse.Namespace) -> Iterator[Kept]:
    for kept in read_letters(datadir.dead, datadir.disk):
        letter = kept.letter
        if args.source in {None, letter.source} and args.code in {None, str(letter.code)}:
            yield kept


def _line(kept: Kept) -> str:
    letter = kept.letter
    where = f"{letter.key or '-'}:{letter.line}"
    return f"{kept.number}  {letter.source}  {where}  {letter.code}  {letter.field}={letter.value!r}  {letter.reason}\n"


def _replay(config: Config, datadir: DataDir, chosen: Iterator[Kept]) -> int:
    """Write whole letters where the engine reads them as lines of their source; mark them."""
    headed = {source.name for source in config.sources.every if source.mapping.header and not source.mapping.columns}
    known = {source.name for source in config.sources.every}
    by_source: dict[str, list[Kept]] = {}
    stay: Counter[str] = Counter()
    for kept in chosen:
        letter = kept.letter
        if letter.source not in known:
            stay[f"of source {letter.source}, which is not configured"] += 1
        elif letter.source in headed:
            stay[f"of source {letter.source}, whose columns stood in a header line that is not kept"] += 1
        elif not letter.whole:
            stay["too long to be kept whole"] += 1
        else:
            by_source.setdefault(letter.source, []).append(kept)
    held = not running(config)
    if held:
        datadir.hold()  # an engine that starts meanwhile, or answers nobody, must not write beside us
    stamp = time.time_ns()
    for source, letters in by_source.items():
        folder = datadir.replay / source
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{stamp}.draft"
        draft.write_bytes(b"".join(kept.letter.raw + b"\n" for kept in letters))
        draft.rename(folder / f"{stamp}.lines")
        _mark(config, datadir, [kept.number for kept in letters], held=held)
        sys.stdout.write(f"{source}: {len(letters)} lines handed over\n")
    for why, count in sorted(stay.items()):
        sys.stdout.write(f"{count} lines stay where they are: {why}\n")
    if not by_source:
        sys.stdout.write("nothing to replay\n")
    datadir.release()
    return 0


def _mark(config: Config, datadir: DataDir, numbers: list[str], *, held: bool) -> None:
    """Mark letters as replayed: ourselves where we hold the directory, else through the engine that does."""
    if not held:
        for start in range(0, len(numbers), NUMBERS_A_REQUEST):
            ask(config, "/dead/replayed", {"numbers": numbers[start : start + NUMBERS_A_REQUEST]})
        return
    letters = DeadLetters(datadir.dead, RealDisk(), config.limits.dead_letters_bytes_max, {})
    try:
        letters.mark_replayed(numbers, time.time_ns() // 1_000_000)
    except OSError as fault:
        raise CommandError(f"letters were handed over but could not be marked: {fault}") from fault
    finally:
        letters.close()

"""Dead: list the lines that are no events, and put them back once their cause, or the line itself, is mended.

`list --format ndjson` prints what `replay --edited FILE` takes back: the letters of FILE, each with the `raw` that
stands there now.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import complain, progress, say

if TYPE_CHECKING:
    from connectors.sources.mapping import Mapping as LineMapping
    from engine.flow.datadir import DataDir
    from engine.flow.dead_letters import StoredLetter
    from engine.settings.config import Config

NUMBERS_A_REQUEST = 20_000

HELP = "List dead letters, or replay them once their cause is mended."


class Configured(Protocol):
    """A source, as the configuration has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def mapping(self) -> LineMapping:
        """How its lines are read."""


Stay = Counter[str]
"""How many letters are not replayed, by the reason."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add list and replay with their filters."""
    from connectors.sources.dead_letter import Code

    actions = parser.add_subparsers(dest="action", required=True, metavar="list|replay")
    for name, text in (("list", "print the letters"), ("replay", "hand whole letters to their source again")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, help="settings")
        action.add_argument("--cluster", action="store_true", help="of the cluster's topic, not the data directory")
        action.add_argument("--source", help="of this source only")
        codes = [code.value for code in Code]
        action.add_argument("--code", choices=codes, metavar="CODE", help=f"with this code only: {', '.join(codes)}")
        if name == "list":
            action.add_argument("--all", action="store_true", help="also those that were replayed")
            action.add_argument("--format", choices=("table", "ndjson"), default="table", help="default: %(default)s")
            action.add_argument("--counts", action="store_true", help="only how many by source and code")
        else:
            action.add_argument("--edited", type=Path, metavar="FILE", help="these, as `list --format ndjson`, edited")


def run(args: argparse.Namespace) -> int:
    """List or replay."""
    import asyncio

    from engine.flow.datadir import DataDir
    from engine.flow.dead_letters import read_letters
    from engine.settings.reading import load_config

    config = load_config(args.config)
    if args.cluster:
        return asyncio.run(_of_cluster(config, args))
    datadir = DataDir(config.data.directory)
    datadir.fixed()
    chosen = _chosen(read_letters(datadir.dead, datadir.disk, also_replayed=_also_replayed(args)), args)
    if args.action == "list":
        listing = _Listing(args)
        listing.take(chosen)
        return listing.end()
    return _replay(config, datadir, chosen)


async def _of_cluster(config: Config, args: argparse.Namespace) -> int:
    """List or replay what the cluster's topic holds."""
    from engine.runtimes.cluster.ask.letters import begin_replay, raw_place
    from engine.runtimes.cluster.ask.letters import read_letters as read_topic

    if args.action == "list":
        listing = _Listing(args)
        async for one in read_topic(config, _passed_over):
            if args.all or not one.replayed:
                listing.take(_chosen([one], args))
        return listing.end()
    replay = await begin_replay(config, _passed_over)
    try:
        waiting = _chosen(replay.letters, args)
        by_source, stay = _sorted_out(config.sources.kafka, waiting)
        topics = {source.name: source.topic for source in config.sources.kafka}
        for source, letters in by_source.items():
            ours = [one for one in letters if topics.get(source) == raw_place(one)[0]]
            stay[f"of source {source}, whose topic is another one now"] += len(letters) - len(ours)
            done = 0
            async for done in replay.put_back(ours):
                progress(f"{source}: {done} of {len(ours)}")
            if done:
                say(f"{source}: {done} lines handed over")
    finally:
        await replay.stop()
    _say_rest(by_source, stay)
    return 0


def _passed_over(topic: str, count: int) -> None:
    complain(f"{count} records of {topic} are no letters and are passed over")


def _also_replayed(args: argparse.Namespace) -> bool:
    return args.action == "list" and bool(args.all)


class _Listing:
    """Letters on their way to standard output, or how many there are of each kind."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._counts: Counter[tuple[str, str]] = Counter()

    def take(self, chosen: Iterable[StoredLetter]) -> None:
        """Print letters, or count them."""
        for kept in chosen:
            if self._args.counts:
                self._counts[kept.letter.source, str(kept.letter.code)] += 1
            else:
                sys.stdout.write(_line(kept) if self._args.format == "table" else _json(kept))

    def end(self) -> int:
        """Print the counts, if they are asked for."""
        for (source, code), count in sorted(self._counts.items()):
            say(f"{source:<20} {code:<20} {count:>10,}")
        return 0


def _chosen(letters: Iterable[StoredLetter], args: argparse.Namespace) -> Iterator[StoredLetter]:
    """Yield the letters that are asked for, with the lines that were edited."""
    from dataclasses import replace

    edited = _edited(args.edited) if args.action == "replay" and args.edited is not None else None
    for kept in letters:
        letter = kept.letter
        if args.source not in {None, letter.source} or args.code not in {None, str(letter.code)}:
            continue
        if edited is None:
            yield kept
        elif kept.number in edited:
            raw = edited[kept.number]
            yield replace(kept, letter=letter if raw is None else replace(letter, raw=raw, length=len(raw)))


def _edited(file: Path) -> Mapping[str, bytes | None]:
    """Return the lines of a file of letters by their numbers; None where the letter was too long to be kept whole."""
    import orjson

    lines: dict[str, bytes | None] = {}
    for count, text in enumerate(file.read_bytes().splitlines(), 1):
        try:
            record = orjson.loads(text)
            raw = record["raw"].encode() if "raw" in record else None
            lines[str(record["number"])] = raw if raw is None or b"\n" not in raw else raw.replace(b"\n", b" ")
        except (ValueError, TypeError, AttributeError, KeyError) as fault:
            raise CommandError(f"{file}:{count} is no letter as `dead list --format ndjson` prints it") from fault
    return lines


def _line(kept: StoredLetter) -> str:
    from state.visible import visible

    letter = kept.letter
    where = f"{letter.key or '-'}:{letter.line}"
    done = "  replayed" if kept.replayed else ""
    what = f"{letter.code}  {letter.field}={letter.value!r}  {letter.reason}"
    return visible(f"{kept.number}  {letter.source}  {where}  {what}{done}") + "\n"


def _json(kept: StoredLetter) -> str:
    import orjson

    from state.visible import visible_json

    record = {"number": kept.number, "replayed": kept.replayed} | orjson.loads(kept.letter.to_json())
    return visible_json(orjson.dumps(record).decode()) + "\n"


def _sorted_out(
    sources: Sequence[Configured], chosen: Iterator[StoredLetter]
) -> tuple[dict[str, list[StoredLetter]], Stay]:
    """Return the letters that can be replayed by their source, and how many stay for which reason."""
    headed = {source.name for source in sources if source.mapping.header and not source.mapping.columns}
    known = {source.name for source in sources}
    by_source: dict[str, list[StoredLetter]] = {}
    stay: Stay = Counter()
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
    return by_source, stay


def _say_rest(by_source: Mapping[str, list[StoredLetter]], stay: Stay) -> None:
    for why, count in sorted(stay.items()):
        if count:
            say(f"{count} lines stay where they are: {why}")
    if not by_source:
        say("nothing to replay")


def _replay(config: Config, datadir: DataDir, chosen: Iterator[StoredLetter]) -> int:
    """Write whole letters where the engine reads them as lines of their source; mark them."""
    from engine.commands.shared.client import running

    by_source, stay = _sorted_out(config.sources.every, chosen)
    held = not running(config)
    if held:
        datadir.hold()  # an engine that starts meanwhile, or does not answer, must not write beside us
    stamp = time.time_ns()
    for source, letters in by_source.items():
        folder = datadir.replay / source
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{stamp}.draft"
        draft.write_bytes(b"".join(kept.letter.raw + b"\n" for kept in letters))
        draft.rename(folder / f"{stamp}.lines")
        _mark(config, datadir, [kept.number for kept in letters], held=held)
        say(f"{source}: {len(letters)} lines handed over")
    _say_rest(by_source, stay)
    datadir.release()
    return 0


def _mark(config: Config, datadir: DataDir, numbers: list[str], *, held: bool) -> None:
    """Mark letters as replayed: ourselves where we hold the directory, else through the engine that does."""
    from engine.commands.shared.client import ask
    from engine.flow.dead_letters import DeadLetters
    from state.disk import RealDisk

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

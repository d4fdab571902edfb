"""Export: every decision record with what became of it, as a file that DuckDB, pandas or a spreadsheet reads."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.commands.shared.evidence import Source
    from engine.evidence.joined import Block
    from engine.evidence.rows import Column
    from engine.evidence.tally import Span

HELP = "Write all decision records, with what became of each, into a folder: Parquet, CSV or NDJSON."
FORMATS = ("parquet", "csv", "ndjson")


class Target(AbstractContextManager["Target"], Protocol):
    """A file that takes columns block by block."""

    def write(self, columns: Mapping[str, Column]) -> None:
        """Write the columns of a block."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder and the format."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where decisions.FORMAT and export.json are written")
    parser.add_argument("--from", dest="start", metavar="TIME", help="event time, as 2008-11-04T09:00[:00][+08:00]")
    parser.add_argument("--to", dest="end", metavar="TIME", help="event time, the first one left out")
    parser.add_argument("--format", choices=FORMATS, default="parquet", help="default: %(default)s")
    parser.add_argument("--terminals", type=Path, metavar="FILE", help="CSV: terminal, and hall, city or clerk")
    parser.add_argument("--no-facts", action="store_true", help="without what each rule read")


def run(args: argparse.Namespace) -> int:
    """Write the records."""
    from engine.commands.shared.evidence import source
    from engine.commands.shared.out import say
    from engine.commands.shared.reader import span_ms
    from engine.evidence.tally import Span
    from engine.settings.reading import load_config

    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"decisions.{args.format}"
    draft = path.with_suffix(f".{args.format}.draft")
    with source(load_config(args.config)) as found:
        span = Span(*span_ms(args, found.reader.zone))
        try:
            with _target(args.format, draft) as target:
                count = _write(args, found, span, target)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _describe(args.folder / "export.json", found, count)
    say(f"{count:,} records in {path}")
    return 0


def _write(args: argparse.Namespace, found: Source, span: Span, target: Target) -> int:
    from engine.commands.shared.evidence import seats_of
    from engine.evidence.rows import Rows

    count = 0
    with found.joined() as joined:
        texts = found.reader.strings
        rows = Rows(joined, texts, seats_of(args.terminals), found.book_of, facts=not args.no_facts)
        for block in joined.blocks():
            columns = _kept(rows.columns(block), block, span)
            target.write(columns)
            count += len(columns["id"])
    return count


def _kept(columns: Mapping[str, Column], block: Block, span: Span) -> Mapping[str, Column]:
    """Return the rows whose event lies in the span."""
    import numpy as np

    kept = span.holds(block.columns["at_ms"])
    if kept.all():
        return columns
    places = np.flatnonzero(kept).tolist()
    return {name: [column[place] for place in places] for name, column in columns.items()}


def _target(kind: str, draft: Path) -> Target:
    if kind == "parquet":
        from engine.evidence.parquet import ParquetFile

        return ParquetFile(draft)
    from engine.evidence.texts import TextFile

    return TextFile(draft, kind)


def _describe(path: Path, found: Source, count: int) -> None:
    """Say of which part of the log the records are, so that the next export can be held against this one."""
    import orjson

    parts = [{"partition": one.partition, "first": one.first, "reached": one.reached} for one in found.prefix.extents]
    path.write_bytes(orjson.dumps({"records": count, "partitions": parts}, option=orjson.OPT_INDENT_2))

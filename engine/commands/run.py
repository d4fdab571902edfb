"""Run: the embedded engine, until a signal; with `--drain` until its files are done."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import complain

if TYPE_CHECKING:
    from pathlib import Path

    from engine.settings.config import Config

HELP = "Run the engine on its data directory; --drain ends when the file sources are done."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the ways of running."""
    parser.add_argument("--drain", action="store_true", help="end when the file sources are exhausted and all is sent")
    parser.add_argument("--quiet", action="store_true", help="no progress line, no summary")


def run(args: argparse.Namespace) -> int:
    """Run the engine; the summary comes last."""
    import asyncio

    from engine.commands.shared.logs import start_logging
    from engine.settings.reading import load_config
    from engine.settings.secrets import check_secrets

    config = load_config(args.config)
    for source in config.sources.every:
        if source.read_by != "run":
            reader = f"opportune {source.read_by}"
            raise CommandError(f"source {source.name!r} is of kind {source.kind!r}: {reader} reads those")
    if not config.book.folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(config.book.folder))
    check_secrets(config, ("http", "desk", "console", "sources", "gateways"))
    start_logging()
    from engine.runtimes.warmup import warm_up

    warm_up(None if args.quiet else sys.stderr)
    return asyncio.run(_run(config, args.config, drain=args.drain, quiet=args.quiet))


async def _run(config: Config, file: Path, *, drain: bool, quiet: bool) -> int:
    from engine.runtimes.embedded import Embedded
    from engine.serve.summary import summary

    engine = Embedded(config, file, drain=drain)
    status = await engine.run(lambda started: None if quiet else _greet(started.config, started.port))
    if not quiet:
        sys.stdout.write(summary(status, str(config.data.directory)))
    return 0


def _greet(config: Config, port: int) -> None:
    lines = [f"data in {config.data.directory}, book from {config.book.folder}"]
    if port:
        base = f"{'https' if config.http.tls_files else 'http'}://{config.http.host}:{port}"
        lines.append(f"status {base}/status   metrics {base}/metrics   desk {base}/desk/TERMINAL")
        if config.console.users:
            lines.append(f"console {base}/console")
    for line in lines:
        complain(f"opportune: {line}")

"""What pause, resume and kill share: how they name a scope, and which engine they ask."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.settings.config import Config

KINDS = ("rule", "campaign", "channel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kind and the name of a scope."""
    parser.add_argument("kind", choices=KINDS, help="what is named")
    parser.add_argument("name", help="its name in the book")
    parser.add_argument("--reason", default="", help="why, for the audit log")
    add_data_directory(parser)


def add_data_directory(parser: argparse.ArgumentParser) -> None:
    """Add the data directory of the engine to ask."""
    parser.add_argument(
        "--data", type=Path, help="data directory of the engine or of any worker (default: data.directory)"
    )


def config_of(args: argparse.Namespace) -> Config:
    """Return the settings, with the data directory of the command line."""
    from engine.settings.reading import load_config

    config = load_config(args.config)
    if args.data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"directory": args.data})})
    return config


def ask_for(action: str, args: argparse.Namespace) -> int:
    """Ask the engine for an action and say what it did."""
    from engine.commands.shared.client import ask

    body = {"action": action, "kind": args.kind, "name": args.name, "reason": args.reason}
    answer = ask(config_of(args), "/control", body)
    say(f"{action}: {args.kind} {args.name}; queued sends touched: {answer['touched']}")
    return 0

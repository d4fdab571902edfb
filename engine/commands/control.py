"""What pause, resume and kill share: what they name, and whom they ask."""

import argparse
import sys

from engine.commands.client import ask
from engine.config import load_config

KINDS = ("rule", "campaign", "channel")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kind and the name of what is meant."""
    parser.add_argument("kind", choices=KINDS, help="what is named")
    parser.add_argument("name", help="its name in the book")


def ask_for(action: str, args: argparse.Namespace) -> int:
    """Ask the engine for an action and say what it did."""
    answer = ask(load_config(args.config), "/control", {"action": action, "kind": args.kind, "name": args.name})
    sys.stdout.write(f"{action}: {args.kind} {args.name}; queued sends touched: {answer['touched']}\n")
    return 0

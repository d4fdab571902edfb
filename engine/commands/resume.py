"""Resume: the opposite of pause and kill; sends that were held go on, sends that were killed stay killed."""

import argparse

from engine.commands.shared import control

HELP = "Let a paused or killed rule, campaign or channel go on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to resume."""
    control.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the running engine; returns when the log has it."""
    return control.ask_for("resume", args)

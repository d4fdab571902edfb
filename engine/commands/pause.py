"""Pause: candidates are recorded with the gate `paused`, queued sends are held until `resume`."""

import argparse

from engine.commands.shared import control

HELP = "Stop a rule, campaign or channel from deciding and sending; queued sends wait."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to pause."""
    control.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the running engine; returns when the log has it."""
    return control.ask_for("pause", args)

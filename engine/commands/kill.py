"""Kill: a pause that also drops what is queued and gives the caps their places back."""

import argparse

from engine.commands.shared import control

HELP = "Stop a rule, campaign or channel and take its queued sends back."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to kill."""
    control.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the running engine; returns when the log has it."""
    return control.ask_for("kill", args)

"""Trial: what a rule says, with sample values or those of a subscriber; and sent to a test number."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import complain, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.answers.preview import Preview
    from engine.settings.config import Config
    from rules.model import Rule

HELP = "Show every text of a rule with sample values, parts and alphabet; with --to send them to a test number."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the rule, values, and where texts go."""
    parser.add_argument("rule", help="a rule of the book")
    parser.add_argument("--book", type=Path, metavar="FOLDER", help="folder of the book (default: the configured one)")
    parser.add_argument("--value", action="append", default=[], metavar="NAME=VALUE", help="what a gap is filled with")
    parser.add_argument("--like", metavar="MSISDN", help="with what the rule read of this subscriber, the last time")
    parser.add_argument("--to", metavar="NUMBER", help="send them: one of dispatch.test_numbers, by the running engine")
    parser.add_argument("--channel", help="of this channel only")
    parser.add_argument("--arm", help="of this arm only")


def run(args: argparse.Namespace) -> int:
    """Show the texts, and send them where that is asked."""
    from engine.answers.preview import WrongValueError, previews, read_values
    from engine.settings.reading import load_config
    from rules.diagnostics import nearest
    from rules.load import load_book

    config = load_config(args.config)
    folder: Path = args.book if args.book is not None else config.book.folder
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    book = load_book(folder)
    rule = book.by_id.get(args.rule)
    if rule is None:
        raise CommandError(f"rule={args.rule!r} is not in {folder}; {nearest(args.rule, book.by_id)}".rstrip("; "))
    words = dict(one.partition("=")[::2] for one in args.value)
    try:
        values = {**_values_like(args, config, rule), **read_values(book, rule, words)}
    except WrongValueError as fault:
        raise CommandError(str(fault)) from fault
    every = list(previews(book, rule, values, sampled=args.like is None))
    shown = [one for one in every if args.channel in {None, one.channel} and args.arm in {None, one.arm}]
    if not shown:
        raise CommandError(f"rule {rule.id} has no text for channel={args.channel!r} arm={args.arm!r}")
    for one in shown:
        _show(one)
    return 0 if args.to is None else _send(args, config, shown)


def _values_like(args: argparse.Namespace, config: Config, rule: Rule) -> dict[str, Any]:
    """Return what the rule read of a subscriber when it was last a candidate."""
    from engine.answers.records import Wanted
    from engine.commands.shared.msisdn import number
    from engine.commands.shared.reader import opened

    if args.like is None:
        return {}
    subscriber = number(args.like, config.numbers.plan())
    with opened(config) as reader:
        records = list(reader.records(Wanted(subscriber, rule.stable_id)))
    if not records:
        raise CommandError(f"{args.like}: rule {rule.id} was never a candidate, so nothing is known of its values")
    newest = max(records, key=lambda one: int(one["at_ms"]))
    facts = {name: value for name, value in newest["facts"].items() if value is not None}
    return {**facts, "subscriber": str(subscriber), "at": newest["at_ms"], "logged": newest["append_ms"]}


def _show(one: Preview) -> None:
    from state.visible import visible

    arm = f", arm {one.arm}" if one.arm else ""
    if one.kind == "sms":
        parts = f"{one.parts} part{'s' if one.parts > 1 else ''} in {one.alphabet}, {len(one.text)} characters"
    else:
        parts = f"{len(one.text)} characters"
    say(f"{one.channel}{arm}: {parts}")
    say(f"  {visible(one.text)}")
    if one.missing and one.kind == "sms":
        say(f"  not sent like this: nothing is known of {', '.join(one.missing)}")


def _send(args: argparse.Namespace, config: Config, shown: Sequence[Preview]) -> int:
    """Ask the running engine to send the texts; 1 where a gateway did not accept one."""
    from engine.commands.shared.client import ask

    texts = [one for one in shown if one.kind == "sms" and not one.missing]
    if not texts:
        raise CommandError("there is no text among these that could be sent")
    accepted = True
    for one in texts:
        body = {"rule": args.rule, "channel": one.channel, "number": args.to, "text": one.text}
        answer = ask(config, "/trial", body)
        accepted &= answer["state"] == "accepted"
        arm = f", arm {one.arm}" if one.arm else ""
        say(f"{one.channel}{arm}: {answer['state']} by {answer['gateway']} {answer['code']}, as {answer['trial']}")
    if not accepted:
        complain("hint: a trial is not tried again")
    return 0 if accepted else 1

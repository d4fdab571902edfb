"""The tests of a book say what live would do: steps that are no events, places as the engine has them, texts."""

from collections.abc import Iterator

import pytest

from engine.runtimes.rehearsal import run_scenarios
from rules.load import load_text

HEAD = """
[book]
zone = "Asia/Shanghai"
[channels.sms]
[channels.desk]
[channels.alert]
[events.use]
fields = { x = "int" }
[attributes]
services = { set = ["a", "b"] }
name = "string"
[offers.a]
"""


def rule(name: str, more: str = "", channel: str = "sms", on: str = "use") -> str:
    text = 'text.sms = "t"\n' if channel == "sms" and "text.sms" not in more else ""
    return f'[[rule]]\nid = "{name}"\non = "{on}"\nchannels = ["{channel}"]\n{text}{more}\n'


def scenario(events: str, expect: str, more: str = "") -> str:
    return f'[[test]]\nname = "t"\n{more}\nevents = [{events}]\nexpect = [{expect}]\n'


START = "at = 2026-03-02T09:00:00"


def faults(book: str, contacts_max: int = 24) -> list[str]:
    return list(_faults(book, contacts_max))


def _faults(book: str, contacts_max: int) -> Iterator[str]:
    for result in run_scenarios(load_text({"book.toml": HEAD + book}), contacts_max):
        yield from result.faults


@pytest.mark.parametrize(
    ("rules", "events", "expect"),
    [
        (  # service notices and advertising have places of their own, whichever comes first
            rule("sell", "priority = 90") + rule("notice", 'class = "service"') + rule("also", 'class = "service"'),
            f"{{ {START}, use = {{ x = 1 }} }}",
            f'{{ {START}, rule = "sell", channel = "sms" }}, {{ {START}, rule = "also", channel = "sms" }}, '
            f'{{ {START}, rule = "notice", gate = "channel full" }}',
        ),
        (  # an offer that was declined is hidden on every channel for 30 days, and no longer
            rule("card", 'offer = "a"', "desk", "visit") + rule("text", 'offer = "a"'),
            f'{{ {START}, visit = {{ terminal = "h", visit = "v", open = true }} }}, '
            '{ at = "+1m", answer = { rule = "card", answer = "decline" } }, '
            '{ at = "+1h", use = {} }, { at = "+28d", use = {} }, { at = "+2d", use = {} }',
            f'{{ {START}, rule = "card", channel = "desk" }}, {{ at = "+61m", rule = "text", gate = "offer" }}, '
            '{ at = "+43261m", rule = "text", channel = "sms" }',
        ),
        (  # what is on the screen is not shown again in the same visit, by any rule
            rule("card", 'offer = "a"', "desk", "visit") + rule("other", 'offer = "a"', "desk"),
            f'{{ {START}, visit = {{ terminal = "h", visit = "v", open = true }} }}, {{ at = "+1m", use = {{}} }}, '
            '{ at = "+1m", visit = { terminal = "h", visit = "v", open = false } }, '
            '{ at = "+1m", visit = { terminal = "h", visit = "w", open = true } }',
            f'{{ {START}, rule = "card", channel = "desk" }}, {{ at = "+1m", rule = "other", gate = "offer" }}, '
            '{ at = "+3m", rule = "card", channel = "desk" }',
        ),
        (  # a text that lacks a value is not sent; one that says what to put in its place is
            rule("lacks", 'text.sms = "Dear {name}"') + rule("says", 'class = "service"\ntext.sms = "Dear {name|you}"'),
            f"{{ {START}, use = {{}} }}",
            f'{{ {START}, rule = "lacks", gate = "no value" }}, '
            f'{{ {START}, rule = "says", channel = "sms", text = "Dear you" }}',
        ),
        (  # `{subscriber}` is the number
            rule("r", 'text.sms = "https://example.com/?n={subscriber}"'),
            f"{{ {START}, use = {{}} }}",
            f'{{ {START}, rule = "r", channel = "sms", text = "https://example.com/?n=8613800000001" }}',
        ),
        (  # time passes also without an event; a refund gives its place back, a pause stops
            rule("r", 'cap = "1 per day"'),
            f'{{ {START}, use = {{}} }}, {{ at = "+1m", use = {{}} }}, {{ at = "+1m", refund = {{ rule = "r" }} }}, '
            '{ at = "+1m", use = {} }, { at = "+25h" }, { at = "+1m", pause = { campaign = "book" } }, '
            '{ at = "+1m", use = {} }, { at = "+1m", resume = { campaign = "book" } }, { at = "+1m", use = {} }',
            f'{{ {START}, rule = "r", channel = "sms" }}, {{ at = "+1m", rule = "r", gate = "cap" }}, '
            '{ at = "+3m", rule = "r", channel = "sms" }, { at = "+1505m", rule = "r", gate = "paused" }, '
            '{ at = "+1507m", rule = "r", channel = "sms" }',
        ),
        (  # an event that is logged late is stale
            rule("r", 'max_age = "10m"'),
            f'{{ {START}, use = {{}}, logged = "+11m" }}, {{ at = "+1h", use = {{}}, logged = "+10m" }}',
            f'{{ {START}, rule = "r", gate = "stale" }}, {{ at = "+1h", rule = "r", channel = "sms" }}',
        ),
        (  # an alert about somebody on a list that excludes all is heard
            '[lists.black]\nexcludes = "all"\n' + rule("fraud", "", "alert") + rule("sell"),
            f'{{ {START}, list = {{ list = "black", member = true }} }}, {{ at = "+1m", use = {{}} }}',
            '{ at = "+1m", rule = "fraud", channel = "alert" }, { at = "+1m", rule = "sell", gate = "list" }',
        ),
    ],
    ids=["classes", "declined", "on screen", "no value", "subscriber", "steps", "stale", "alert"],
)
def test_a_book_is_held_to_what_its_test_says(rules: str, events: str, expect: str) -> None:
    assert faults(rules + scenario(events, expect)) == []


def test_a_text_that_is_not_the_one_expected_is_told() -> None:
    expect = f'{{ {START}, rule = "r", channel = "sms", text = "u" }}'

    said = faults(rule("r") + scenario(f"{{ {START}, use = {{}} }}", expect))

    assert 'expected r decided on sms as "u" at +0 s; came: r decided on sms as "t"' in said


def test_a_test_has_as_many_places_for_contacts_as_the_engine() -> None:
    events = ", ".join(f"{{ at = 2026-03-02T09:{minute:02}:00, use = {{}} }}" for minute in range(30))
    expect = ", ".join(
        f'{{ at = 2026-03-02T09:{minute:02}:00, rule = "r", {outcome} }}'
        for minute in range(30)
        for outcome in ('channel = "sms"' if minute < 24 else 'gate = "contacts full"',)
    )

    assert faults(rule("r", 'cap = "40 per day"') + scenario(events, expect)) == []
    assert len(faults(rule("r", 'cap = "40 per day"') + scenario(events, expect), contacts_max=30)) == 12


@pytest.mark.parametrize(("asked", "outcome"), [("", 'channel = "sms"'), ("holdout = true", 'gate = "holdout"')])
def test_control_groups_are_drawn_only_where_a_test_asks_for_them(asked: str, outcome: str) -> None:
    expect = f'{{ {START}, rule = "r", {outcome} }}'

    assert faults(rule("r", 'holdout = "100%"') + scenario(f"{{ {START}, use = {{}} }}", expect, asked)) == []


def test_one_that_is_held_out_takes_its_place_under_every_cap_and_among_the_decisions_of_its_event() -> None:
    rules = '[campaigns.c]\ncap = "1 per day"\n'
    rules += rule("held", 'holdout = "100%"\npriority = 90\ncampaign = "c"') + rule("free", 'campaign = "c"')
    expect = (
        f'{{ {START}, rule = "held", gate = "holdout" }}, {{ {START}, rule = "free", gate = "outranked" }}, '
        '{ at = "+1h", rule = "held", gate = "cap" }, { at = "+1h", rule = "free", gate = "cap" }'
    )

    assert faults(rules + scenario(f'{{ {START}, use = {{}} }}, {{ at = "+1h", use = {{}} }}', expect)) == []

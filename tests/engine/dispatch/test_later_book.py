"""A book that becomes active judges what waits: lost rules end, and words are those of the active book."""

import random
from dataclasses import replace

import pytest

from engine.dispatch import Decided, Policy
from engine.dispatch.records import ATTEMPT, words_in
from engine.dispatch.wording import reworded
from rules.load import load_text
from rules.model import Book
from state.decisions import OutcomeState
from tests.engine.dispatch.standins import NOW_MS, POLICY, World, decided, running, until
from tests.fakes.disk import SimulatedDisk

BOOK = """
campaign = "care"
[book]
zone = "Asia/Shanghai"
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
[[rule]]
id = "a"
on = "call"
channels = ["sms"]
reason = "a call"
text.sms = "%s"
"""


def book(words: str, more: str = "") -> Book:
    return load_text({"book.toml": BOOK % words + more})


def policy_of(active: Book) -> Policy:
    rules = {rule.id: rule.sends for rule in active.rules}
    return replace(POLICY, book=active.version, rules=rules, words=lambda what: reworded(what, active))


def waiting(number: int, active: Book) -> Decided:
    facts = {"kind": "long", "at": NOW_MS, "logged": NOW_MS}
    return decided(number)._replace(text="before", book=active.version, facts=facts)


@pytest.mark.parametrize(
    ("more", "reason"),
    [("", "RULE_GONE"), ("enabled = false\n", "RULE_DISABLED"), ("shadow = true\n", "RULE_DISABLED")],
)
async def test_what_waits_ends_when_its_rule_is_gone_or_disabled(more: str, reason: str) -> None:
    old = book("before")
    after = BOOK.replace('id = "a"', 'id = "a"\n' + more) if more else BOOK.replace('id = "a"', 'id = "b"')
    new = load_text({"book.toml": after % "before"})
    async with running(policy=policy_of(old)) as world:
        world.gateway.free = 0
        world.dispatcher.offer([waiting(1, old)], {"0": 1})
        world.dispatcher.core.follow(policy_of(new))
        world.dispatcher.offer([waiting(2, old)], {"0": 2})
        world.gateway.free = 100
        await until(lambda: len(world.log.said) == 2)
        assert {one.decision_id: (one.state, one.error) for one in world.log.said} == dict.fromkeys(
            ("0-1-0-7", "0-2-0-7"), (OutcomeState.REFUNDED, reason)
        )


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("after", "after"),
        ("{kind} call", "long call"),
        ("{seconds} s", "before"),
        ("before", "before"),
    ],
)
async def test_words_are_those_of_the_active_book_where_it_needs_nothing_that_was_not_journaled(
    words: str, sent: str
) -> None:
    old, new = book("before"), book(words, "# another version\n")
    async with running(policy=policy_of(old)) as world:
        world.gateway.free = 0
        world.dispatcher.offer([waiting(1, old)], {"0": 1})
        world.dispatcher.core.follow(policy_of(new))
        world.gateway.free = 100
        await until(lambda: world.dispatcher.idle)
        assert [message.text for message in world.gateway.sent] == [sent]
        kept = [words_in(record) for _, record in world.outbox.read() if record[0] == ATTEMPT]
        assert kept == [("0-1-0-7", sent) if sent != "before" else None]


async def test_a_restart_goes_on_with_the_words_of_the_active_book() -> None:
    old, new, disk = book("before"), book("after {kind}"), SimulatedDisk()
    world = World(disk=disk, policy=policy_of(old))
    world.gateway.free = 0
    await world.dispatcher.start()
    world.dispatcher.offer([waiting(1, old)], {"0": 1})
    await until(lambda: world.outbox.durable >= 0 and not world.outbox.dirty)
    await world.dispatcher.abandon()
    disk.crash(random.Random(1))
    async with running(disk=disk, policy=policy_of(new)) as after:
        await until(lambda: after.dispatcher.idle and after.gateway.sent)
        assert [message.text for message in after.gateway.sent] == ["after long"]


async def test_a_rule_of_a_book_that_is_not_known_here_yet_is_not_judged() -> None:
    async with running(policy=policy_of(book("before"))) as world:
        world.dispatcher.offer([decided(1)._replace(rule="of the next book", text="new", book="")], {"0": 1})
        await until(lambda: world.dispatcher.idle)
        assert [message.text for message in world.gateway.sent] == ["new"]

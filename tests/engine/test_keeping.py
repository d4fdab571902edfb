"""Audiences that rules keep, memberships that end, and books of many lists and members, told by a book's own tests."""

import re

import pytest

from engine.runtimes.rehearsal import run_scenarios
from rules.diagnostics import BookErrors
from rules.load import load_text
from state.batch import Row
from tests.rules.deciding import HOUR_MS, MINUTE_MS, NOON_MS, WHO, Deciding, Made

LISTS = "".join(f"[lists.l{number}]\n" for number in range(100))
MEMBERS = ", ".join(f'"m{number}"' for number in range(150))
HEAD = f"""
[book]
decisions_per_event = 4
[attributes]
services = {{ set = [{MEMBERS}] }}
[channels.sms]
per_event_max = 4
[events.e]
fields = {{ kind = "string" }}
{LISTS}
[lists.zhang]
[lists.rest]
excludes = "commercial"
[offers.o]
requires = ["m3", "m140"]
unless_holds = ["m100"]
"""


def rule(name: str, when: str, more: str = "") -> str:
    return f"""
[[rule]]
id = "{name}"
on = "e"
when = "{when}"
channels = ["sms"]
text.sms = "to {{subscriber}}"
{more}
"""


def told(one: Deciding, log_ms: int, kind: str) -> list[Made]:
    """What is decided on an event of the kind."""
    return one.decided(one.take(log_ms, Row("e", WHO, log_ms, {"kind": kind})))


WAVE = rule("wave", "kind == 'call' and not member('zhang')", 'offer = "o"\nkeep = { list = "zhang", for = "1h" }')
SECOND = rule("second", "kind == 'call' and member('zhang')")
FAR = rule("far", "kind == 'x' and member('l90') and 'm149' in services and not holds('m77')", 'exclude = ["l99"]')
REST = rule("resting", "kind == 'rest'", 'class = "service"\nkeep = { list = "rest", for = "2h" }')
BOOK = HEAD + WAVE + SECOND + FAR + REST

PROMISES = {
    "the first wave, then the second while the hour lasts, then the first again": """
given = { services = ["m3", "m140"] }
events = [
  { at = 2026-01-05T08:00:00Z, e = { kind = "call" } }, { at = "+10m", e = { kind = "call" } },
  { at = "+49m", e = { kind = "call" } }, { at = "+1m", e = { kind = "call" } },
]
expect = [
  { at = "+0s", rule = "wave", channel = "sms" }, { at = "+10m", rule = "second", channel = "sms" },
  { at = "+59m", rule = "second", channel = "sms" }, { at = "+60m", rule = "wave", channel = "sms" },
]
""",
    "who is not eligible is not kept": """
given = { services = ["m3", "m140", "m100"] }
events = [{ at = 2026-01-05T08:00:00Z, e = { kind = "call" } }, { at = "+10m", e = { kind = "call" } }]
expect = [{ at = "+0s", rule = "wave", gate = "eligibility" }, { at = "+10m", rule = "wave", gate = "eligibility" }]
""",
    "a paused rule and one asked too late keep nobody": """
given = { services = ["m3", "m140"] }
events = [
  { at = 2026-01-05T08:00:00Z, pause = { rule = "wave" } }, { at = "+0s", e = { kind = "call" } },
  { at = "+0s", resume = { rule = "wave" } }, { at = "+0s", logged = "+2h", e = { kind = "call" } },
  { at = "+0s", logged = "+2h", e = { kind = "call" } },
]
expect = [
  { at = "+0s", rule = "wave", gate = "paused" }, { at = "+0s", rule = "wave", gate = "stale" },
  { at = "+0s", rule = "wave", gate = "stale" },
]
""",
    "a list beyond the first 62 excludes until its end, and at that time no longer": """
given = { services = ["m149"], lists = ["l90"] }
events = [
  { at = 2026-01-05T08:00:00Z, e = { kind = "x" } },
  { at = "+1m", list = { list = "l99", member = true, until = 2026-01-05T08:05:00Z } },
  { at = "+1m", e = { kind = "x" } }, { at = "+3m", e = { kind = "x" } },
  { at = "+1m", list = { list = "l99", member = true, for_ms = 60000 } },
  { at = "+59s", e = { kind = "x" } }, { at = "+1s", e = { kind = "rest" } }, { at = "+1s", e = { kind = "x" } },
]
expect = [
  { at = "+0s", rule = "far", channel = "sms" }, { at = "+2m", rule = "far", gate = "list" },
  { at = "+5m", rule = "far", channel = "sms" }, { at = "+419s", rule = "far", gate = "list" },
  { at = "+7m", rule = "resting", channel = "sms" }, { at = "+421s", rule = "far", gate = "list" },
]
""",
    "a set says what its further members are, and an unknown set says nothing": """
events = [
  { at = 2026-01-05T08:00:00Z, list = { list = "l90", member = true } }, { at = "+1m", e = { kind = "x" } },
  { at = "+1m", profile = { services = ["m149", "m77"] } }, { at = "+1m", e = { kind = "x" } },
  { at = "+1m", profile = { services = ["m149"] } }, { at = "+1m", e = { kind = "x" } },
]
expect = [{ at = "+5m", rule = "far", channel = "sms" }]
""",
    "a later event takes off the list, or keeps on it for ever": """
given = { services = ["m3", "m140"] }
events = [
  { at = 2026-01-05T08:00:00Z, e = { kind = "call" } }, { at = "+1m", list = { list = "zhang", member = false } },
  { at = "+1m", e = { kind = "call" } }, { at = "+1m", list = { list = "zhang", member = true } },
  { at = "+2h", e = { kind = "call" } },
]
expect = [
  { at = "+0s", rule = "wave", channel = "sms" }, { at = "+2m", rule = "wave", gate = "offer" },
  { at = "+123m", rule = "second", channel = "sms" },
]
""",
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_book_with_audiences_and_many_lists_does_what_it_promises(name: str) -> None:
    offer = BOOK.replace("[offers.o]\n", '[offers.o]\nrepeat = "5m"\n')
    book = load_text({"book.toml": f'{offer}\n[[test]]\nname = "t"\n{PROMISES[name]}'})

    assert [list(result.faults) for result in run_scenarios(book)] == [[]]


CHAIN = HEAD + "".join(
    rule(f"r{number}", f"{asked}member('l{number}')", f'keep = {{ list = "l{after}", for = "10m" }}\ncap = "1 per 1h"')
    for number, after, asked in ((0, 1, "not "), (1, 2, ""), (2, 63, ""), (63, 64, ""), (64, 0, ""))
)


@pytest.mark.parametrize("step_ms", [0, MINUTE_MS, 3 * MINUTE_MS])
def test_what_is_kept_is_the_same_however_rows_come_in_frames(step_ms: int) -> None:
    rows = [Row("e", WHO + number % 3, NOON_MS + number * step_ms, {"kind": "x"}) for number in range(40)]
    rows[20] = Row("list", WHO, rows[20].at_ms, {"list": "l63", "member": False})
    rows[23] = Row("list", WHO + 2, rows[23].at_ms, {"list": "l2", "member": True, "for_ms": 1})

    def fold(frame: int) -> list[tuple[int, int, int]]:
        one = Deciding(CHAIN)
        found = []
        for first in range(0, len(rows), frame):
            some = rows[first : first + frame]
            made = one.take_at([row.at_ms for row in some], *some)
            if made is not None:
                numbers = (made.row + first).tolist()
                found += list(zip(numbers, made.rule.tolist(), made.gate.tolist(), strict=True))
        return found

    alone = fold(1)
    assert len({rule for _, rule, _ in alone}) == 5, "every link of the chain fires"
    assert fold(40) == fold(7) == alone


WAITS = (
    HEAD + rule("waits", "kind == 'a'", 'keep = { list = "rest", for = "1h" }') + rule("other", "kind == 'b'") + REST
)


def test_what_waits_is_withdrawn_when_an_audience_excludes_it_but_not_for_the_list_of_its_own_rule() -> None:
    one = Deciding(WAITS)
    (other,) = told(one, NOON_MS, "b")
    found = one.take(NOON_MS + 1, Row("e", WHO, NOON_MS, {"kind": "a"}))
    assert [made.name for made in one.decided(found)] == ["waits"]
    assert one.withdrawn(found) == [(other.position, other.row, other.rule)]

    assert one.withdrawn(one.take(NOON_MS + 2, Row("profile", WHO, NOON_MS, {"services": ["m1"]}))) == []
    assert told(one, NOON_MS + 3, "b") == []
    assert [made.name for made in told(one, NOON_MS + 1 + HOUR_MS, "b")] == ["other"]


def test_keeping_never_makes_a_membership_shorter() -> None:
    one = Deciding(HEAD + WAVE.replace(" and not member('zhang')", "").replace('offer = "o"', "") + SECOND)
    for ends, later_ms, names in (
        ({}, 500 * HOUR_MS, ["second", "wave"]),
        ({"for_ms": 3 * HOUR_MS}, 2 * HOUR_MS, ["second", "wave"]),
        ({"for_ms": MINUTE_MS}, 59 * MINUTE_MS, ["second", "wave"]),
    ):
        start_ms = NOON_MS + one.position * 1000 * HOUR_MS
        one.take(start_ms, Row("list", WHO, start_ms, {"list": "zhang", "member": True, **ends}))
        told(one, start_ms, "call")
        made = told(one, start_ms + later_ms, "call")
        assert sorted(one.name for one in made) == names


def test_a_book_that_grows_past_a_word_keeps_who_is_on_what_and_until_when() -> None:
    names = [f"[lists.g{number}]\n" for number in range(60)]
    asks = rule("asks", "member('g59')") + rule("late", "member('new')")
    head = re.sub(r"\[lists\.(l\d+|zhang|rest)\]\n(excludes = .*\n)?", "", HEAD)
    one = Deciding(head + "".join(names) + rule("asks", "member('g59')"))
    one.take(NOON_MS, Row("list", WHO, NOON_MS, {"list": "g59", "member": True, "for_ms": HOUR_MS}))
    one.reload(
        head + "[lists.new]\n" + "".join(f"[lists.h{number}]\n" for number in range(70)) + "".join(names[::-1]) + asks
    )
    one.take(NOON_MS + 1, Row("list", WHO, NOON_MS, {"list": "new", "member": True, "until": NOON_MS + HOUR_MS}))
    one.take(NOON_MS + 1, Row("list", WHO, NOON_MS, {"list": "h69", "member": True}))

    assert sorted(made.name for made in one.event(NOON_MS + HOUR_MS - 1)) == ["asks", "late"]
    assert one.decider.list_ends(0, NOON_MS) == {"g59": NOON_MS + HOUR_MS, "new": NOON_MS + HOUR_MS}
    one.reload(head + "".join(names) + rule("asks", "member('g59')"))
    assert [made.name for made in one.event(NOON_MS + HOUR_MS - 1)] == ["asks"]
    assert one.event(NOON_MS + HOUR_MS) == []


def test_who_is_erased_stays_on_lists_that_exclude_until_they_end_and_leaves_audiences() -> None:
    one = Deciding(HEAD + rule("care", "true"))
    for name, told in (("zhang", {"for_ms": HOUR_MS}), ("rest", {"for_ms": HOUR_MS}), ("l5", {})):
        one.take(NOON_MS, Row("list", WHO, NOON_MS, {"list": name, "member": True, **told}))
    one.take(NOON_MS, Row("owner", WHO, NOON_MS, {"erased": True}))

    assert one.decider.list_ends(0, NOON_MS) == {"rest": NOON_MS + HOUR_MS}
    assert one.event(NOON_MS + HOUR_MS - 1) == []
    assert [made.name for made in one.event(NOON_MS + HOUR_MS)] == ["care"]


def test_thousands_of_lists_are_read_by_name_and_more_than_ten_thousand_are_a_fault() -> None:
    lists = [f"[lists.n{number}]\n" for number in range(3_000)]
    head = re.sub(r"\[lists\.(l\d+|zhang|rest)\]\n(excludes = .*\n)?", "", HEAD)
    one = Deciding(head + "".join(lists) + rule("asks", "member('n2999') and not member('n0')", 'exclude = ["n1500"]'))
    one.take(NOON_MS, Row("list", WHO, NOON_MS, {"list": "n2999", "member": True}))
    assert len(one.event(NOON_MS)) == 1
    one.take(NOON_MS, Row("list", WHO, NOON_MS, {"list": "n1500", "member": True, "for_ms": 5}))
    assert (len(one.event(NOON_MS + 4)), len(one.event(NOON_MS + 5))) == (0, 1)

    with pytest.raises(BookErrors, match="members of lists=10001 must be <= 10000"):
        load_text({"book.toml": head + "".join(f"[lists.n{number}]\n" for number in range(10_000))})

"""What a book becomes: everything in its place, by its defaults, or a fault and never a fall."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from rules.diagnostics import BookErrors
from rules.load import load_book, load_text
from rules.model import Cap, Window
from state.hashing import stable_id
from state.schema import OWNER, PROFILE, VISIT, Kind
from tests.rules.loading import BASE, RULE, book

TEST = """
[[test]]
name = "t"
events = [{{ at = 2008-11-04T09:00:00+08:00, call = {{ {call} }} }}]
"""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def test_a_rule_is_read_with_every_default() -> None:
    rule = load_text({"_base.toml": BASE}).by_id["base-rule"]

    assert (rule.stable_id, rule.campaign, rule.campaign_id) == (stable_id("base-rule"), "care", stable_id("care"))
    assert (rule.on, rule.channels, rule.channel_ids) == (OWNER + 1, ("desk",), (stable_id("desk"),))
    assert (rule.offer, rule.priority, rule.caps, rule.exclude, rule.holdout_ppm) == (None, 50, (), ("optout",), 0)
    assert (rule.max_age_ms, rule.shelf_life_ms, rule.klass, rule.enabled) == (HOUR_MS, DAY_MS, "commercial", True)
    assert (rule.reason.text, dict(rule.texts), rule.file, rule.line) == ("base-rule", {}, "_base.toml", 37)
    assert [(fact.name, fact.source, fact.index) for fact in rule.facts] == [("long_calls", "feature", 4)]


def test_a_rule_says_everything_it_can() -> None:
    made = book("""
campaign = "spring"
[campaigns.autumn]
cap = ["2 per month"]
holdout = "2.5%"
[lists.staff]
excludes = "all"
[channels.counter]
kind = "desk"
class = "service"
per_event_max = 2
[offers.mms]
title = "彩信"
requires = ["12593"]
unless_holds = ["mms"]
[[rule]]
id = "full"
on = "data"
when = "bytes > 3 and cell in areas.airport"
channels = ["counter", "sms"]
offer = "mms"
campaign = "autumn"
priority = 900
cap = ["1 per 30d", "2 per day"]
max_age = "10m"
shelf_life = "2h"
exclude = ["complainers"]
holdout = "0.0001%"
reason = "{name}: {bytes}"
text.sms = "{offer.title} {age} {at:%H:%M}"
enabled = false
""")
    rule = made.by_id["full"]

    assert (rule.campaign, rule.priority, rule.klass, rule.enabled) == ("autumn", 900, "service", False)
    assert rule.caps == (
        Cap("rule", rule.stable_id, 1, "rolling", 30 * DAY_MS),
        Cap("rule", rule.stable_id, 2, "day", 0),
    )
    assert made.caps_of(rule, "counter")[2:] == (Cap("campaign", stable_id("autumn"), 2, "month", 0),)
    assert (rule.max_age_ms, rule.shelf_life_ms, rule.holdout_ppm) == (600_000, 2 * HOUR_MS, 1)
    assert rule.exclude == ("complainers", "staff")
    assert [fact.name for fact in rule.facts] == ["bytes", "cell", "name", "age", "at"]
    assert made.campaigns["autumn"].holdout_ppm == 25_000
    assert made.channels["counter"].per_event_max == 2
    assert made.offers["mms"].requires == ("12593",)
    values: dict[str, int | str] = {"offer.title": "彩信", "at": 1225760400000}
    assert rule.texts["sms"].render(values, ZoneInfo("Asia/Shanghai")) == "彩信  09:00"


def test_attributes_come_first_then_lists_then_features_in_the_order_of_files() -> None:
    made = load_text(
        {
            "b.toml": "[features.b]\ncount = 'call'\n[features.a]\nsince = 'call'\n",
            "a.toml": BASE,
            "c.toml": "[features.c]\nsum = 'call.cost'\nover = '30d'\npanes = 30\n",
        }
    )

    assert [feature.name for feature in made.features] == [
        "name",
        "age",
        "services",
        "lists",
        "long_calls",
        "b",
        "a",
        "c",
    ]
    assert made.attributes == ("name", "age", "services")
    assert [made.feature_index(feature.name) for feature in made.features] == list(range(8))
    assert made.features[2].members == ("12593", "mms")
    assert (made.features[0].kind, made.features[0].source_type, made.features[0].source_slot) == ("last", PROFILE, 0)
    assert (made.features[3].kind, made.features[3].members) == ("lists", ("complainers", "optout"))
    assert made.features[7].window == Window("rolling", 30 * DAY_MS, 30)
    assert made.features[7].value_kind is Kind.FLOAT
    with pytest.raises(KeyError):
        made.feature_index("nothing")


def test_rules_stand_by_priority_then_by_id() -> None:
    made = book(
        "".join(
            RULE.format(id=name, when="true") + f"priority = {at}\n" for name, at in [("z", 50), ("a", 50), ("m", 60)]
        )
    )

    assert [rule.id for rule in made.rules] == ["m", "a", "base-rule", "z"]


def test_names_are_found_by_their_numbers() -> None:
    made = load_text({"_base.toml": BASE})

    assert made.rule(stable_id("base-rule")) is made.by_id["base-rule"]
    assert made.channel_name(stable_id("sms")) == "sms"
    assert (made.rule(1), made.channel_name(1)) == (None, None)


def test_a_visit_may_bring_three_cards_and_any_event_what_the_book_says() -> None:
    made = book("[events.visit]\n[events.letter]\ndecisions_max = 5\n")
    wide = load_text({"a.toml": "[book]\ndecisions_per_event = 2\n[events.visit]\ndecisions_max = 1\n[events.x]\n"})

    assert made.decisions_max[VISIT] == 3
    assert made.decisions_max[made.schema.code("letter")] == 5
    assert made.decisions_max[made.schema.code("call")] == 1
    assert (wide.decisions_max[VISIT], wide.decisions_max[-1]) == (1, 2)


def test_a_file_without_a_campaign_is_its_own() -> None:
    made = load_text({"_base.toml": BASE, "spring.toml": RULE.format(id="a", when="true")})

    assert made.by_id["a"].campaign == "spring"
    assert made.campaigns["spring"].caps == ()


def test_a_test_is_read_with_times_kinds_and_gates() -> None:
    made = book("""
[[test]]
name = "twice"
subscriber = 8613900000000
given = { age = 40, services = ["mms"], lists = ["complainers"] }
events = [
  { at = 2026-01-05T08:00:00, call = { kind = "local", cost = 1, ended = 2026-01-05T08:00:30Z } },
  { at = "+90s", profile = { name = "李" }, subscriber = 7 },
]
expect = [{ at = 2026-01-05T00:00:00Z, rule = "base-rule", gate = "cap" }]
""")
    (scenario,) = made.tests
    first, second = scenario.events

    assert (scenario.name, scenario.file, scenario.line) == ("twice", "more.toml", 2)
    assert dict(scenario.given) == {"age": 40, "services": ("mms",), "lists": ("complainers",)}
    assert dict(first.fields) == {"kind": "local", "cost": 1.0, "ended": 1767600030000}
    assert (first.at_ms, first.subscriber, first.type) == (1767571200000, 8613900000000, made.schema.code("call"))
    assert (second.at_ms - first.at_ms, second.subscriber, second.type) == (90_000, 7, PROFILE)
    assert [(one.at_ms, one.gate, one.channel, one.subscriber) for one in scenario.expect] == [
        (1767571200000, "cap", None, 8613900000000)
    ]


@pytest.mark.parametrize(
    ("declared", "excludes"),
    [("", "commercial"), ("[lists.optout]", "commercial"), ("[lists.optout]\nexcludes = 'all'", "all")],
)
def test_the_list_of_opt_outs_is_in_every_book_and_excludes_at_least_commercial_rules(
    declared: str, excludes: str
) -> None:
    rules = "".join(
        RULE.format(id=klass, when="cost > 1") + f"class = '{klass}'\n" for klass in ("commercial", "service")
    )
    made = book(f"{declared}\n{rules}")
    assert made.lists["optout"].excludes == excludes
    assert "optout" in made.by_id["commercial"].exclude
    assert ("optout" in made.by_id["service"].exclude) == (excludes == "all")


def test_the_opt_out_of_a_service_excludes_its_commercial_rules_only() -> None:
    lists = "".join(f"[lists.'optout.{name}']\n" for name in ("12593", "care", "desk", "nothing"))
    rules = [
        RULE.format(id="of-offer", when="cost > 1") + "offer = '12593'\ncampaign = 'other'\n",
        RULE.format(id="plain", when="cost > 1") + "campaign = 'care'\n",
        RULE.format(id="notice", when="cost > 1") + "class = 'service'\noffer = '12593'\ncampaign = 'care'\n",
    ]
    made = book("".join([lists, "[campaigns.other]\n", *rules]))
    services = {rule.id: {name for name in rule.exclude if name.startswith("optout.")} for rule in made.rules}
    assert services["of-offer"] == {"optout.12593", "optout.desk"}
    assert services["plain"] == {"optout.care", "optout.desk"}
    assert services["notice"] == set()


def test_a_list_that_excludes_all_does_not_silence_alerts() -> None:
    alert = RULE.replace('"desk"', '"alert"')
    made = book(
        "[channels.alert]\n[lists.black]\nexcludes = 'all'\n"
        + alert.format(id="fraud", when="cost > 1")
        + alert.format(id="asked", when="cost > 1")
        + "exclude = ['black']\n"
        + RULE.format(id="offer", when="cost > 1")
    )
    assert [rule.exclude for rule in (made.by_id["fraud"], made.by_id["asked"])] == [(), ("black",)]
    assert "black" in made.by_id["offer"].exclude


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + BASE.encode())

    assert load_book(tmp_path).version == load_text({"a.toml": BASE}).version
    assert load_text({"a.toml": "\ufeff" + BASE}).version == load_text({"a.toml": BASE}).version


def test_the_shipped_book_is_sound() -> None:
    made = load_book(Path(__file__).parents[2] / "rules" / "book")

    assert made.rules
    assert made.tests


BROKEN = {
    "a set made by default()": (RULE.format(id="r", when="'12593' in default(services, services)"), "R301"),
    "an attribute that is an array": ('[attributes]\nplan = ["a"]', "R301"),
    "a campaign that is an array": ('campaign = ["a"]', "R107"),
    "a rule that is a number": ("rule = 5", "R104"),
    "rules that are numbers": ("rule = [5]", "R104"),
    "a number beyond 64 bits": (TEST.format(call="seconds = 99999999999999999999"), "R106"),
    "a time before all calendars": (TEST.format(call="").replace("2008-11-04T09", "0001-01-01T00"), "R106"),
    "a member that is an array": (TEST.format(call="") + 'given = { services = [["12593"]] }', "R210"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_toml_allows_and_a_book_does_not_is_a_fault_and_never_a_fall(what: str) -> None:
    text, code = BROKEN[what]

    with pytest.raises(BookErrors) as caught:
        book(text)

    assert code in [fault.code for fault in caught.value.diagnostics]


def test_a_text_that_spans_a_rule_and_a_table_is_one_text() -> None:
    rule = RULE.format(id="quoted", when="true").replace('"', "'")
    made = book(f'[offers.quoting]\nscript = """{rule}\n[areas.quoted]\ncells = ["c"]\n"""')

    assert "quoted" in made.offers["quoting"].script
    assert "quoted" not in made.by_id

"""What a good book becomes, what stays the same from book to book, and what a reload costs."""

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import compile as compiling
from rules.diagnostics import BookErrors
from rules.features import renewed
from rules.lineage import LOCK_FILE
from rules.load import load_book, load_text
from rules.model import Book, Cap, Window
from state.hashing import stable_id
from state.schema import OWNER, PROFILE, VISIT, Kind

BASE = (Path(__file__).parents[1] / "diagnostics" / "_base.toml").read_text()
RULE = """
[[rule]]
id = "{id}"
on = "call"
when = "{when}"
channels = ["desk"]
"""
TEST = """
[[test]]
name = "t"
events = [{{ at = 2008-11-04T09:00:00+08:00, call = {{ {call} }} }}]
"""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def book(text: str, before: Book | None = None) -> Book:
    return load_text({"_base.toml": BASE, "more.toml": text}, before)


def fresh(sources: dict[str, str]) -> Book:
    """The book as a new process would read it."""
    compiling._generations[:] = [{}, {}]
    return load_text(sources)


def parts(made: Book) -> dict[str, object]:
    """Everything that decides, comparable."""
    return {name: value for name, value in vars(made).items() if name not in ("transitions", "_feature_indexes")}


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


def test_the_version_names_the_content_and_the_same_content_is_the_same_book() -> None:
    one, other = book("# a"), book("# b")

    assert len(one.version) == 16
    assert one.version == book("# a").version != other.version
    assert book("# a", one) is one


def test_a_book_is_rebuilt_from_its_own_sources() -> None:
    first = book('[attributes]\ncolours = { set = ["红", "\\"x\\\\"] }\n')
    second = book('[attributes]\ncolours = { set = ["new", "\\"x\\\\"] }\n', first)

    rebuilt = load_text(second.sources)

    assert parts(rebuilt) == parts(second)
    assert second.features[second.feature_index("colours")].members == ("红", '"x\\', "new")


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


def test_a_member_keeps_its_bit_while_others_come_and_go() -> None:
    first = book("")
    base = BASE.replace('["12593", "mms"]', '["gprs", "mms"]').replace(
        "[lists.complainers]", "[lists.staff]\n[lists.complainers]"
    )

    second = load_text({"_base.toml": base}, first)
    third = load_text({"_base.toml": BASE}, second)

    assert [made.features[2].members for made in (first, second, third)] == [
        ("12593", "mms"),
        ("12593", "mms", "gprs"),
        ("12593", "mms", "gprs"),
    ]
    assert [second.lists[name].index for name in ("complainers", "optout", "staff")] == [0, 1, 2]
    assert first.features[2].fingerprint == second.features[2].fingerprint
    with pytest.raises(BookErrors, match=r"R210.*12593"):
        load_text({"_base.toml": base, "b.toml": RULE.format(id="a", when="holds('12593')")}, first)


FEATURE = "[features.f]\nsum = 'call.cost'\nwhere = \"kind == 'local' and age > 30\"\nover = '30d'\n"


def fingerprint(text: str, base: str = BASE, name: str = "f") -> str:
    made = load_text({"a.toml": base, "b.toml": text})
    return made.features[made.feature_index(name)].fingerprint


@pytest.mark.parametrize(
    ("text", "base", "name"),
    [
        (FEATURE.replace("features.f", "features.g"), BASE, "g"),
        (FEATURE.replace("kind == 'local' and age > 30", "(kind=='local')  and (age>30)"), BASE, "f"),
        (FEATURE.replace("'30d'", "'720h'"), BASE, "f"),
        ("[events.early]\n[features.e]\ncount = 'early'\n" + FEATURE, BASE, "f"),
        (FEATURE, BASE.replace('kind = "string!", ', "").replace("cost =", 'kind = "string", cost ='), "f"),
        (FEATURE, BASE.replace('name = "string"\n', ""), "f"),
    ],
    ids=["name", "spacing", "unit", "other types and features", "slots", "attributes"],
)
def test_a_history_is_kept_when_its_meaning_is_the_same(text: str, base: str, name: str) -> None:
    assert fingerprint(text, base, name) == fingerprint(FEATURE)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (FEATURE.replace("sum", "max"), BASE),
        (FEATURE.replace("call.cost", "call.seconds"), BASE),
        (FEATURE.replace("> 30", "> 31"), BASE),
        (FEATURE.replace("30d", "31d"), BASE),
        (FEATURE + "panes = 6\n", BASE),
        (FEATURE, BASE.replace("Asia/Shanghai", "Europe/Berlin")),
        (FEATURE, BASE.replace('cost = "float"', 'cost = "int"')),
    ],
    ids=["kind", "field", "predicate", "window", "panes", "zone", "kind of value"],
)
def test_a_history_is_dropped_when_its_meaning_changes(text: str, base: str) -> None:
    assert fingerprint(text, base) != fingerprint(FEATURE)


def meaning(where: str) -> str:
    made = load_text({"a.toml": BASE, "b.toml": f'[features.f]\ncount = "call"\nwhere = """{where}"""\n'})
    return made.features[made.feature_index("f")].meaning


@pytest.mark.parametrize(
    "where",
    [
        "age > 30 and kind == 'local'",
        "30 < age and 'local' == kind",
        "kind in ['local'] and (age > 30)",
        "not (age <= 30) and kind == 'local'",
    ],
)
def test_swapped_operands_keep_the_meaning_of_a_history(where: str) -> None:
    assert meaning(where) == meaning("kind == 'local' and age > 30")


@pytest.mark.parametrize("where", ["age < 30 and kind == 'local'", "30 > age and kind == 'local'", "age - 30 > 0"])
def test_what_only_looks_like_a_swap_changes_the_meaning(where: str) -> None:
    assert meaning(where) != meaning("kind == 'local' and age > 30")


def test_a_learning_period_is_no_part_of_a_history() -> None:
    plain, learning = load_text({"a.toml": BASE, "b.toml": FEATURE}), fingerprint(FEATURE + "since = '7d'\n")

    assert plain.features[plain.feature_index("f")].fingerprint == learning


def test_a_learning_period_is_a_duration_or_a_day_of_the_operators_zone() -> None:
    text = "[features.a]\ncount = 'call'\nsince = '7d'\n[features.b]\nsum = 'call.cost'\nsince = 2026-03-01\n"
    text += "[features.c]\nmax = 'call.cost'\nsince = '2026-03-01'\n[features.d]\nsince = 'call'\n"
    made = load_text({"a.toml": BASE, "b.toml": text}).features[-4:]

    march_ms = 1_772_294_400_000  # midnight in Shanghai
    assert [(one.kind, one.learn_ms, one.known_from_ms) for one in made] == [
        ("count", 604_800_000, 0), ("sum", 0, march_ms), ("max", 0, march_ms), ("since", 0, 0),
    ]  # fmt: skip


def test_a_book_says_which_histories_start_anew_when_it_follows_another() -> None:
    before = load_text({"a.toml": BASE, "b.toml": FEATURE})
    same = load_text({"a.toml": BASE, "b.toml": FEATURE.replace("age > 30", "30 < age")}, before)
    other = load_text({"a.toml": BASE, "b.toml": FEATURE.replace("age > 30", "age > 31")}, before)

    assert renewed(before, same) == ()
    assert renewed(before, other) == ("f",)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + BASE.encode())

    assert load_book(tmp_path).version == load_text({"a.toml": BASE}).version
    assert load_text({"a.toml": "\ufeff" + BASE}).version == load_text({"a.toml": BASE}).version


def test_a_book_that_was_active_before_a_name_was_reserved_is_still_read() -> None:
    text = (
        BASE
        + "[events.reply]\nfields = { word = 'string' }\n[events.owner]\nfields = { erased = 'int' }\n[events.due]\n"
    )
    with pytest.raises(BookErrors, match="R211"):
        load_text({"a.toml": text})
    kept = {"a.toml": text, LOCK_FILE: load_text({"a.toml": BASE}).sources[LOCK_FILE]}

    schema = load_text(kept).schema
    assert {"reply", "due"} <= set(schema.codes)
    assert [schema.types[schema.code(name)].fields[0].name for name in ("reply", "owner")] == ["word", "erased"]


def test_a_book_from_before_may_have_an_attribute_with_the_name_of_a_later_field() -> None:
    text = BASE.replace("[attributes]", "[attributes]\nnumber = 'int'") + "[features.decision]\ncount = 'data'\n"
    with pytest.raises(BookErrors, match="`number` has the name of a field of `reply`"):
        load_text({"a.toml": text})
    kept = {"a.toml": text, LOCK_FILE: load_text({"a.toml": BASE}).sources[LOCK_FILE]}

    assert "number" in load_text(kept).attributes


def test_a_changed_area_changes_the_history_of_what_counts_in_it() -> None:
    text = "[features.f]\ncount = 'data'\nwhere = 'cell in areas.airport'\n"

    assert fingerprint(text) != fingerprint(text, BASE.replace("460-00-1-2", "460-00-1-3"))
    assert fingerprint(text) == fingerprint(text, BASE.replace("[areas.airport]", "[areas.airport]\ntitle = '机场'"))


def test_a_bad_book_leaves_what_was_read_before_untouched() -> None:
    good = book("")
    seen = parts(good)

    with pytest.raises(BookErrors):
        book("[[rule]]\n", good)

    assert parts(good) == seen
    assert parts(book("")) == seen


EDITS = st.lists(
    st.sampled_from(
        [
            ("rule", RULE.format(id="one", when="long_calls > 2")),
            ("rule", RULE.format(id="two", when="known(later)")),
            ("rule", RULE.format(id="two", when="later > 3")),
            ("rule", RULE.format(id="three", when="pages == 1").replace("call", "letter")),
            ("head", "[features.later]\ncount = 'data'\n"),
            ("head", "[features.later]\nsum = 'call.cost'\n"),
            ("head", "[features.earlier]\ncount = 'data'\nover = 'today'\n"),
            ("head", "[events.letter]\nfields = { pages = 'int' }\n"),
            ("head", "[events.letter]\nfields = { sheets = 'int', pages = 'int' }\n"),
            ("head", "[book]\nmax_age = '5m'\n"),
        ]
    ),
    max_size=5,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EDITS, min_size=2, max_size=5))
def test_a_reload_reads_what_a_new_process_would_read(books: list[list[tuple[str, str]]]) -> None:
    base = BASE.replace('[book]\nzone = "Asia/Shanghai"\n', "")
    for edits in books:
        text = "".join(text for _, text in sorted(edits))
        sources = {"a.toml": base, "b.toml": text}
        try:
            reloaded: object = parts(load_text(sources))
        except BookErrors as errors:
            reloaded = errors.diagnostics
        kept = [dict(generation) for generation in compiling._generations]
        try:
            expected: object = parts(fresh(sources))
        except BookErrors as errors:
            expected = errors.diagnostics
        compiling._generations[:] = kept

        assert reloaded == expected


def thousand(when: str = "kind == 'local' and long_calls == {n}", head: str = "") -> dict[str, str]:
    rule = RULE + 'cap = ["1 per 30d"]\noffer = "12593"\nreason = "第{n}次 {{name}}"\n'
    return {
        "_base.toml": BASE,
        "b.toml": head + "".join(rule.format(id=f"r{n}", when=when.format(n=n), n=n) for n in range(1_000)),
    }


def test_a_reload_of_a_thousand_rules_pays_for_what_changed() -> None:
    first = load_text(thousand())
    changed = thousand(head="[features.more]\ncount = 'data'\n")
    changed["b.toml"] = changed["b.toml"].replace("long_calls == 500", "long_calls == 501")

    began = time.process_time()
    second = load_text(changed, first)
    spent_ms = (time.process_time() - began) * 1_000

    again = [one.id for one, other in zip(first.rules, second.rules, strict=True) if one.when is not other.when]
    assert again == ["r500"]
    assert spent_ms < 150


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

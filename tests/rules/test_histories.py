"""Which histories a changed book keeps: a history goes by its meaning, and neither by its name nor by its spelling."""

import pytest

from rules.features import renewed
from rules.load import load_text
from tests.rules.loading import BASE

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


def test_a_changed_area_changes_the_history_of_what_counts_in_it() -> None:
    text = "[features.f]\ncount = 'data'\nwhere = 'cell in areas.airport'\n"

    assert fingerprint(text) != fingerprint(text, BASE.replace("460-00-1-2", "460-00-1-3"))
    assert fingerprint(text) == fingerprint(text, BASE.replace("[areas.airport]", "[areas.airport]\ntitle = '机场'"))

"""What stays the same from book to book, what a reload reads, and what it costs."""

import gc
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import compile as compiling
from rules.diagnostics import BookErrors
from rules.lineage import LOCK_FILE
from rules.load import load_text
from rules.model import Book
from tests.rules.loading import BASE, RULE, book


def fresh(sources: dict[str, str]) -> Book:
    """The book as a new process would read it."""
    compiling._generations[:] = [{}, {}]
    return load_text(sources)


def parts(made: Book) -> dict[str, object]:
    """Everything that decides, comparable."""
    return {name: value for name, value in vars(made).items() if name not in ("transitions", "_feature_indexes")}


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


@pytest.mark.parametrize(
    ("attribute", "feature", "event"), [("number", "decision", "reply"), ("until", "for_ms", "list")]
)
def test_a_book_from_before_may_have_an_attribute_with_the_name_of_a_later_field(
    attribute: str, feature: str, event: str
) -> None:
    declared = f"[attributes]\n{attribute} = 'int'"
    text = BASE.replace("[attributes]", declared) + f"[features.{feature}]\ncount = 'data'\n"
    with pytest.raises(BookErrors, match=f"`{attribute}` has the name of a field of `{event}`"):
        load_text({"a.toml": text})
    kept = {"a.toml": text, LOCK_FILE: load_text({"a.toml": BASE}).sources[LOCK_FILE]}

    assert attribute in load_text(kept).attributes


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


@pytest.fixture
def apart() -> Iterator[None]:
    """Leave the objects of other tests out of garbage collection: one round over all of theirs takes 200 ms."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("apart")
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

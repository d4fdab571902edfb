"""What the language accepts, and how every fault is named: code, line, column, a hint only when something is near."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.codes import Code
from rules.diagnostics import Diagnostic, PlainOrigin
from rules.expressions import Operand, Scope, canonical, operands, read
from rules.expressions.parse import DEPTH_MAX, LENGTH_MAX, NODES_MAX
from rules.expressions.tree import Literal, children, walk
from state.schema import Kind
from tests.rules.expressions.worlds import CONDITIONS, SCOPE, tree

WORDS = (
    *("seconds", "kind", "'a'", "3", "2.5", "(", ")", "[", "]", ",", ".", "and", "or", "not", "in", "==", "<"),
    *("+", "-", "*", "/", "//", "%", "areas", "holds"),
)


def faults_of(text: str, scope: Scope = SCOPE, want: Kind | None = Kind.BOOL) -> list[Diagnostic]:
    made = read(text, PlainOrigin("f", text), scope, want)
    assert isinstance(made, list), canonical(made)
    return made


@pytest.mark.parametrize(
    ("text", "code", "column", "width", "message", "hint"),
    [
        ("", Code.EXPRESSION_SYNTAX, 1, 1, "the expression is empty", ""),
        ("seconds = 3", Code.EXPRESSION_SYNTAX, 9, 1, "invalid syntax", "write `==` to compare"),
        ("kind == “a”", Code.EXPRESSION_SYNTAX, 9, 1, "`“` is a full-width sign", 'write `"`'),
        ("（seconds > 3", Code.EXPRESSION_SYNTAX, 1, 1, "`（` is a full-width sign", "write `(`"),
        ("seconds > 3 && roaming", Code.EXPRESSION_SYNTAX, 14, 1, "invalid syntax", "write `and`, `or`"),
        ("seconds > 3 # why", Code.EXPRESSION_SYNTAX, 13, 5, "a comment", ""),
        ("kind == '\\d'", Code.EXPRESSION_SYNTAX, 9, 4, "invalid escape sequence", ""),
        ("kind is None", Code.EXPRESSION_FORBIDDEN, 1, 12, "`is`", "known(x)"),
        ("lambda: 3", Code.EXPRESSION_FORBIDDEN, 1, 9, "`lambda`", ""),
        ("seconds ** 2 > 1", Code.EXPRESSION_FORBIDDEN, 1, 12, "`**`", "write the product out"),
        ("roaming & heavy", Code.EXPRESSION_FORBIDDEN, 1, 15, "`&`", "write `and`"),
        ("__import__('os').system('x')", Code.EXPRESSION_FORBIDDEN, 1, 23, "a call of anything but", ""),
        ("kind.upper().x == 'A'", Code.EXPRESSION_FORBIDDEN, 1, 14, "a dot after", ""),
        ("[x for x in kind]", Code.EXPRESSION_FORBIDDEN, 1, 17, "`ListComp`", ""),
        ("known(x=seconds)", Code.EXPRESSION_FORBIDDEN, 9, 7, "an argument with a name", ""),
        ("kind == None", Code.EXPRESSION_FORBIDDEN, 9, 4, "`None`", "known(x)"),
        ("secnds > 3", Code.UNKNOWN_NAME, 1, 6, "unknown name `secnds`", "did you mean `seconds`?"),
        ("长途 > 3 and knd == 'a'", Code.UNKNOWN_NAME, 1, 2, "unknown name `长途`", ""),
        ("hour > 3", Code.UNKNOWN_NAME, 1, 4, "`hour` is a function", "write `hour(...)`"),
        ("hold('ring')", Code.UNKNOWN_FUNCTION, 1, 4, "unknown function `hold`", "did you mean `holds`?"),
        ("seconds(3)", Code.UNKNOWN_FUNCTION, 1, 7, "`seconds` is a name, not a function", ""),
        ("holds('rink')", Code.UNKNOWN_MEMBER, 7, 6, "`rink` is not among", "did you mean `ring`?"),
        ("member('nobody')", Code.UNKNOWN_LIST, 8, 8, "`nobody` is not among", ""),
        ("cell in areas.smal", Code.UNKNOWN_AREA, 9, 10, "unknown area `smal`", "did you mean `small`?"),
        ("seconds", Code.NOT_A_CONDITION, 1, 7, "is a whole number, not a condition", "seconds == ..."),
        ("roaming and kind", Code.NOT_A_CONDITION, 13, 4, "is a text, not a condition", ""),
        ("seconds > 'a'", Code.TYPE_MISMATCH, 11, 3, "`>` cannot join `seconds`", ""),
        ("seconds > '10m'", Code.TYPE_MISMATCH, 11, 5, "`>` cannot join", "a duration can stand beside"),
        ("kind < 'b'", Code.TYPE_MISMATCH, 1, 4, "`<` needs numbers or times", ""),
        ("services == services", Code.TYPE_MISMATCH, 13, 8, "`==` cannot join", "ask for one member"),
        ("amount // 2 > 1", Code.TYPE_MISMATCH, 1, 11, "`//` takes whole numbers", "write `/`"),
        ("kind in 'abc'", Code.TYPE_MISMATCH, 9, 5, "`in` needs a list, an area or a set", ""),
        ("[1] == seconds", Code.TYPE_MISMATCH, 1, 3, "a list can only stand after `in`", ""),
        ("seconds in [1, calls]", Code.WRONG_ARGUMENTS, 16, 5, "constants only", ""),
        ("seconds in []", Code.WRONG_ARGUMENTS, 12, 2, "an empty list", "write `false`"),
        ("known()", Code.WRONG_ARGUMENTS, 1, 7, "known() got 0 arguments", "write `known(x)`"),
        ("since_call < 'soon'", Code.BAD_DURATION, 14, 6, '"soon" must be a duration', ""),
        ("begun > '2008-11-04'", Code.BAD_FORMAT, 9, 12, "a time with its offset", ""),
        ("seconds > 9223372036854775808", Code.BAD_NUMBER, 11, 19, "has no value", ""),
        ("seconds / 0 > 1", Code.BAD_NUMBER, 1, 11, "has no value: division by zero", ""),
        ("amount > 1e999", Code.BAD_NUMBER, 10, 5, "beyond the largest number", ""),
    ],
)
def test_a_fault_is_named_by_code_place_message_and_hint(
    text: str, code: Code, column: int, width: int, message: str, hint: str
) -> None:
    first = faults_of(text)[0]

    assert (first.code, first.place.line, first.place.column, first.place.width) == (code, 1, column, width)
    assert message in first.message
    assert hint in first.hint
    assert bool(hint) == bool(first.hint) or not hint


def test_all_faults_come_at_once_and_none_has_an_echo() -> None:
    found = faults_of("secnds + 1 > 2 and kind < 'a' and\n  not clls and (roaming or hold('x'))")

    assert [(fault.code, fault.place.line, fault.place.column) for fault in found] == [
        (Code.UNKNOWN_NAME, 1, 1),
        (Code.TYPE_MISMATCH, 1, 20),
        (Code.UNKNOWN_NAME, 2, 7),
        (Code.UNKNOWN_FUNCTION, 2, 28),
    ]


def test_a_name_that_exists_elsewhere_is_explained() -> None:
    scope = Scope(SCOPE.names, elsewhere={"megabytes": "a field of `data`; this rule is on `call`"})

    assert faults_of("megabytes > 3", scope)[0].label == "a field of `data`; this rule is on `call`"


def test_a_dotted_name_may_be_a_key_of_the_scope() -> None:
    scope = Scope({"call.seconds": Operand("call.seconds", "cell", 0, Kind.INT)})

    assert canonical(tree("call.seconds > 3", scope)) == "(call.seconds > 3)"


def test_hostile_sizes_are_refused_before_they_cost_anything() -> None:
    for text in (
        "-" * 7_000 + "1 > 0",
        "(" * 3_000 + ")" * 3_000,
        " and ".join(["roaming"] * (NODES_MAX // 2)),
        "not " * (DEPTH_MAX + 1) + "roaming",
        "x" * (LENGTH_MAX + 1),
        "seconds in [" + ",".join(["1"] * NODES_MAX) + "]",
    ):
        assert faults_of(text)[0].code in {Code.EXPRESSION_TOO_LARGE, Code.EXPRESSION_SYNTAX}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    made = read(text, PlainOrigin("f", text), SCOPE, None)

    if isinstance(made, list):
        assert made
        assert all(fault.place.line >= 1 and fault.place.column >= 1 for fault in made)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(WORDS),
        max_size=14,
    )
)
def test_no_mix_of_the_languages_words_makes_the_reader_raise(words: list[str]) -> None:
    text = " ".join(words)

    assert read(text, PlainOrigin("f", text), SCOPE, None)


@settings(max_examples=200, deadline=None)
@given(CONDITIONS)
def test_canonical_text_reads_back_as_the_same_tree(text: str) -> None:
    """Where the text needs no word that the language lacks: constant times, an empty set's default, promotions."""
    made = read(text, PlainOrigin("f", text), SCOPE)
    if isinstance(made, list):
        return
    spelt = canonical(made)
    if not any(word in spelt for word in ("time(", ", [])", "float(")):
        again = read(spelt, PlainOrigin("f", spelt), SCOPE)
        assert again == made


def test_canonical_text_forgets_how_it_was_written() -> None:
    for one, other in (
        ("kind=='a'  and (seconds > 3)", '\n ((kind == "a")) and\n seconds > +3'),
        ("kind in ('b', 'a', 'a')", "kind in ['a', 'b']"),
        ("in_area(cell, 'small')", "cell in ['长途', 'a']"),
        ("since_call < '10m'", "since_call < 10 * 60 * 1000"),
        ("holds('ring')", "'ring' in services"),
        ("1 < seconds < 9", "1 < seconds and seconds < 9"),
        ("not not roaming", "True and roaming"),
        ("seconds > 1 and true", "seconds > 1 or false"),
        ("hour() > 3", "hour(at) > 3"),
        ("amount > 3", "amount > 3.0"),
        ("kind in ['a']", "kind == 'a'"),
    ):
        assert canonical(tree(one)) == canonical(tree(other))


def test_canonical_text_tells_different_questions_apart() -> None:
    texts = ["seconds > 1", "seconds >= 1", "calls > 1", "not (seconds > 1)", "kind == 'a'", "kind == 'b'", "true"]

    assert len({canonical(tree(text)) for text in texts}) == len(texts)


def test_operands_are_what_the_expression_reads_each_once_in_reading_order() -> None:
    made = tree("calls > 1 and kind == 'a' and (calls < seconds or holds('ring')) and hour() > 3")

    assert [operand.name for operand in operands(made)] == ["calls", "kind", "seconds", "services", "at"]


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.integers(0, 99).map(str),
        lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/"]), inner).map(
            lambda made: f"({made[0]} {made[1]} {made[2]})"
        ),
        max_leaves=6,
    )
)
def test_constants_are_worked_out_as_python_would(text: str) -> None:
    made = read(text, PlainOrigin("f", text), SCOPE, None)
    try:
        value = eval(compile(ast.parse(text, mode="eval"), "f", "eval"))
    except ZeroDivisionError:
        assert isinstance(made, list)
        assert made[0].code in {Code.BAD_NUMBER, Code.TYPE_MISMATCH}
        return
    if isinstance(made, list):  # whole-number division by or of a quotient
        assert made[0].code is Code.TYPE_MISMATCH
    else:
        assert made == Literal(Kind.FLOAT if isinstance(value, float) else Kind.INT, value)


@settings(max_examples=100, deadline=None)
@given(CONDITIONS)
def test_no_tree_holds_an_operation_on_constants_alone(text: str) -> None:
    made = read(text, PlainOrigin("f", text), SCOPE)
    if isinstance(made, list):
        return
    for node in walk(made):
        below = children(node)
        assert not below or not all(isinstance(child, Literal) for child in below)


@pytest.mark.parametrize(
    ("text", "want", "fits"),
    [
        ("seconds + 1", Kind.INT, True),
        ("seconds / 2", Kind.FLOAT, True),
        ("seconds", Kind.FLOAT, False),
        ("kind", None, True),
    ],
)
def test_an_expression_may_be_asked_for_any_kind(text: str, want: Kind | None, fits: bool) -> None:
    made = read(text, PlainOrigin("f", text), SCOPE, want)

    assert isinstance(made, list) is not fits

"""Made-up expressions and rows for both evaluators: every kind of name, unknowns, edges of every number."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rules.diagnostics import PlainOrigin
from rules.expressions import Operand, Scope, read
from rules.expressions.interpret import Row, evaluate
from rules.expressions.lookups import Column
from rules.expressions.tree import Expr
from state.batch import Batch
from state.hashing import hash_text
from state.schema import Kind, make_schema
from state.texts import hashed_texts
from tests.rules.expressions.grammar import closed_over, local_times

TYPES = 7
SERVICES = ("12593", "ring", "news")
LISTS = ("vip", "silent")
TEXTS = ("a", "b", "c", "长途", "", "d", "e", "f", "g", "Ab长途Z@[`{c", "0061", "-12.50", "é" * 30, "ABCDEFGHIJ" * 4)
GRADES = {text: at for at, text in enumerate(TEXTS) if at % 3}
COLUMNS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "grade": (Kind.INT, GRADES),
    "fee": (Kind.FLOAT, {text: at / 4 for text, at in GRADES.items()}),
    "word": (Kind.STRING, {text: TEXTS[at - 1] for text, at in GRADES.items()}),
    "good": (Kind.BOOL, {text: at % 2 == 0 for text, at in GRADES.items()}),
}
TABLES = {
    "names": {
        name: Column("names", name, kind, Kind.STRING, "1", TEXTS, values) for name, (kind, values) in COLUMNS.items()
    },
    "numbers": {
        "word": Column("numbers", "word", Kind.STRING, Kind.INT, "1", (0, 1, -1, 7), {0: "a", 1: "b", 7: ""}),
        "twice": Column("numbers", "twice", Kind.INT, Kind.INT, "1", (0, 1, -1, 7), {0: 0, 1: 2, -1: -2}),
    },
}
"""Of every third text, and of every number without a value, a table says nothing."""
AREAS = {"small": ("a", "长途"), "large": tuple(TEXTS[:10])}
TRANSITIONS = np.array([[-(1 << 62), 28_800_000], [1_000_000_000_000, 32_400_000], [1_200_000_000_000, -3_600_000]])

CELLS = {
    "kind": Kind.STRING,
    "seconds": Kind.INT,
    "amount": Kind.FLOAT,
    "roaming": Kind.BOOL,
    "begun": Kind.TIME,
    "cell": Kind.STRING,
}
FEATURES = {
    "calls": Kind.INT,
    "spent": Kind.FLOAT,
    "last_kind": Kind.STRING,
    "heavy": Kind.BOOL,
    "joined": Kind.TIME,
    "services": Kind.SET,
    "lists": Kind.SET,
    "since_call": Kind.INT,
}
MEMBERS = {"services": SERVICES, "lists": LISTS}
SCOPE = Scope(
    {
        **{name: Operand(name, "cell", at, kind) for at, (name, kind) in enumerate(CELLS.items())},
        **{
            name: Operand(name, "feature", at, kind, MEMBERS.get(name, ()), duration=name == "since_call")
            for at, (name, kind) in enumerate(FEATURES.items())
        },
    },
    AREAS,
    tables=TABLES,
)
POOL = {
    Kind.INT: (0, 1, -1, 2, 3, 7, 600_000, -(1 << 63), (1 << 63) - 1, (1 << 53) + 1, 1 << 32, 5, 60),
    Kind.FLOAT: (0.0, -0.0, 1.5, -2.5, 1e308, -1e308, 5e-324, float("inf"), float("nan"), 3.0, 7.0, 0.1),
    Kind.BOOL: (False, True),
    Kind.STRING: TEXTS,
    Kind.TIME: (0, 1_199_999_999_999, 1_200_000_000_000, -5, 1 << 62, -(1 << 63), (1 << 63) - 1, 1_225_760_400_000),
}


def tree(text: str, scope: Scope = SCOPE, want: Kind | None = Kind.BOOL) -> Expr:
    """The tree of a text that must be right."""
    made = read(text, PlainOrigin("expression", text), scope, want)
    assert not isinstance(made, list), "\n".join(map(str, made))
    return made


def local(ms: int) -> int:
    """The clock on the wall by the table of TRANSITIONS, in plain Python."""
    row = max(bisect_right(TRANSITIONS[:, 0].tolist(), ms) - 1, 0)
    return ms + int(TRANSITIONS[row, 1])


@dataclass
class World:
    """Rows as columns for the kernel and as plain values for the interpreter."""

    batch: Batch
    outs: np.ndarray
    known: np.ndarray
    rows: list[Row]
    logged_ms: int


def world(seed: int, n: int, types: int = TYPES, unknown: float = 0.25) -> World:
    """`n` rows of values from POOL, a share of them unknown."""
    rng = np.random.default_rng(seed)
    batch = Batch(
        make_schema((), ()),
        np.arange(1, n + 1),
        np.zeros(n, np.int64),
        rng.integers(0, types, n).astype(np.uint8),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        rng.integers(-9, 9, (len(CELLS), n)),
        hashed_texts(text.encode() for text in TEXTS),
    )
    outs = rng.integers(-9, 9, (len(FEATURES), n + 3))
    known = np.zeros((len(FEATURES), n + 3), np.uint8)
    values: list[dict[str, Any]] = [{} for _ in range(n)]
    for names, target in ((CELLS, batch.cells), (FEATURES, outs)):
        for at, (name, kind) in enumerate(names.items()):
            there = rng.random(n) >= unknown
            for row in np.flatnonzero(there):
                value = pick(rng, kind, name)
                target[at, row] = as_cell(value, kind, name)
                values[row][name] = value
            if names is CELLS:
                batch.present |= there.astype(np.int64) << at
            else:
                known[at, :n] = there
    batch.at_ms[:] = rng.choice(POOL[Kind.TIME], n)
    logged = int(rng.integers(0, 2_000_000_000_000))
    rows = [Row(values[row], int(batch.at_ms[row]), logged) for row in range(n)]
    return World(batch, outs, known, rows, logged)


def pick(rng: np.random.Generator, kind: Kind, name: str) -> Any:
    """A value as the interpreter sees it."""
    if kind is Kind.SET:
        return {member for member in MEMBERS[name] if rng.random() < 0.5}
    pool = POOL[kind]
    return pool[int(rng.integers(0, len(pool)))]


def as_cell(value: Any, kind: Kind, name: str = "") -> int:
    """The same value as 64 bits."""
    if kind is Kind.SET:
        return sum(1 << bit for bit, member in enumerate(MEMBERS[name]) if member in value)
    if kind is Kind.STRING:
        return hash_text(value.encode())
    if kind is Kind.FLOAT:
        return int(np.float64(value).view(np.int64))
    return int(value)


def expected(trees: Sequence[tuple[int, Expr]], made: World) -> list[tuple[int, int]]:
    """Hits in log order as the interpreter finds them."""
    return [
        (row, number)
        for row in range(made.batch.n)
        for number, (on, expr) in enumerate(trees)
        if made.batch.type[row] == on and evaluate(expr, made.rows[row], local) is True
    ]


# Texts of expressions, by kind

_quoted = st.sampled_from(TEXTS).map(repr)
_ints = st.sampled_from([0, 1, 2, 3, 7, 60, (1 << 63) - 1, 1 << 53]).map(str)
_floats = st.sampled_from(["0.0", "1.5", "2.5", "1e308", "5e-324", "3.0"])


def _joined(sign: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda made: "(" + f" {sign} ".join(made) + ")")


def _called(name: str | st.SearchStrategy[str], *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = name if isinstance(name, st.SearchStrategy) else st.just(name)
    return st.tuples(names, *parts).map(lambda made: f"{made[0]}({', '.join(made[1:])})")


def _numbers(
    kind: Kind, leaves: st.SearchStrategy[str], other: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[str]:
    """Arithmetic of a kind over leaves; `other` joins by promotion."""

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        right = inner if other is None else st.one_of(inner, other)
        signs = ("+", "-", "*") if other is not None else ("+", "-", "*", "//", "%")
        return st.one_of(
            *(_joined(sign, inner, right) for sign in signs),
            inner.map(lambda made: f"(-{made})"),
            *(_called(name, *[inner] * (count - 1), right) for name, count in closed_over(kind)),
            _called("default", inner, inner),
        )

    return st.recursive(leaves, deeper, max_leaves=4)


_names = st.sampled_from(["kind", "cell", "last_kind"])
_chains = st.recursive(
    _names,
    lambda inner: st.one_of(
        _called(st.sampled_from(["left", "right"]), inner, st.sampled_from(["0", "1", "2", "30"])),
        _called("mid", inner, st.sampled_from(["1", "3", "40"]), st.sampled_from(["0", "2", "99"])),
        _called("lower", inner),
    ),
    max_leaves=3,
)
"""A field or a feature, and functions of texts one in another."""
_needles = st.sampled_from(["", "a", "Ab", "ab", "长", "途", "é", "bcdefghij", "50", "c"]).map(repr)
_truths = st.sampled_from(["roaming", "heavy", "seconds > 1", "calls == 3", "starts_with(cell, 'a')", "kind == 'a'"])
_edges = st.lists(st.sampled_from([0, 1, 2, 3, 7, 60]), min_size=1, max_size=5, unique=True).map(
    lambda made: ", ".join(map(str, sorted(made)))
)

INTS = _numbers(
    Kind.INT,
    st.one_of(
        _ints,
        _called("length", _chains),
        st.builds("lookup('names', 'grade', {})".format, _chains),
        st.builds("lookup('numbers', 'twice', {}, {})".format, st.sampled_from(["seconds", "calls % 3"]), _ints),
        st.builds("band({}, {})".format, st.sampled_from(["seconds", "amount", "calls - 2"]), _edges),
        st.builds("choose({}, calls, {})".format, _truths, st.sampled_from(["7", "seconds"])),
        st.builds("choose({}, 1, {}, calls, seconds)".format, _truths, _truths),
        st.sampled_from(["seconds", "calls", "since_call", "(begun - at)", "(joined - begun)"]),
        _called(st.sampled_from(local_times()), st.sampled_from(["", "begun", "joined", "logged"])),
    ),
)
_ratio = _joined("/", INTS, INTS)
FLOATS = _numbers(
    Kind.FLOAT,
    st.one_of(
        _floats,
        st.sampled_from(["amount", "spent"]),
        _ratio,
        _called("number", _chains),
        st.builds("choose({}, 1.5, seconds)".format, _truths),
        st.builds("lookup('names', 'fee', {}, 0)".format, _chains),
    ),
    INTS,
)
TIMES = st.one_of(
    st.sampled_from(["at", "logged", "begun", "joined", "(begun + '10m')", "(joined - 7)", "max(at, begun)"]),
    _joined("+", st.just("begun"), INTS),
)
STRINGS = st.one_of(
    st.sampled_from(["kind", "cell", "last_kind", "default(kind, 'a')", "default(cell, last_kind)"]),
    _chains,
    st.builds("choose({}, {}, {})".format, _truths, _chains, _quoted),
    st.builds("lookup('names', 'word', {})".format, _chains),
    st.builds("lookup('numbers', 'word', {}, {})".format, st.sampled_from(["seconds", "calls"]), _quoted),
)
_ORDER = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_SAME = st.sampled_from(["==", "!="])


def _listed(
    part: st.SearchStrategy[str], sign: str, values: st.SearchStrategy[str], most: int
) -> st.SearchStrategy[str]:
    return st.tuples(part, st.lists(values, min_size=1, max_size=most)).map(
        lambda made: f"({made[0]} {sign} [{','.join(made[1])}])"
    )


def _compared(
    left: st.SearchStrategy[str], sign: st.SearchStrategy[str], right: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    return st.tuples(left, sign, right).map(lambda made: f"({made[0]} {made[1]} {made[2]})")


_ATOMS = st.one_of(
    _compared(INTS, _ORDER, INTS),
    _compared(st.sampled_from(["seconds", "calls"]), _ORDER, _ints),
    _compared(_ints, _ORDER, st.sampled_from(["seconds", "calls"])),
    _compared(FLOATS, _ORDER, st.one_of(FLOATS, INTS)),
    _compared(st.sampled_from(["amount", "spent"]), _ORDER, _floats),
    _compared(TIMES, _ORDER, TIMES),
    _compared(STRINGS, _SAME, st.one_of(STRINGS, _quoted)),
    _listed(STRINGS, "in", _quoted, 12),
    _listed(INTS, "not in", _ints, 12),
    _listed(FLOATS, "in", _floats, 3),
    st.sampled_from(["cell in areas.small", "in_area(kind, 'large')", "kind not in areas.large"]),
    st.sampled_from(["roaming", "heavy", "roaming == heavy", "heavy != true", "since_call < '10m'", "true", "false"]),
    _called(st.sampled_from(["starts_with", "ends_with", "contains"]), _chains, _needles),
    st.builds("lookup('names', 'good', {})".format, _chains),
    st.builds("choose({}, {}, heavy)".format, _truths, _truths),
    st.sampled_from(SERVICES).map(lambda name: f"holds('{name}')"),
    st.sampled_from(LISTS).map(lambda name: f"member('{name}')"),
    st.sampled_from(["seconds", "amount", "kind", "services", "roaming", "seconds // calls", "(seconds > 1)"]).map(
        lambda name: f"known({name})"
    ),
    _compared(st.just("1 < seconds"), st.sampled_from(["<", "<="]), INTS),
)

CONDITIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        _joined("and", inner, inner),
        _joined("and", inner, inner, inner),
        _joined("or", inner, inner),
        inner.map(lambda made: f"(not {made})"),
        _called("default", inner, inner),
        _called("default", inner, st.sampled_from(["true", "false"])),
        _called("known", inner),
        _compared(inner, _SAME, inner),
    ),
    max_leaves=6,
)

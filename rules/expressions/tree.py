"""The typed tree of an expression, and what can be asked of it without evaluating it.

`rules.expressions.check` is the only maker of trees. A tree is a value: frozen nodes, every name resolved to an
`Operand`, every number already promoted, so that an evaluator needs neither names nor types. Two evaluators read it and
must agree: `interpret` (plain, one row) and `program` with `kernel` (columns).

What every node means, for both evaluators:

- A value is known or unknown. Arithmetic and comparisons with an unknown are unknown; `and`, `or`, `not` follow Kleene
  (`false and unknown` is false, `true or unknown` is true); `known` and `default` make certainty of it.
- INT and TIME are 64-bit. A result outside is unknown: it neither wraps nor saturates. Division by zero is unknown.
- `/` always gives FLOAT; `//` and `%` take whole numbers and round down, as Python's do.
- A FLOAT that is not finite is unknown, wherever it comes from. INT beside FLOAT becomes FLOAT (rounded to 53 bits).

Nothing here knows TOML, rows or columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias
from typing import Literal as OneOfNames

from rules.expressions.lookups import CellsOf, Column
from state.schema import Kind
from state.sets import is_further

if TYPE_CHECKING:
    from rules.expressions.refused import Refused

__all__ = [
    "BUILTINS",
    "INT_MAX",
    "INT_MIN",
    "And",
    "Arith",
    "Bands",
    "Call",
    "Choose",
    "Compare",
    "Default",
    "Expr",
    "Has",
    "Known",
    "Literal",
    "Lookup",
    "Negate",
    "Not",
    "OneOf",
    "Operand",
    "Or",
    "Scalar",
    "Scope",
    "ToFloat",
    "Use",
    "by_set",
    "children",
    "operands",
    "walk",
]

INT_MIN = -(1 << 63)
INT_MAX = (1 << 63) - 1

Scalar: TypeAlias = int | float | bool | str
Source: TypeAlias = OneOfNames["cell", "feature", "value", "builtin", "step"]
CompareOp: TypeAlias = OneOfNames["==", "!=", "<", "<=", ">", ">="]
ArithOp: TypeAlias = OneOfNames["+", "-", "*", "/", "//", "%"]


@dataclass(frozen=True, slots=True)
class Operand:
    """What a name stands for.

    `index` is the slot of a cell, the index of a feature in `Book.features` or of a value in `Book.values`, or the
    number of a builtin; a field of an earlier step of a sequence has an index of `rules.sequences`. `members` names the
    bits of a SET; one of more members than a word has bits goes on in `words`, which are operands of their
    own. `duration` says that an INT counts milliseconds, so that "10m" may stand beside it.
    """

    name: str
    source: Source
    index: int
    kind: Kind
    members: tuple[str, ...] = ()
    duration: bool = False
    words: tuple[Operand, ...] = ()

    @property
    def all_words(self) -> tuple[Operand, ...]:
        """What has to be read for all of its value: itself, and the further words of a set."""
        return (self, *self.words)


def by_set(operands: Iterable[Operand]) -> Iterator[Operand]:
    """What the words of sets stand for, in their order, as one operand a set; any other operand as it is."""
    found: list[Operand] = []
    for one in operands:
        if found and is_further(one.name):
            found[-1] = replace(found[-1], words=(*found[-1].words, one))
        else:
            found.append(one)
    return iter(found)


BUILTINS: Mapping[str, Operand] = {
    "at": Operand("at", "builtin", 0, Kind.TIME),  # when the event happened
    "logged": Operand("logged", "builtin", 1, Kind.TIME),  # when its frame was appended to the log
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use.

    `names` holds fields, attributes, features and values; a dotted name (`call.seconds`) may be a key. `areas` gives
    the cells of each area, `tables` the columns of each table. `holds('x')` reads the SET named `services`,
    `member('x')` the SET named `lists`. `elsewhere` explains names that exist but not here ("a field of `data`, and
    this rule is on `call`"). Builtins need not be given. `implied` makes what
    calls bring along (`rules.expressions.implied`).
    """

    names: Mapping[str, Operand]
    areas: Mapping[str, tuple[str, ...] | CellsOf] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    implied: Callable[[str, tuple[Expr, ...]], Expr | Refused] | None = None


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, always known."""

    kind: Kind
    value: Scalar


@dataclass(frozen=True, slots=True)
class Use:
    """The value of a field, a feature or a builtin."""

    operand: Operand

    @property
    def kind(self) -> Kind:
        """The operand's kind."""
        return self.operand.kind


class _Condition:
    """A node that is true, false or unknown."""

    __slots__ = ()

    @property
    def kind(self) -> Kind:
        """Always BOOL."""
        return Kind.BOOL


@dataclass(frozen=True, slots=True)
class Not(_Condition):
    """True where `part` is false."""

    part: Expr


@dataclass(frozen=True, slots=True)
class And(_Condition):
    """False where any part is false, else unknown where any is unknown."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or(_Condition):
    """True where any part is true, else unknown where any is unknown."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Compare(_Condition):
    """Two values of one kind, which is not SET; STRING and BOOL know only `==` and `!=`."""

    op: CompareOp
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class OneOf(_Condition):
    """Whether `part` equals one of `values`, which are of its kind, sorted and different."""

    part: Expr
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Has(_Condition):
    """Whether the SET `part` has `member`, its bit number `bit`. `empty_unless_known`: an unknown set has none."""

    part: Expr
    member: str
    bit: int
    empty_unless_known: bool = False


@dataclass(frozen=True, slots=True)
class Known(_Condition):
    """Whether `part` is known; itself never unknown."""

    part: Expr


@dataclass(frozen=True, slots=True)
class Default:
    """`part` where it is known, else `other`; both of one kind."""

    part: Expr
    other: Expr

    @property
    def kind(self) -> Kind:
        """The kind of both."""
        return self.part.kind


@dataclass(frozen=True, slots=True)
class Choose:
    """`part` where the condition is true, `other` where it is false, else unknown; both of one kind, no SET."""

    condition: Expr
    part: Expr
    other: Expr

    @property
    def kind(self) -> Kind:
        """The kind of both."""
        return self.part.kind


@dataclass(frozen=True, slots=True)
class Bands:
    """How many of the rising `edges`, which are of its kind, a number has reached."""

    part: Expr
    edges: tuple[int | float, ...]

    @property
    def kind(self) -> Kind:
        """Always INT."""
        return Kind.INT


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a column of a table says of a key; unknown where it says nothing."""

    part: Expr
    column: Column

    @property
    def kind(self) -> Kind:
        """The column's."""
        return self.column.kind


@dataclass(frozen=True, slots=True)
class Arith:
    """Two numbers of one kind (FLOAT for `/`), or TIME with INT; the result is of `kind`."""

    op: ArithOp
    left: Expr
    right: Expr
    kind: Kind


@dataclass(frozen=True, slots=True)
class Negate:
    """The number with the other sign."""

    part: Expr

    @property
    def kind(self) -> Kind:
        """The kind of the number."""
        return self.part.kind


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `rules.expressions.functions` over its arguments, unknown where any of them is.

    `duration` says that the number counts milliseconds, so that "10m" may stand beside it. Functions that are only
    another way to write a node (`holds`, `known`, `default`) never become a `Call`.
    """

    name: str
    parts: tuple[Expr, ...]
    kind: Kind
    duration: bool = False


@dataclass(frozen=True, slots=True)
class ToFloat:
    """An INT as FLOAT."""

    part: Expr

    @property
    def kind(self) -> Kind:
        """Always FLOAT."""
        return Kind.FLOAT


Expr: TypeAlias = (
    Literal | Use | Not | And | Or | Compare | OneOf | Has | Known | Default | Choose | Bands | Lookup
    | Arith | Negate | Call | ToFloat
)  # fmt: skip


def children(expr: Expr) -> tuple[Expr, ...]:
    """The nodes directly below a node, in reading order."""
    match expr:
        case Literal() | Use():
            return ()
        case And(parts) | Or(parts) | Call(_, parts):
            return parts
        case Compare(_, left, right) | Arith(_, left, right):
            return (left, right)
        case Default(part, other):
            return (part, other)
        case Choose(condition, part, other):
            return (condition, part, other)
        case _:
            return (expr.part,)


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node, parents before children, in reading order."""
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def operands(expr: Expr) -> tuple[Operand, ...]:
    """What an expression reads, each once, in order of first use; `hour()` reads `at`."""
    return tuple(dict.fromkeys(node.operand for node in walk(expr) if isinstance(node, Use)))

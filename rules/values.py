"""Named values: expressions that rules, and other values, use by name.

A value may be asked on the rows of every event type that has the fields which it names; one that names no field, and no
value that does, on all rows. Values are made after the features, each after those that it stands on, so a circle is a
fault. `level` says how many values stand below one another: all of one level can be worked out together.

A value keeps nothing: what it says is a function of the event and of what is known as of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rules.codes import Code
from rules.expressions import BUILTINS, Expr, Parsed, Scope, check, fold, parse
from rules.expressions.context import KIND_WORDS, NUMBERS
from rules.expressions.units import is_duration
from rules.model import Value
from rules.names import Names
from rules.reading import read_faults
from rules.sections import Declared, identifier_fault, sections
from rules.shape import Faults, ValueShape, shown
from rules.spans import duration_hint, duration_ms
from rules.toml import Document
from state.schema import PROFILE, Kind

__all__ = ["VALUES_MAX", "compile_values"]

VALUES_MAX = 1_000
LEVELS_MAX = 16
"""Values that may stand one upon the other: those of each level are a pass of their own over a frame."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A value as it is written: its syntax, and every name in it."""

    one: Declared[ValueShape]
    parsed: Parsed
    words: tuple[str, ...]


def compile_values(documents: list[Document], names: Names, faults: Faults) -> tuple[Value, ...]:
    """Return the values of a book, and enter them among the names that rules may use."""
    broken: set[str] = set()
    essential = frozenset({"is"})
    every = list(sections("values", ValueShape, documents, faults, broken, identifier_fault, essential))
    declared = {one.name: made for one in every if (made := _read(one, names, broken, faults)) is not None}
    names.broken |= broken
    maker = _Maker(names, declared, faults)
    for name in declared:
        maker.make(name)
    names.broken |= {name for name in declared if name not in names.values}
    if len(declared) > VALUES_MAX:
        document = next(document for document in documents if "values" in document.head)
        message = f"values={len(declared)} must be <= {VALUES_MAX}"
        faults.add(Code.OUT_OF_BOUNDS, document, ("values",), message, key=True)
    return tuple(names.values.values())


def _read(one: Declared[ValueShape], names: Names, broken: set[str], faults: Faults) -> _Declared | None:
    """A value whose syntax is right, and whose name belongs to nothing else."""
    clash = "an attribute" if one.name in names.subscriber else "a feature" if one.name in names.features else ""
    owner = next((kind.name for kind in names.catalogue.schema.types[1:] if one.name in kind.slots), "")
    clash = clash or (f"a field of `{owner}`" if owner else "")
    if clash:
        message = f"value `{one.name}` has the name of {clash}: a rule could not tell them apart"
        faults.add(Code.NAME_CLASH, one.document, one.path, message, key=True)
    parsed = parse(one.shape.expression, one.document.origin((*one.path, "is")))
    if isinstance(parsed, list):
        faults.extend(parsed)
    if clash or isinstance(parsed, list):
        broken.add(one.name)
        return None
    return _Declared(one, parsed, tuple(dict.fromkeys(_words(parsed.body))))


def _words(node: ast.expr) -> Iterator[str]:
    """The names that an expression uses; `a.b` is one, a function is none."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=ast.Name(id=head), attr=name):
            if head != "areas":
                yield f"{head}.{name}"
        case ast.Call(args=parts):
            for part in parts:
                yield from _words(part)
        case _:
            for below in ast.iter_child_nodes(node):
                if isinstance(below, ast.expr):
                    yield from _words(below)


@dataclass(slots=True)
class _Maker:
    """Makes values in the order in which they stand on each other."""

    names: Names
    declared: Mapping[str, _Declared]
    faults: Faults
    under_way: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)

    def make(self, name: str) -> None:
        """Make a value after those that it reads; one that is wrong is reported, and is no name."""
        if name in self.done:
            return
        if name in self.under_way:
            self._circle(name)
            return
        one = self.declared[name]
        if len(self.under_way) == LEVELS_MAX:
            self._too_high(one)
            return
        self.under_way.append(name)
        for word in one.words:
            if word in self.declared:
                self.make(word)
        self.under_way.pop()
        if name not in self.done:
            self.done.add(name)
            self._enter(one)

    def _circle(self, name: str) -> None:
        """Report a value that stands on itself, once, and give up all that stand in the circle."""
        circle = self.under_way[self.under_way.index(name) :]
        one = self.declared[name].one
        message = f"value `{name}` stands on itself: {' -> '.join([*circle, name])}"
        self.faults.add(Code.VALUE_CYCLE, one.document, (*one.path, "is"), message)
        self.done.update(circle)

    def _too_high(self, one: _Declared) -> None:
        message = f"values one upon the other must be <= {LEVELS_MAX}; `{one.one.name}` is one too many"
        self.faults.add(Code.OUT_OF_BOUNDS, one.one.document, (*one.one.path, "is"), message)
        self.done.add(one.one.name)

    def _enter(self, one: _Declared) -> None:
        read = [word for word in one.words if word in self.declared]
        if any(word not in self.names.values for word in read):
            return  # what is wrong with it was said of the other
        below = [self.names.values[word] for word in read]
        level = max([value.level + 1 for value in below], default=0)
        if level == LEVELS_MAX:
            self._too_high(one)
            return
        own = {word for word in one.words if word not in self.declared and self._is_field(word)}
        before = len(self.faults.found)
        common, by_type = None, {}
        if not own and all(value.common is not None for value in below):
            common = self._checked(one, self.names.common_scope())
        else:
            types = [code for code in self._types(own) if all(value.on(code) is not None for value in below)]
            if not types:
                self._nowhere(one, {*own, *(value.name for value in below if value.common is None)})
            for code in types:
                expr = self._checked(one, self.names.rule_scope(code))
                if expr is None:
                    break
                by_type[code] = expr
        if len(self.faults.found) == before and (common is not None or by_type):
            place = len(self.names.values)
            self.names.enter(Value(one.one.name, place, common, by_type, level, tuple(sorted(own))))

    def _is_field(self, word: str) -> bool:
        """Whether it is a field of some event type; a name that is none, or broken, says nothing of the rows."""
        schema = self.names.catalogue.schema
        head, _, name = word.partition(".")
        if name:
            return head in schema.codes and name in schema.types[schema.codes[head]].slots
        return word not in BUILTINS and word in self.names.common_scope().elsewhere

    def _types(self, own: set[str]) -> list[int]:
        """The event types that have all of these fields."""
        found = []
        for code, kind in enumerate(self.names.catalogue.schema.types):
            dotted = {f"{kind.name}.{name}" for name in kind.slots}
            if own <= dotted or (code != PROFILE and own <= dotted | set(kind.slots)):
                found.append(code)
        return found

    def _nowhere(self, one: _Declared, named: set[str]) -> None:
        """Report that there is no event type on whose rows the value could be asked."""
        message = f"no event type has all that this value names: {', '.join(f'`{word}`' for word in sorted(named))}"
        fault = Code.UNKNOWN_NAME, one.one.document, (*one.one.path, "is"), message
        self.faults.add(*fault, hint="a value is asked on the rows of events that have all of its fields")

    def _checked(self, one: _Declared, scope: Scope) -> Expr | None:
        found = check(one.parsed, scope, None)
        expr = read_faults(found, self.names.broken, self.faults)
        if expr is None:
            return None
        if expr.kind is Kind.SET:
            message = f"value `{one.one.name}` is a set: a value is a number, a condition, a text or a time"
            place = one.one.document, (*one.one.path, "is")
            self.faults.add(Code.TYPE_MISMATCH, *place, message, hint="ask for one member: `'x' in ...`")
            return None
        return self._banded(one.one, expr) if one.one.shape.bands else expr

    def _banded(self, one: Declared[ValueShape], expr: Expr) -> Expr | None:
        """The band of a number by the edges of `bands`, which rise."""
        path = (*one.path, "bands")
        if expr.kind not in NUMBERS:
            message = f"`bands` needs a number; `{one.shape.expression}` is {KIND_WORDS[expr.kind]}"
            self.faults.add(Code.BAD_BANDS, one.document, path, message)
            return None
        edges: list[int | float] = []
        before: int | float | str = ""
        for at, given in enumerate(one.shape.bands or ()):
            edge = duration_ms(given) if isinstance(given, str) and is_duration(expr) else given
            if edge is None or isinstance(edge, str):
                hint = duration_hint(str(given)) if is_duration(expr) else ""
                message = f"bands={shown(given)} must be a number{', or a duration' if is_duration(expr) else ''}"
                self.faults.add(Code.BAD_BANDS, one.document, (*path, at), message, hint=hint)
                return None
            if edges and edge <= edges[-1]:
                message = f"bands={shown(given)} must be > {shown(before)}, the edge before it"
                self.faults.add(Code.BAD_BANDS, one.document, (*path, at), message)
                return None
            edges.append(edge)
            before = given
        if any(isinstance(edge, float) for edge in edges):
            expr = fold.to_float(expr)
        floats = expr.kind is Kind.FLOAT
        return fold.bands(expr, [float(edge) if floats else edge for edge in edges])

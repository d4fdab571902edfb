"""Runs the example of a function through every evaluator; the walk-through runs it for a function just added."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from rules.expressions import Operand, Scope
from rules.expressions.interpret import Row, evaluate
from rules.expressions.lookups import Column
from rules.expressions.places import area_name
from rules.expressions.program import Workspace, compile_program
from rules.expressions.signature import EXAMPLE_AT, Example
from rules.expressions.tree import Expr, Literal
from state.batch import Batch
from state.schema import Kind, make_schema
from state.texts import hashed_texts
from state.zone import fixed_zone
from tests.rules.expressions.worlds import as_cell, tree

KINDS = {bool: Kind.BOOL, int: Kind.INT, float: Kind.FLOAT, str: Kind.STRING, frozenset: Kind.SET, type(None): Kind.INT}
AT = datetime.fromisoformat(EXAMPLE_AT)
AT_MS = int(AT.timestamp()) * 1_000
OFFSET_MS = (AT.utcoffset() or timedelta(0)) // timedelta(milliseconds=1)


def scope_of(example: Example) -> Scope:
    """The names of an example as features, each of the kind of its value."""
    stays = enumerate(map(area_name, example.stays), len(example.given))
    return Scope(
        {
            name: Operand(
                name,
                "feature",
                at,
                KINDS[type(value)],
                tuple(sorted(value)) if isinstance(value, frozenset) else (),
            )
            for at, (name, value) in enumerate(example.given.items())
        }
        | {name: Operand(name, "feature", at, Kind.TIME) for at, name in stays},
        example.areas,
        tables={name: columns_of(name, columns) for name, columns in example.tables.items()},
    )


def columns_of(table: str, columns: Mapping[str, Mapping[Any, Any]]) -> dict[str, Column]:
    """The columns of an example's table."""
    return {
        name: Column(table, name, kind_of(values.values()), kind_of(values), table, tuple(values), values)
        for name, values in columns.items()
    }


def kind_of(values: Iterable[Any]) -> Kind:
    """The kind of the first of some values."""
    return KINDS[type(next(iter(values)))]


def interpreted(example: Example) -> Any:
    """What the plain interpreter gives."""
    made = tree(example.text, scope_of(example), want=None)
    given = {**example.given, **begun(example)}
    return evaluate(made, Row(given, AT_MS, AT_MS), lambda at_ms: at_ms + OFFSET_MS)


def begun(example: Example) -> dict[str, int]:
    """When the stays of an example began."""
    return {area_name(area): AT_MS - ms for area, ms in example.stays.items()}


def folded(example: Example) -> Expr:
    """The tree of the example with constants in place of its names."""
    text = re.sub(r"[a-z_]+", lambda found: str(example.given.get(found[0], found[0])), example.text)
    return tree(text, Scope({}), want=None)


def can_fold(example: Example) -> bool:
    return all(isinstance(value, int | float) for value in example.given.values())


def true_in_kernel(example: Example, condition: str) -> bool:
    """Whether the kernel finds a condition on the example's names true."""
    scope = scope_of(example)
    made = tree(condition, scope)
    assert not isinstance(made, Literal), f"{condition} needs no kernel"
    batch = Batch(
        make_schema((), ()),
        np.ones(1, np.int64),
        np.full(1, AT_MS),
        np.zeros(1, np.uint8),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros((1, 1), np.int64),
        hashed_texts(value.encode() for value in example.given.values() if isinstance(value, str)),
    )
    given = {**example.given, **begun(example)}
    outs, known = np.zeros((len(given) + 1, 1), np.int64), np.zeros((len(given) + 1, 1), np.uint8)
    for at, (name, value) in enumerate(given.items()):
        operand = scope.names[name]
        known[at] = value is not None
        if isinstance(value, frozenset):
            outs[at] = sum(1 << bit for bit, member in enumerate(operand.members) if member in value)
        elif value is not None:
            outs[at] = as_cell(value, operand.kind)
    workspace = Workspace(compile_program([(0, made)], 1, fixed_zone(OFFSET_MS), masks=True), 1)
    masks: list[list[int]] = workspace.run_masks(batch, AT_MS, outs, known).tolist()
    return masks == [[1]]


def kernel_agrees(example: Example) -> bool:
    """Whether the kernel gives what the example says: its condition is true, the opposite is not."""
    if example.gives is None:
        return not true_in_kernel(example, f"known({example.text})")
    if isinstance(example.gives, bool):
        yes, no = example.text, f"not ({example.text})"
        if not example.gives:
            yes, no = no, yes
    else:
        yes, no = f"{example.text} == {example.gives!r}", f"{example.text} != {example.gives!r}"
    return true_in_kernel(example, yes) and not true_in_kernel(example, no)

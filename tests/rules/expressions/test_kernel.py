"""The kernel says what the plain interpreter says, for any expression on any rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.diagnostics import PlainOrigin
from rules.expressions import canonical, read
from rules.expressions.interpret import Row, evaluate
from rules.expressions.program import Workspace, compile_program
from rules.expressions.tree import Expr
from tests.rules.expressions.worlds import (
    CELLS,
    CONDITIONS,
    FEATURES,
    SCOPE,
    TRANSITIONS,
    TYPES,
    World,
    as_cell,
    expected,
    local,
    tree,
    world,
)


def hits_of(trees: Sequence[tuple[int, Expr]], made: World, rows_max: int | None = None) -> list[tuple[int, int]]:
    program = compile_program(trees, TYPES, TRANSITIONS)
    workspace = Workspace(program, rows_max or made.batch.n)
    count = workspace.run(made.batch, made.logged_ms, made.outs, made.known)
    return list(zip(workspace.rows[:count].tolist(), workspace.exprs[:count].tolist(), strict=True))


def trees_of(texts: list[tuple[int, str]]) -> list[tuple[int, Expr]]:
    """Trees of those texts whose constants have a value; the others are the checker's to refuse."""
    made = [(on, read(text, PlainOrigin("expression", text), SCOPE)) for on, text in texts]
    assume(not any(isinstance(expr, list) for _, expr in made))
    return [(on, expr) for on, expr in made if not isinstance(expr, list)]


@settings(max_examples=400, deadline=None)
@given(
    texts=st.lists(st.tuples(st.integers(0, 2), CONDITIONS), min_size=1, max_size=6),
    n=st.sampled_from([1, 2, 63, 64, 65, 130, 200]),
    seed=st.integers(0, 1 << 32),
)
def test_kernel_and_interpreter_agree_on_every_row(texts: list[tuple[int, str]], n: int, seed: int) -> None:
    trees = trees_of(texts)
    made = world(seed, n, types=3)

    assert hits_of(trees, made) == expected(trees, made), [canonical(expr) for _, expr in trees]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.tuples(st.integers(0, 2), CONDITIONS), min_size=1, max_size=4), seed=st.integers(0, 1 << 32))
def test_masks_are_one_where_the_expression_holds_and_zero_on_every_other_row(
    texts: list[tuple[int, str]], seed: int
) -> None:
    trees = trees_of(texts)
    made = world(seed, 100, types=3)
    workspace = Workspace(compile_program(trees, TYPES, TRANSITIONS, masks=True), 128)
    workspace.run_masks(made.batch, made.logged_ms, made.outs, made.known)[:] = 7  # what an earlier run left

    masks = workspace.run_masks(made.batch, made.logged_ms, made.outs, made.known)

    wanted = np.zeros_like(masks)
    for row, number in expected(trees, made):
        wanted[number, row] = 1
    assert masks.tolist() == wanted.tolist()


def test_answers_do_not_depend_on_where_a_block_ends() -> None:
    """5,000 rows of three types fill several blocks of each; one by one they say the same."""
    trees = [
        (0, tree("kind == 'a' and calls > 2")),
        (0, tree("kind == 'a' or holds('ring')")),
        (1, tree("seconds // calls > 1 and amount < spent")),
        (2, tree("not (cell in areas.large) and hour() < 12")),
    ]
    made = world(4, 5_000, types=3)

    assert hits_of(trees, made) == expected(trees, made)


def test_more_hits_than_there_is_room_for_are_all_found() -> None:
    trees = [(on, tree("known(seconds) or true")) for on in (0, 1, 2) for _ in range(3)]
    made = world(5, 3_000, types=3)

    found = hits_of(trees, made)

    assert len(found) == 9_000
    assert found == expected(trees, made)


def test_hits_on_one_row_come_in_the_order_of_the_program() -> None:
    trees = [(0, tree("known(seconds)")), (0, tree("seconds == seconds")), (0, tree("not (seconds != seconds)"))]
    made = world(6, 300, types=1)

    found = hits_of(trees, made)

    assert found == sorted(found)
    assert found == expected(trees, made)


def test_rows_of_types_without_expressions_are_left_alone() -> None:
    made = world(7, 500, types=TYPES)

    assert {int(made.batch.type[row]) for row, _ in hits_of([(4, tree("true"))], made)} == {4}


def test_an_empty_batch_and_an_empty_program_have_no_hits() -> None:
    made = world(8, 0)

    assert hits_of([(0, tree("true"))], made, rows_max=10) == []
    assert hits_of([], world(8, 10)) == []


def test_a_workspace_may_be_used_again_for_smaller_and_larger_batches() -> None:
    trees = [(0, tree("calls > 1 and kind == 'b'")), (1, tree("amount > 1.0"))]
    workspace = Workspace(compile_program(trees, TYPES, TRANSITIONS), 2_000)
    for seed, n in enumerate((2_000, 1, 700, 64, 2_000)):
        made = world(seed, n, types=2)
        count = workspace.run(made.batch, made.logged_ms, made.outs, made.known)
        found = list(zip(workspace.rows[:count].tolist(), workspace.exprs[:count].tolist(), strict=True))
        assert found == expected(trees, made)


def test_large_sets_hold_exactly_their_members() -> None:
    numbers = [*range(0, 3_000, 7), -5, (1 << 63) - 1]
    trees = [
        (0, tree(f"seconds in {numbers}")),
        (0, tree(f"seconds not in {numbers}")),
        (0, tree(f"seconds in {numbers[1:]}")),
    ]
    made = world(9, 2_100, types=1, unknown=0.0)
    made.batch.cells[1] = np.arange(2_100)
    made.batch.cells[1, 5] = -5
    made.rows = [replace(row, values={"seconds": int(made.batch.cells[1, at])}) for at, row in enumerate(made.rows)]

    assert hits_of(trees, made) == expected(trees, made)


@pytest.mark.parametrize(
    ("text", "row", "value"),
    [
        ("seconds + 1 > 0", {"seconds": (1 << 63) - 1}, None),
        ("seconds - 1 < 0", {"seconds": -(1 << 63)}, None),
        ("seconds * 2 > 0", {"seconds": 1 << 62}, None),
        ("-seconds > 0", {"seconds": -(1 << 63)}, None),
        ("abs(seconds) > 0", {"seconds": -(1 << 63)}, None),
        ("seconds // calls == 0", {"seconds": -(1 << 63), "calls": -1}, None),
        ("seconds % calls == 0", {"seconds": -(1 << 63), "calls": -1}, True),
        ("seconds // calls == -4", {"seconds": -7, "calls": 2}, True),
        ("seconds % calls == 1", {"seconds": -7, "calls": 2}, True),
        ("seconds / calls > 0", {"seconds": 1, "calls": 0}, None),
        ("seconds // calls > 0", {"seconds": 1, "calls": 0}, None),
        ("seconds % calls > 0", {"seconds": 1, "calls": 0}, None),
        ("amount * 10 > 0", {"amount": 1e308}, None),
        ("amount > 0", {"amount": float("inf")}, None),
        ("amount == spent", {"amount": 0.0, "spent": -0.0}, True),
        ("seconds > 1 or roaming", {"roaming": True}, True),
        ("seconds > 1 and roaming", {"roaming": False}, False),
        ("seconds > 1 and roaming", {"roaming": True}, None),
        ("not holds('ring')", {}, None),
        ("not holds('ring')", {"services": set()}, True),
        ("not member('vip')", {}, True),
        ("default(seconds, 3) == 3", {}, True),
        ("default(seconds > 1, false)", {}, False),
        ("known(seconds // calls)", {"seconds": 1, "calls": 0}, False),
    ],
)
def test_unknowns_overflow_and_zero_divisors_are_unknown_and_never_fire(
    text: str, row: dict[str, bool | float], value: bool | None
) -> None:
    """Asked both ways, so that `false` and unknown are told apart."""
    asked, opposite = tree(text), tree(f"not ({text})")
    made = world(1, 1, types=1, unknown=1.0)
    for names, target in ((CELLS, made.batch.cells), (FEATURES, made.outs)):
        for at, (name, kind) in enumerate(names.items()):
            if name in row:
                target[at, 0] = as_cell(row[name], kind, name)
                if names is CELLS:
                    made.batch.present[0] |= 1 << at
                else:
                    made.known[at, 0] = 1

    assert evaluate(asked, Row(row), local) is value
    wanted = {True: [(0, 0)], False: [(0, 1)], None: []}[value]
    assert hits_of([(0, asked), (0, opposite)], made) == wanted


def test_arrays_that_are_too_small_are_refused_with_their_bounds() -> None:
    made = world(2, 50, types=1)
    workspace = Workspace(compile_program([(0, tree("calls > 1"))], TYPES, TRANSITIONS), 40)
    with pytest.raises(ValueError, match=r"rows=50 must be <= rows_max=40"):
        workspace.run(made.batch, 0, made.outs, made.known)

    workspace = Workspace(compile_program([(0, tree("since_call > 1"))], TYPES, TRANSITIONS), 50)
    with pytest.raises(ValueError, match=r"outs, int64\[2, 53\], must hold \[8, 50\]"):
        workspace.run(made.batch, 0, made.outs[:2], made.known)


def test_each_way_of_answering_refuses_the_other_kind_of_program() -> None:
    made = world(2, 5, types=1)
    for masks in (False, True):
        workspace = Workspace(compile_program([(0, tree("true"))], TYPES, TRANSITIONS, masks=masks), 10)
        wrong = workspace.run if masks else workspace.run_masks
        with pytest.raises(ValueError, match=f"masks={masks}"):
            wrong(made.batch, 0, made.outs, made.known)

"""A new function of the expressions is one new file: shown by adding two to a copy of the product."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COPIED = ("rules", "state", "tests/rules/expressions")
FUNCTIONS = "rules/expressions/functions"

SIGN = '''"""`sign(x)`: -1, 0 or 1, as the number is below, at or above zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    number = arguments.number(0)
    return None if number is None else arguments.made((number,), number.kind)


def _plain(value: float) -> float:
    return (value > 0) - (value < 0)


@part
def _ints(value: int) -> tuple[int, bool]:
    return (1 if value > 0 else 0) - (1 if value < 0 else 0), True


@part
def _floats(value: float) -> float:
    return (1.0 if value > 0.0 else 0.0) - (1.0 if value < 0.0 else 0.0)


FUNCTION = Function(
    name="sign",
    usage="sign(x)",
    docs="-1, 0 or 1, as x is below, at or above zero.",
    example=Example("sign(balance - 50)", {"balance": 20}, gives=-1),
    arguments=(1, 1),
    rule=_rule,
    plain=_plain,
    ints=_ints,
    floats=_floats,
)
'''

WEEKEND = '''"""`weekend(t)`: whether a time is a Saturday or Sunday by the operator's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part
from state.schema import Kind
from state.zone import Transitions, local_weekday

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    time = arguments.time()
    return None if time is None else arguments.made((time,), Kind.BOOL)


def _plain(wall_ms: int) -> bool:
    return (wall_ms // 86_400_000 + 3) % 7 >= 5


@part
def _local(at_ms: int, transitions: Transitions) -> int:
    return 1 if local_weekday(at_ms, transitions) >= 5 else 0


FUNCTION = Function(
    name="weekend",
    usage="weekend()",
    docs="Whether the event happened on a Saturday or Sunday.",
    example=Example("weekend()", {}, gives=False),
    arguments=(0, 1),
    rule=_rule,
    plain=_plain,
    local=_local,
)
'''

NEW = {f"{FUNCTIONS}/sign.py": SIGN, f"{FUNCTIONS}/weekend.py": WEEKEND}
"""Two functions, one file each: numbers of any kind, and a condition on local time."""

USES = """
from rules.codes import Code
from rules.diagnostics import PlainOrigin
from rules.expressions import read
from rules.expressions.functions import FUNCTIONS, reference
from rules.expressions.interpret import evaluate
from rules.expressions.tree import Literal
from state.schema import Kind
from tests.rules.expressions.grammar import closed_over
from tests.rules.expressions.examples import folded, interpreted, kernel_agrees
from tests.rules.expressions.test_kernel import hits_of
from tests.rules.expressions.worlds import SCOPE, expected, tree, world

example, weekend = FUNCTIONS["sign"].example, FUNCTIONS["weekend"].example

(fault,) = read("sign(kind) == 1", PlainOrigin("f", ""), SCOPE)
assert (fault.code, fault.message) == (Code.TYPE_MISMATCH, "sign() takes a number; `kind` is a text"), fault
(fault,) = read("sgn(seconds) == 1", PlainOrigin("f", ""), SCOPE)
assert fault.hint == "did you mean `sign`?", fault
assert tree("sign(amount)", want=None).kind is Kind.FLOAT
print("type-checks")

assert folded(example) == Literal(Kind.INT, -1)
print("folds constants")

assert (interpreted(example), interpreted(weekend)) == (-1, False)
print("interprets")

assert kernel_agrees(example) and kernel_agrees(weekend)
texts = ["sign(seconds) == 1", "sign(amount) < calls", "sign(abs(seconds)) == -1", "weekend() and heavy"]
texts += ["not weekend(begun)", "weekend(joined) or sign(calls) > 0", "default(weekend(begun), true)", "weekend()"]
texts += ["known(weekend(begun))", "weekend(begun) == heavy", "weekend() == weekend(begun)"]
made = world(3, 700, types=1)
for trees in ([(0, tree(text))] for text in texts):
    assert hits_of(trees, made) == expected(trees, made), trees
trees = [(0, tree(text)) for text in texts]
assert hits_of(trees, made) == expected(trees, made) != []
assert ("sign", 1) in closed_over(Kind.INT) and ("sign", 1) in closed_over(Kind.FLOAT)  # so the fuzzers call it
print("runs in the kernel")

assert "sign(x)" in reference()
assert "Example: sign(balance - 50) gives -1, where balance = 20." in reference()
print("stands in the reference")
"""


def contents(folder: Path) -> dict[str, bytes]:
    """What stands in the files of a tree, by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "product"
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "book"))
    shutil.copy(ROOT / "tests" / "__init__.py", folder / "tests")
    return folder


@pytest.mark.slow
def test_a_function_is_one_file_and_is_checked_folded_interpreted_run_and_documented(copy: Path) -> None:
    before = contents(copy)

    for path, text in NEW.items():
        (copy / path).write_text(text)
    touched = [path for path, text in contents(copy).items() if before.get(path) != text]
    environment = os.environ | {"PYTHONPATH": str(copy), "OPPORTUNE_KERNEL_CACHE": str(copy.parent / "kernels")}
    done = subprocess.run(
        [sys.executable, "-c", USES],
        cwd=copy,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert sorted(touched) == sorted(NEW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "type-checks",
        "folds constants",
        "interprets",
        "runs in the kernel",
        "stands in the reference",
    ]

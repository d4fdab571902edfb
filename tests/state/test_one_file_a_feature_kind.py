"""A kind of feature is one new file: it is added here in a folder of its own, and a book uses it."""

import json
from pathlib import Path

import pytest

from tests.walkthrough import run_with

CHANGES = '''"""changes: how often a field's value was another than the one before, in log order; 0 before the first.

A row of the column: number of changes, latest value, whether there is one.
"""

from state.features.rows import view_of
from state.features.spec import BASE, SINGLE, ColumnSpec, FeatureKind, FeatureSpec
from state.jit import kernel
from state.raw import load_i32, load_i64, load_u8, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions

_STRIDE = 24


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 3)]


@kernel
def fold_changes(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base = load_i64(feature + BASE)
    slots_at, rows_at, n, updates_at, _, cells_at, out_at, known_at = view_of(view)
    for i in range(n):
        row = load_i32(rows_at + 4 * i)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 1)
        if slot < 0:
            continue
        address = base + slot * _STRIDE
        if load_u8(updates_at + row) != 0:
            value = load_i64(cells_at + 8 * row)
            if load_i64(address + 16) != 0 and load_i64(address + 8) != value:
                store_i64(address, load_i64(address) + 1)
            store_i64(address + 8, value)
            store_i64(address + 16, 1)
        store_i64(out_at + 8 * row, load_i64(address))


KIND = FeatureKind(
    "changes",
    _columns,
    fold_changes,
    results=dict.fromkeys(SINGLE, Kind.INT),
    takes="a single value",
    example='changes = "e.word"',
)
'''

BOOK = """
[channels.sms]
kind = "sms"
[events.attach]
fields = { network = "string" }
[features.moves]
changes = "attach.network"
[features.attaches]
count = "attach"
[[rule]]
id = "mover"
on = "attach"
when = "moves >= 2 and attaches >= 3"
channels = ["sms"]
text.sms = "You changed network {moves} times."
reason = "r"

[[test]]
name = "the second change"
events = [
    { at = 2026-01-05T08:00:00Z, attach = { network = "a" } },
    { at = "+1m", attach = { network = "b" } },
    { at = "+1m", attach = { network = "b" } },
    { at = "+1m", attach = { network = "a" } },
]
expect = [{ at = 2026-01-05T08:03:00Z, rule = "mover", channel = "sms" }]
"""

SCRIPT = f"""
import json
import numpy as np
from engine.book.compiled import compile_book
from engine.flow.decider import Decider
from engine.answers.records import record_of
from engine.runtimes.rehearsal import run_scenarios
from engine.dispatch.wording import decided_of
from rules.diagnostics import BookErrors
from rules.load import load_text
from state.batch import Row, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.features import BOOK_KINDS
from state.jit import sources_of

BOOK = {BOOK!r}
book = load_text({{"book.toml": BOOK}})
table = Table(64)
decider = Decider(table, Contacts(table.capacity, 8), 64)
decider.activate(compile_book(book), 0)
batch = from_rows(book.schema, [Row("attach", 7, 1_000 * n, {{"network": "abba"[n]}}) for n in range(4)])
slots = np.empty(batch.n, np.int32)
table.lookup(batch.subscriber, slots, 1)
records = decider.fold(1, 5_000, batch, np.arange(batch.n, dtype=np.int32), slots)

class Texts:
    def text(self, hashed):
        return None

try:
    load_text({{"book.toml": BOOK.replace("attach.network", "attach")}})
except BookErrors as errors:
    fault = str(errors)
print(json.dumps({{
    "kinds": list(BOOK_KINDS),
    "faults": [fault for result in run_scenarios(book) for fault in result.faults],
    "facts": record_of(0, records, 0, book, Texts())["facts"],
    "texts": [one.text for one in decided_of(0, records, book, Texts())],
    "hashed": "state.features.kinds.changes" in sources_of("state.features.folding"),
    "fault": fault,
}}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the product makes of a book, with the one file added."""
    folder: Path = tmp_path_factory.mktemp("kind")
    found = json.loads(run_with("state.features.kinds", {"changes.py": CHANGES}, SCRIPT, folder))
    assert isinstance(found, dict)
    assert len(list((folder / "added").iterdir())) == 1
    return found


def test_one_file_makes_a_kind_that_books_decide_and_explain_with(seen: dict[str, object]) -> None:
    kinds = seen["kinds"]

    assert isinstance(kinds, list)
    assert "changes" in kinds
    assert seen["faults"] == []
    assert seen["facts"] == {"moves": 2, "attaches": 4}
    assert seen["texts"] == ["You changed network 2 times."]


def test_what_the_new_kind_cannot_take_is_a_fault_that_says_so(seen: dict[str, object]) -> None:
    assert "`changes` needs a field that holds a single value, not the event itself" in str(seen["fault"])


def test_machine_code_is_made_anew_for_a_kind_that_is_added(seen: dict[str, object]) -> None:
    assert seen["hashed"] is True

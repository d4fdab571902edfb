"""A gate is one new file and its place in the list that orders them: it is added here, and a book's rules meet it."""

import json
from pathlib import Path

import pytest

from tests.walkthrough import ROOT, run_with

NIGHT = '''"""Night: nothing is sent on an SMS channel between midnight and six, local time.

Columns: `is_sms` uint8[channels].
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book, Rule
from state.jit import part
from state.zone import interval_at


def _columns(book: Book) -> NDArray[np.uint8]:
    return np.array([channel.kind == "sms" for channel in book.channels.values()], np.uint8)


@part
def at_night(is_sms: NDArray[np.uint8], scene: Scene, row: int, pair: int) -> int:
    """Stop an SMS before six; the detail is the hour."""
    if is_sms[scene.rules.pair_channel[pair]] == 0:
        return PASSES
    at_ms = scene.rows.at_ms[row]
    local_ms = at_ms + scene.transitions[interval_at(at_ms, scene.transitions), 1]
    hour = local_ms // 3_600_000 % 24
    return hour if hour < 6 else PASSES


def _explain(_book: Book, _rule: Rule, channel: str, detail: int) -> str:
    return f"{channel}: it is {detail} o'clock"


GATE = Gate(number=200, word="night", stops=at_night, columns=_columns, explain=_explain)
'''

BOOK = """
[book]
zone = "Asia/Shanghai"
[channels.sms]
[events.e]
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"

[[test]]
name = "not at three in the morning, but at eight"
events = [{ at = 2026-01-05T03:00:00+08:00, e = {} }, { at = "+5h", e = {} }]
expect = [
    { at = 2026-01-05T03:00:00+08:00, rule = "r", gate = "night" },
    { at = 2026-01-05T08:00:00+08:00, rule = "r", channel = "sms" },
]
"""

SCRIPT = f"""
import json
import numpy as np
from engine.book.compiled import compile_book
from engine.flow.decider import Decider
from engine.answers.records import record_of
from engine.runtimes.rehearsal import run_scenarios
from rules.gates import GATES
from rules.load import load_text
from state.batch import Row, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.jit import sources_of

book = load_text({{"book.toml": {BOOK!r}}})
table = Table(64)
decider = Decider(table, Contacts(table.capacity, 8), 64)
decider.activate(compile_book(book), 0)
two_at_night_ms = 18 * 3_600_000
batch = from_rows(book.schema, [Row("e", 7, two_at_night_ms, {{}})])
slots = np.empty(batch.n, np.int32)
table.lookup(batch.subscriber, slots, 1)
records = decider.fold(1, two_at_night_ms, batch, np.arange(batch.n, dtype=np.int32), slots)

class Texts:
    def text(self, hashed):
        return None

record = record_of(0, records, 0, book, Texts())
print(json.dumps({{
    "order": [gate.word for gate in GATES.values()],
    "faults": [fault for result in run_scenarios(book) for fault in result.faults],
    "on disk": records.gate.tolist(),
    "record": [record["outcome"], record["gate"], record["detail"]],
    "hashed": "rules.gates.night" in sources_of("rules.gates.kernel"),
}}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the product makes of a book, with the gate's file added and the list changed."""
    folder: Path = tmp_path_factory.mktemp("gate")
    order = (ROOT / "rules" / "gates" / "order.py").read_text(encoding="utf-8")
    order = order.replace("    offer,\n", "    night,\n    offer,\n").replace(
        "    caps.GATE", "    night.GATE,\n    caps.GATE"
    )
    found = json.loads(run_with("rules.gates", {"night.py": NIGHT, "order.py": order}, SCRIPT, folder))
    assert isinstance(found, dict)
    return found


def test_one_file_and_its_place_in_the_order_make_a_gate_that_stops_and_explains(seen: dict[str, object]) -> None:
    assert seen["faults"] == []
    assert seen["on disk"] == [200]
    assert seen["record"] == ["suppressed", "night", "sms: it is 2 o'clock"]


def test_a_gate_of_a_new_number_stands_where_the_list_puts_it(seen: dict[str, object]) -> None:
    order = seen["order"]

    assert isinstance(order, list)
    assert order[order.index("night") + 1] == "cap"


def test_machine_code_is_made_anew_for_a_gate_that_is_added(seen: dict[str, object]) -> None:
    assert seen["hashed"] is True

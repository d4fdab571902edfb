"""Owner: the number has a new owner, or its customer was erased: what waits for the old one is withdrawn.

It is asked of no candidate: a row of the event type `owner` ends what waits (`engine.flow.owners`), and this is the
gate in the records of that. The detail is 1 for a customer that was erased, else 0.
"""

from typing import Any

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book, Rule
from state.jit import part

ERASED = 1


@part
def none(_columns: Any, _scene: Scene, _row: int, _rule: int) -> int:
    """Stop no candidate."""
    return PASSES


def _explain(_book: Book, _rule: Rule, _channel: str, detail: int) -> str:
    return "the customer was erased" if detail == ERASED else "the number has a new owner"


GATE = Gate(number=14, word="owner", stops=none, explain=_explain)

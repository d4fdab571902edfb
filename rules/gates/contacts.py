"""Contacts: a capped contact needs a place in the subscriber's list of contacts, which is bounded.

A full list gives up what has ended, then its oldest contact when no cap or offer can count it any more, then one that
none counts; where there is none, nothing is sent, so no cap is ever broken for want of memory. It is asked last: giving
up a contact changes the list, and only a contact that passed every other gate may do that. Columns: `shadow`
uint8[pairs]; what a rule in shadow would do takes the place of nothing that was done.
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, pairs_of
from rules.model import Book
from state.contacts import make_room
from state.jit import part


def _columns(book: Book) -> NDArray[np.uint8]:
    return np.array([rule.shadow for rule, _ in pairs_of(book)], np.uint8)


@part
def no_room(columns: NDArray[np.uint8], scene: Scene, row: int, pair: int) -> int:
    """Stop at a channel whose contacts are counted, where the subscriber's list has no place for one."""
    if scene.rules.capped[pair] == 0:
        return PASSES
    log_ms, shadow = scene.rows.log_ms[row], columns[pair] != 0
    has_room = make_room(scene.contacts, scene.rows.slot[row], log_ms, log_ms - scene.rules.horizon_ms, True, shadow)
    return PASSES if has_room else 0


GATE = Gate(number=11, word="contacts full", stops=no_room, columns=_columns)
"""No example: a test's subscriber has more places than a test has events."""

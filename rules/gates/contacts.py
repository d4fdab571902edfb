"""Contacts: a capped contact needs a place in the subscriber's list of contacts, which is bounded.

A full list gives up its oldest contact when no cap can count it any more; where there is none, nothing is sent, so no
cap is ever broken for want of memory. It is asked last: giving up a contact changes the list, and only a contact that
passed every other gate may do that. Columns: `horizon_ms` int64[1], how far back any cap or offer of the book counts.
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates import caps, offer
from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book
from state.contacts import make_room
from state.jit import part


def _columns(book: Book) -> NDArray[np.int64]:
    return np.array([max(caps.horizon_ms(book), offer.horizon_ms(book))], np.int64)


@part
def no_room(horizon: NDArray[np.int64], scene: Scene, row: int, pair: int) -> int:
    """Stop at a channel whose contacts are counted, where the subscriber's list has no place for one."""
    if scene.rules.capped[pair] == 0:
        return PASSES
    has_room = make_room(scene.contacts, scene.rows.slot[row], scene.rows.at_ms[row] - horizon[0])
    return PASSES if has_room else 0


GATE = Gate(number=11, word="contacts full", stops=no_room, columns=_columns)
"""No example: a test's subscriber has more places than a test has events."""

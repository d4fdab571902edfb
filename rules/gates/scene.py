"""What a gate may look at, as arrays for kernels: the batch, its subscribers' state, the rules, what is paused."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.contacts import ContactArrays
from state.zone import Transitions


class Rows(NamedTuple):
    """Columns of the batch, for kernels: `number` int32[n] is each row's index in its frame; `slot` int32[n].

    `at_ms` is what the event says, `log_ms` the log's time of its row. `outs` int64[features, >= n] and `known` uint8
    are the features as of each event, `lists` int64[n] the bits of the lists; `visit_ms` and `visit` int64[slots] are
    state: since when, and the text hash of the visit's name, 0 for none.
    """

    number: NDArray[np.int32]
    slot: NDArray[np.int32]
    type: NDArray[np.uint8]
    subscriber: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    log_ms: NDArray[np.int64]
    present: NDArray[np.int64]
    cells: NDArray[np.int64]
    outs: NDArray[np.int64]
    known: NDArray[np.uint8]
    lists: NDArray[np.int64]
    visit_ms: NDArray[np.int64]
    visit: NDArray[np.int64]


class Paused(NamedTuple):
    """What is paused now: `rule` uint8[rules], `channel` uint8[channels], by index in the book."""

    rule: NDArray[np.uint8]
    channel: NDArray[np.uint8]


class RuleTable(NamedTuple):
    """A book's rules, in the order of arbitration, and their channels.

    By rule: `stable`, `campaign` and `offer` int32, the ids (0: no offer); `service` uint8; `life_ms` int64, how long a
    decision may wait before it has certainly ended; its channels are the pairs `pair_start[r]:pair_start[r + 1]`.
    `by_stable` int32: the rules' indices in the order of `stable`. By pair: `pair_channel` int32, an index; `capped`
    uint8, whether any cap counts its contacts. By channel: `channel_id` int32.
    """

    stable: NDArray[np.int32]
    campaign: NDArray[np.int32]
    offer: NDArray[np.int32]
    life_ms: NDArray[np.int64]
    by_stable: NDArray[np.int32]
    service: NDArray[np.uint8]
    pair_start: NDArray[np.int32]
    pair_channel: NDArray[np.int32]
    capped: NDArray[np.uint8]
    channel_id: NDArray[np.int32]


class Scene(NamedTuple):
    """Everything that gates look at beside their own columns.

    `used` int32[channels + 1]: decisions of this event so far, those of service messages left out; then those on each
    channel, all of them.
    """

    rows: Rows
    rules: RuleTable
    paused: Paused
    contacts: ContactArrays
    transitions: Transitions
    append_ms: int
    used: NDArray[np.int32]

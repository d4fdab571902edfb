"""What a gate may look at, as arrays for kernels: the batch, its subscribers' state, the rules, what is paused."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.contacts import ContactArrays
from state.zone import Transitions


class Rows(NamedTuple):
    """Columns of the batch, for kernels: `number` int32[n] is each row's index in its frame; `slot` int32[n].

    `at_ms` is what the event says, `log_ms` the log's time of its row. `outs` int64[features, >= n] and `known` uint8
    are the features as of each event; `visit_ms`, `visit` and `visit_at_ms` int64[slots] are state: since when by the
    log's clock, the text hash of the visit's name, 0 for none, and when it began by its own event.
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
    visit_ms: NDArray[np.int64]
    visit: NDArray[np.int64]
    visit_at_ms: NDArray[np.int64]


class Paused(NamedTuple):
    """What is paused now: `rule` uint8[rules], `channel` uint8[channels], by index in the book."""

    rule: NDArray[np.uint8]
    channel: NDArray[np.uint8]


class RuleTable(NamedTuple):
    """A book's rules, in the order of arbitration, and their channels.

    By rule: `stable`, `campaign`, `offer` and `category` int32, the ids (0: no offer, no category); `service` uint8;
    `shadow` uint8, whether it only rehearses; `life_ms` int64, how long a decision may wait before it has certainly
    ended; its channels are the pairs `pair_start[r]:pair_start[r + 1]`. `by_stable` int32: the rules' indices in the
    order of `stable`. By pair: `pair_channel` int32, an index; `capped` uint8, whether any cap counts its contacts;
    `kept` uint8, whether a cap or its offer does after they were sent. By channel: `channel_id` int32.

    `offer_index` int32[rules]: which of the book's `offers` a rule makes, -1 where it offers nothing or is a service.
    `horizon_ms`: how far back any cap or offer of the book counts.
    """

    stable: NDArray[np.int32]
    campaign: NDArray[np.int32]
    offer: NDArray[np.int32]
    category: NDArray[np.int32]
    life_ms: NDArray[np.int64]
    by_stable: NDArray[np.int32]
    service: NDArray[np.uint8]
    shadow: NDArray[np.uint8]
    pair_start: NDArray[np.int32]
    pair_channel: NDArray[np.int32]
    capped: NDArray[np.uint8]
    kept: NDArray[np.uint8]
    channel_id: NDArray[np.int32]
    offer_index: NDArray[np.int32]
    offers: int
    horizon_ms: int


class Scene(NamedTuple):
    """Everything that gates look at beside their own columns.

    `used` int32[2, 2 * channels + 1]: decisions of this event so far, those of service messages left out; then for each
    channel those of commercial and those of service messages. `offered` int32[2, offers]: the last row that made an
    offer, plus 1. Places that a control group took count as well. Both stand twice: as they are, which is what rules
    look at, and with what rules in shadow would have taken, at which these look.
    """

    rows: Rows
    rules: RuleTable
    paused: Paused
    contacts: ContactArrays
    transitions: Transitions
    append_ms: int
    used: NDArray[np.int32]
    offered: NDArray[np.int32]

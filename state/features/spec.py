"""What every kind of feature shares: its specification, the columns it asks for, and the shape of a kind.

A kind is a module of `state.features.kinds` with a `FeatureKind`: `columns` says which arrays a feature needs, `fold`
is the loop over rows that applies a batch to them. A row of every array is all zero for a subscriber never seen.

Loops take two addresses of int64 words: of what they are told of the feature (`state.features.folding`), and of
the rows (`state.features.rows`). So one call of a kernel folds all features of a book.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.features.sequence_spec import NO_SEQUENCE, SequenceSpec
from state.schema import Kind
from state.zone import DAY_MS, Transitions, fixed_zone, offset_at

PANES_DEFAULT = 12
PANES_MAX = 32
PANE_MS_MIN = 1000
"""A pane's number must fit 32 bits: at one second a pane it does until 2106."""

EVER, FIXED, LOCAL, MONTH = range(4)
"""How instants are grouped into panes; see `FeatureSpec.grid`."""

_YEAR_2000_MS = 946_684_800_000

LOOP, BASE, SECOND, STRIDE, MODE, RING, GRID, PANE_MS, ANCHOR_MS, WINDOW_MS = range(0, 80, 8)
MEMBERS, MEMBERS_COUNT, SECOND_STRIDE = range(80, 104, 8)
"""What a loop is told of a feature, as offsets in bytes: which of the loops is meant; addresses of its columns and
bytes of a row of the first; what only its kind understands; its window; ids of declared lists; bytes of a row of the
second column, 0 where it has none."""
OWN, HINTS = 104, 112
"""And of a timer: the number by which rows `due` name it; the address of its hints, 0 for none."""
PROGRAM = 120
"""And of a sequence: the address of its words (`state.features.sequence_spec`)."""
LEAVE_MS = 128
"""And of an area: how long sightings are outside before a stay has ended."""
FEATURE_WORDS = 17

Int64s = NDArray[np.int64]
Arrays = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One array of shape (capacity, width)."""

    dtype: str
    width: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one subscriber's row."""
        return np.dtype(self.dtype).itemsize * self.width


@dataclass(frozen=True, eq=False)
class FeatureSpec:
    """What a feature computes, as far as its state depends on it.

    `kind` names a kind. `value_kind` is the kind of the source cells. `window` is "ever", "rolling"
    (then `window_ms`, cut into `panes`), "day" or "month" (of the zone in `transitions`). `members` are the text hashes
    of the declared lists, for kind "lists". A "timer" has a span, `window_ms`, and room for `cells` deadlines, by key
    where it is `keyed`; `starts_anew` says that what arms begins the span anew, `own` is its number in rows `due`. Of a
    "told", `tells` is its mode; a "sequence" has its steps, and `window_ms` is its span. An area has `leave_ms`; a
    timer of one is about staying, or about `leaves`. What settles does so after so many `sightings`, or when it was
    held for `window_ms`, 0 for never.
    """

    kind: str
    value_kind: Kind = Kind.INT
    window: str = "ever"
    window_ms: int = 0
    panes: int = PANES_DEFAULT
    transitions: Transitions = field(default_factory=lambda: fixed_zone(0))
    members: tuple[int, ...] = ()
    cells: int = 0
    keyed: bool = False
    starts_anew: bool = False
    own: int = 0
    tells: int = 0
    sequence: SequenceSpec = NO_SEQUENCE
    leave_ms: int = 0
    leaves: bool = False
    sightings: int = 0

    def __post_init__(self) -> None:
        if self.window not in {"ever", "rolling", "day", "month"}:
            raise ValueError(f"window={self.window!r} must be one of ever, rolling, day, month")
        if self.window != "rolling":
            return
        if not 1 <= self.panes <= PANES_MAX:
            raise ValueError(f"panes={self.panes} must be >= 1 and <= {PANES_MAX}")
        if self.pane_ms < PANE_MS_MIN:
            raise ValueError(
                f"window_ms={self.window_ms} in panes={self.panes} makes panes of {self.pane_ms} ms,"
                f" must be >= {PANE_MS_MIN} ms"
            )

    @cached_property
    def pane_ms(self) -> int:
        """Length of one pane of a rolling window; of a day, for "day"; else 0."""
        if self.window == "rolling":
            return -(-self.window_ms // self.panes)
        return DAY_MS if self.window == "day" else 0

    @cached_property
    def ring(self) -> int:
        """Number of panes kept."""
        return self.panes if self.window == "rolling" else 1

    @cached_property
    def grid(self) -> int:
        """How instants are grouped into panes.

        EVER: one pane. MONTH: local months. LOCAL, for panes of whole days: local days, one of which has 25 hours in
        autumn. FIXED, for the panes of all other rolling windows: time cut into `pane_ms` at the zone's offset of
        1 January 2000 all year, because panes of local hours would make such a window an hour longer in autumn.
        """
        if self.window == "rolling":
            return FIXED if self.pane_ms % DAY_MS else LOCAL
        return {"ever": EVER, "day": LOCAL, "month": MONTH}[self.window]

    @cached_property
    def member_ids(self) -> NDArray[np.int32]:
        """The 31-bit ids of the declared lists, in their order; equal to `state.hashing.stable_id`."""
        return np.array([(member & 0x7FFFFFFF) or 1 for member in self.members], np.int32)

    @cached_property
    def anchor_ms(self) -> int:
        """The offset of the FIXED grid."""
        return offset_at(_YEAR_2000_MS, self.transitions)


Loop = Callable[[int, int, Transitions], None]
"""A kernel that folds one feature: address of its words, address of the rows' words, the zone's transitions."""

Results = Mapping[Kind | None, Kind]
"""The kind of a feature's value by the kind of the field it reads, None where it reads the event alone."""


def no_mode(_spec: FeatureSpec) -> int:
    """The mode of a loop that knows only one."""
    return 0


@dataclass(frozen=True, slots=True)
class FeatureKind:
    """A kind of feature, as one module of `state.features.kinds` describes it.

    Args:
        name: the key that declares it in a book.
        columns: the arrays that a feature's state consists of.
        fold: the kernel that applies rows to them.
        results: which fields it takes, and what its value then is; a kind of field that is missing is a fault.
        takes: the same in words, for the message of that fault.
        example: a feature of a book on the events of `engine.runtimes.warmup`, as TOML without its head.
        mode: a number that only `fold` understands.
        duration: whether its value is a length of time, which texts then write as one.
        built_in: whether every book has it, so that no book declares it.
        settles: whether it says what settles, and takes no window.
    """

    name: str
    columns: Callable[[FeatureSpec], list[ColumnSpec]]
    fold: Loop
    results: Results
    takes: str
    example: str
    mode: Callable[[FeatureSpec], int] = no_mode
    duration: bool = False
    built_in: bool = False
    settles: bool = False


def always(result: Kind) -> dict[Kind | None, Kind]:
    """The results of a kind that takes anything and always yields `result`."""
    return dict.fromkeys((None, *Kind), result)


def same(*kinds: Kind) -> dict[Kind | None, Kind]:
    """The results of a kind that takes a field of `kinds` and yields a value of the field's kind."""
    return {kind: kind for kind in kinds}


NUMBERS = (Kind.INT, Kind.FLOAT)
ORDERED = (Kind.INT, Kind.FLOAT, Kind.TIME)
SINGLE = tuple(kind for kind in Kind if kind is not Kind.SET)

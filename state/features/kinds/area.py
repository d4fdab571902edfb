"""area: since when a subscriber is in an area; unknown outside.

What a stay is, `state.features.stays` says. On the row with which a stay begins the value is the time of that row, and
on no other row is it the row's own time: it lies a millisecond before, where it would be. So a rule can tell who has
come in. Whoever was never seen before the first sighting inside was found there, and has not come in.

A book declares an area, not a feature.
"""

from state.features.rows import AHEAD, view_of
from state.features.spec import BASE, LEAVE_MS, STRIDE, ColumnSpec, FeatureKind, FeatureSpec
from state.features.stays import BEGAN, IN, NOTHING, OUT, STAY_WORDS, see, since
from state.jit import routine
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", STAY_WORDS)]


@routine
def fold_area(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride, leave_ms = load_i64(feature + BASE), load_i64(feature + STRIDE), load_i64(feature + LEAVE_MS)
    slots_at, rows_at, n, updates_at, times_at, _, out_at, known_at = view_of(view)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride)
        row = load_i32(rows_at + 4 * i)
        slot, what = load_i32(slots_at + 4 * row), load_u8(updates_at + row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 0)
        if slot < 0:
            continue
        address, at = base + slot * stride, max(load_i64(times_at + 8 * row), 1)
        seen = see(address, what & IN != 0, at, leave_ms) if what & (IN | OUT) else NOTHING
        begun = since(address, at, leave_ms)
        if begun != 0:
            store_i64(out_at + 8 * row, begun - 1 if begun == at and seen != BEGAN else begun)
            store_u8(known_at + row, 1)


KIND = FeatureKind(
    "area",
    _columns,
    fold_area,
    results={None: Kind.TIME},
    takes="sightings",
    example="",
    built_in=True,
)

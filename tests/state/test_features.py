"""Every kind of feature against its definition in `reference`, and the bounds that no random stream reaches."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError

from state.features import BOOK_KINDS, PANES_MAX, FeatureSpec, columns_of, fold
from state.features.kinds.list_words import LIST_KINDS
from state.features.kinds.lists import JOINS, LEAVES, ends_of
from state.hashing import hash_text, stable_id
from state.schema import Kind
from state.zone import fixed_zone
from tests.state.called import mark_leaves
from tests.state.reference import DAY_MS, HOUR_MS, Plain, Value, Window, transitions_of

SUBSCRIBERS = 2
ZONES = {
    name: (
        ZoneInfo(name),
        transitions_of(ZoneInfo(name), datetime(1999, 12, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)),
    )
    for name in ("Asia/Shanghai", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe")
}
CHANGES = sorted({int(ms) for _, table in ZONES.values() for ms in table[1:, 0]})
KINDS_TIMED = sorted(name for name, kind in BOOK_KINDS.items() if not kind.settles)
FLOAT_KINDS = {"sum", "min", "max", "first", "last", "previous", "distinct"}


class Folded:
    """A feature's arrays and the outputs of the rows folded so far."""

    def __init__(self, spec: FeatureSpec, slots: int = 8) -> None:
        self.spec = spec
        self.arrays = [np.zeros((slots, column.width), column.dtype) for column in columns_of(spec)]

    def fold(
        self, slots: list[int], updates: list[int], at_ms: list[int], values: list[Any], rows: list[int] | None = None
    ) -> list[Value | None]:
        n = len(slots)
        as_float = self.spec.value_kind == Kind.FLOAT
        cells = np.array(values, np.float64).view(np.int64) if as_float else np.array(values, np.int64)
        out = np.full(n, -7, np.int64)
        known = np.full(n, 7, np.uint8)
        looked = list(range(n)) if rows is None else rows
        fold(
            self.spec, self.arrays, np.array(slots, np.int32), np.array(looked, np.int32), np.array(updates, np.uint8),
            np.array(at_ms, np.int64), cells, out, known,
        )  # fmt: skip
        assert all(out[row] == -7 and known[row] == 7 for row in set(range(n)) - set(looked))
        as_value = as_float and self.spec.kind in FLOAT_KINDS - {"distinct"}
        plain = out.view(np.float64).tolist() if as_value else out.tolist()
        return [plain[row] if known[row] else None for row in looked]


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, int, int]:
    kind = draw(st.sampled_from(["ever", "rolling", "rolling", "day", "month"]))
    if kind != "rolling":
        return kind, 0, 12
    panes = draw(st.sampled_from([1, 2, 3, 5, 12, 30, PANES_MAX]))
    length = draw(st.sampled_from([60_000, 600_000, HOUR_MS, 24 * HOUR_MS, 7 * DAY_MS, 30 * DAY_MS]))
    return kind, length, panes


@st.composite
def streams(draw: st.DrawFn, is_float: bool, window: tuple[str, int, int]) -> list[tuple[int, int, int, Value]]:
    """Rows (subscriber, updates, at_ms, value) that wander around an offset change, some of them late."""
    step = max(window[1] // window[2], 1000) if window[0] == "rolling" else 9 * HOUR_MS
    now = draw(st.sampled_from(CHANGES)) - draw(st.integers(0, 3)) * step
    values: st.SearchStrategy[Value] = (
        st.sampled_from([0.1, 1 / 3, -0.7, 1e16, -1e16]) | st.floats(-1e9, 1e9)
        if is_float
        else st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)
    )
    value: st.SearchStrategy[Value] = st.integers(0, 25) if draw(st.booleans()) else values
    rows: list[tuple[int, int, int, Value]] = []
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0, 0, 1, step // 3, step, 2 * step + 7, 40 * step]))
        late = draw(st.sampled_from([0, 0, 0, 1, step // 2, step, 3 * step, 50 * step]))
        at_ms = (
            rows[draw(st.integers(0, len(rows) - 1))][2] if rows and bool(draw(st.booleans())) else max(now - late, 1)
        )
        rows.append((draw(st.integers(0, SUBSCRIBERS - 1)), draw(st.integers(0, 1)), at_ms, draw(value)))
    return rows


@pytest.mark.parametrize("kind", KINDS_TIMED)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_every_kind_agrees_with_its_definition_whatever_the_window_zone_order_and_batches(
    kind: str, data: st.DataObject
) -> None:
    window = data.draw(windows())
    zone, table = ZONES[data.draw(st.sampled_from(sorted(ZONES)))]
    is_float = kind in FLOAT_KINDS and data.draw(st.booleans())
    rows = data.draw(streams(is_float, window))
    spec = FeatureSpec(
        kind, Kind.FLOAT if is_float else Kind.INT, window[0], window_ms=window[1], panes=window[2], transitions=table
    )
    folded = Folded(spec)
    plain = [Plain(kind, Window(*window, zone), is_float) for _ in range(SUBSCRIBERS)]

    cut = data.draw(st.integers(0, len(rows)))
    found = []
    for batch in (rows[:cut], rows[cut:]):
        columns = [list(column) for column in zip(*batch, strict=True)] or [[], [], [], []]
        found += folded.fold(*columns)

    assert found == [plain[slot].step(at, bool(updates), value) for slot, updates, at, value in rows]


@pytest.mark.parametrize("change", range(len(CHANGES)))
@pytest.mark.parametrize("zone", sorted(ZONES))
def test_a_rolling_window_is_as_long_when_the_clocks_change_as_on_any_other_day(zone: str, change: int) -> None:
    spec = FeatureSpec("count", Kind.INT, "rolling", 24 * HOUR_MS, panes=24, transitions=ZONES[zone][1])
    for minute in range(0, 26 * 60, 7):
        now = CHANGES[change] + minute * 60_000
        reached = [
            Folded(spec).fold([0, 0], [1, 0], [now - age, now], [0, 0])[1] for age in (23 * HOUR_MS - 1, 24 * HOUR_MS)
        ]

        assert reached == [1, 0]


@pytest.mark.parametrize("kind", KINDS_TIMED)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_reading_changes_no_state(kind: str, data: st.DataObject) -> None:
    window = data.draw(windows())
    rows = data.draw(streams(False, window))
    spec = FeatureSpec(kind, Kind.INT, window[0], window_ms=window[1], panes=window[2])
    with_reads, without = Folded(spec), Folded(spec)
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    at, updates_of, moments, values = columns

    with_reads.fold(at, updates_of, moments, values)
    without.fold(at, updates_of, moments, values, rows=[row for row, updates in enumerate(columns[1]) if updates])

    assert all(np.array_equal(*pair) for pair in zip(with_reads.arrays, without.arrays, strict=True))


@pytest.mark.parametrize("kind", KINDS_TIMED)
def test_a_subscriber_never_seen_reads_zero_where_nothing_is_an_amount_and_unknown_elsewhere(kind: str) -> None:
    expected = 0 if kind in {"count", "sum", "distinct"} else None
    assert Folded(FeatureSpec(kind)).fold([0, -1], [0, 1], [10**12] * 2, [5, 5]) == [expected, expected]


def test_a_count_stops_at_its_bound_in_a_pane_and_over_panes() -> None:
    folded = Folded(FeatureSpec("count", window="rolling", window_ms=600_000, panes=2))
    start = 300_000 * 4_000_000
    folded.fold([0, 0], [1, 1], [start, start + 300_000], [0, 0])
    folded.arrays[0][0, 3:] = 2**31 - 2
    folded.arrays[0][0, 2] = 2**31 - 2

    assert folded.fold([0] * 3, [0, 1, 1], [start + 300_000] * 3, [0] * 3) == [2**31 - 1] * 3
    assert folded.fold([0], [0], [start + 600_000], [0]) == [2**31 - 1]


def test_an_integer_sum_stops_at_the_ends_of_64_bits() -> None:
    folded = Folded(FeatureSpec("sum"))
    assert folded.fold([0, 0, 1, 1], [1] * 4, [10**12] * 4, [2**63 - 1, 5, -(2**63), -5]) == [
        2**63 - 1, 2**63 - 1, -(2**63), -(2**63),
    ]  # fmt: skip


@given(st.permutations(range(8)))
@settings(max_examples=60, deadline=None)
def test_a_float_total_is_the_same_to_the_bit_in_whatever_order_its_panes_were_reached(order: list[int]) -> None:
    values = [1e16, 1.0, 1 / 3, -1e16, 0.7, 3.3e15, -0.1, 1e-3]
    spec = FeatureSpec("sum", Kind.FLOAT, "rolling", window_ms=8000, panes=8)
    start = 10**12
    arrived = Folded(spec).fold([0] * 8, [1] * 8, [start + 1000 * k for k in order], [values[k] for k in order])

    oldest_first = 0.0
    for value in values:
        oldest_first += value
    assert arrived[-1] == oldest_first


def test_distinct_stops_at_sixteen_and_is_exact_again_when_the_window_holds_fewer() -> None:
    folded = Folded(FeatureSpec("distinct", window="rolling", window_ms=60_000, panes=3))
    start = 20_000 * 50_000_000
    many = list(range(40))
    assert folded.fold([0] * 40, [1] * 40, [start + i * 1000 for i in many], many)[-1] == 16
    assert folded.fold([0], [0], [start + 60_000], [0]) == [16]
    assert folded.fold([0], [0], [start + 80_000], [0]) == [0]


def test_minus_zero_is_no_value_of_its_own() -> None:
    folded = Folded(FeatureSpec("distinct", Kind.FLOAT))
    assert folded.fold([0, 0], [1, 1], [10**12] * 2, [0.0, -0.0]) == [1, 1]


@pytest.mark.parametrize("kind", KINDS_TIMED)
@pytest.mark.parametrize("ms", [-(2**63), -1, 0, 2**62, 2**63 - 1])
def test_no_time_however_absurd_breaks_a_fold(kind: str, ms: int) -> None:
    for window in ("ever", "rolling", "day", "month"):
        folded = Folded(FeatureSpec(kind, window=window, window_ms=DAY_MS, transitions=ZONES["Europe/Berlin"][1]))
        folded.fold([0, 0, 0], [1, 1, 0], [ms, 10**12, ms], [3, 4, 5])


def test_panes_of_whole_days_begin_at_local_midnight_in_summer_and_winter() -> None:
    zone, table = ZONES["Europe/Berlin"]
    spec = FeatureSpec("count", window="rolling", window_ms=2 * DAY_MS, panes=2, transitions=table)
    for day in (datetime(2000, 1, 10, tzinfo=zone), datetime(2000, 7, 10, tzinfo=zone)):
        midnight = int(day.timestamp() * 1000)
        late_evening = midnight - 1
        assert Folded(spec).fold([0, 0, 0], [1, 0, 0], [late_evening, midnight, midnight + DAY_MS], [0] * 3) == [
            1,
            1,
            0,
        ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": "weekly"}, "window='weekly' must be one of ever, rolling, day, month"),
        ({"window": "rolling", "window_ms": DAY_MS, "panes": 33}, "panes=33 must be >= 1 and <= 32"),
        ({"window": "rolling", "window_ms": 6000, "panes": 12}, "panes of 500 ms, must be >= 1000 ms"),
    ],
)
def test_a_window_out_of_bounds_is_refused_with_the_bound(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        FeatureSpec("count", **arguments)


def test_a_row_takes_the_bytes_that_the_memory_budget_counts_with() -> None:
    def size(kind: str, **window: Any) -> int:
        return sum(column.row_bytes for column in columns_of(FeatureSpec(kind, **window)))

    rolling = {"window": "rolling", "window_ms": HOUR_MS}
    assert [size("count"), size("count", **rolling), size("sum", **rolling)] == [12, 60, 112]
    assert [size("last"), size("previous"), size("since"), size("distinct", **rolling)] == [16, 32, 8, 152]


@pytest.mark.parametrize("kind", KINDS_TIMED)
def test_an_array_of_another_shape_in_memory_is_refused_before_any_address_is_used(kind: str) -> None:
    spec = FeatureSpec(kind)
    arrays = [np.zeros((4, column.width), column.dtype) for column in columns_of(spec)]
    ints, bytes_ = np.zeros(4, np.int32), np.zeros(4, np.uint8)
    cells = np.zeros(4, np.int64)
    with pytest.raises(TypingError, match="must be C-contiguous of int32"):
        fold(spec, arrays, cells, ints, bytes_, cells, cells, cells, bytes_)  # type: ignore[arg-type]  # the point
    with pytest.raises(TypingError, match="must be C-contiguous of int64"):
        fold(spec, arrays, ints, ints, bytes_, np.zeros(8, np.int64)[::2], cells, cells, bytes_)


def declared(*names: str) -> FeatureSpec:
    return FeatureSpec("lists", Kind.STRING, members=tuple(hash_text(name.encode()) for name in names))


def lists_rows(spec: FeatureSpec, arrays: list[Any], steps: list[tuple[str, int]]) -> list[int]:
    n = len(steps)
    out, known = np.zeros(n, np.int64), np.zeros(n, np.uint8)
    cells = np.array([hash_text(name.encode()) for name, _ in steps], np.int64)
    updates = np.array([action for _, action in steps], np.uint8)
    zeros = np.zeros(n, np.int32)
    fold(spec, arrays, zeros, np.arange(n, dtype=np.int32), updates, np.zeros(n, np.int64), cells, out, known)
    assert known.all()
    return [int(value) for value in out]


def test_membership_of_lists_survives_another_order_of_declaration() -> None:
    before, after = declared("vip", "silent", "staff"), declared("new", "silent", "vip")
    arrays = [np.zeros((4, column.width), column.dtype) for column in columns_of(before)]

    assert lists_rows(before, arrays, [("vip", JOINS), ("silent", JOINS), ("vip", JOINS), ("staff", LEAVES)]) == [
        1,
        3,
        3,
        3,
    ]
    assert lists_rows(after, arrays, [("", 0), ("vip", LEAVES)]) == [6, 2]


@given(st.lists(st.tuples(st.integers(0, 11), st.sampled_from([JOINS, LEAVES])), max_size=60))
@settings(max_examples=50, deadline=None)
def test_no_joining_of_a_declared_list_is_lost_even_after_all_others_were_renamed(steps: list[tuple[int, int]]) -> None:
    old, new = declared(*(f"old{k}" for k in range(12))), declared(*(f"list{k}" for k in range(12)))
    arrays = [np.zeros((4, column.width), column.dtype) for column in columns_of(old)]
    assert lists_rows(old, arrays, [(f"old{k}", JOINS) for k in range(12)])[-1] == 0xFFF

    held = 0
    expected = []
    for k, action in steps:
        held = held | 1 << k if action == JOINS else held & ~(1 << k)
        expected.append(held)
    assert lists_rows(new, arrays, [(f"list{k}", action) for k, action in steps]) == expected


def test_a_list_event_whose_member_is_false_leaves() -> None:
    updates = np.array([JOINS, JOINS, 0, JOINS], np.uint8)
    rows, members = np.array([0, 1, 2], np.int32), np.array([1, 0, 0, 0])
    mark_leaves(rows.ctypes.data, 3, members.ctypes.data, updates.ctypes.data)
    assert updates.tolist() == [JOINS, LEAVES, 0, JOINS]


def test_an_undeclared_list_can_be_left_but_not_joined() -> None:
    spec = declared("vip")
    arrays = [np.zeros((1, column.width), column.dtype) for column in columns_of(spec)]
    arrays[0][0, 3] = stable_id("gone")
    assert lists_rows(spec, arrays, [("other", JOINS), ("gone", LEAVES)]) == [0, 0]
    assert not arrays[0].any()


def test_the_default_zone_is_utc() -> None:
    assert FeatureSpec("count").transitions.tolist() == fixed_zone(0).tolist()


@pytest.mark.parametrize("kind", LIST_KINDS)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 10),
            st.sampled_from([0, JOINS, JOINS, LEAVES]),
            st.integers(0, 9),
            st.sampled_from([None, None, 0, 1, 3, 20]),
        ),
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_membership_holds_until_its_end_and_no_longer(
    kind: str, steps: list[tuple[int, int, int, int | None]]
) -> None:
    names = [f"list{number}" for number in range(9)]  # list9 is not declared
    spec = FeatureSpec(kind, Kind.STRING, members=tuple(hash_text(name.encode()) for name in names))
    arrays = [np.zeros((2, column.width), column.dtype) for column in (*columns_of(spec), ends_of(spec))]
    n, now, held, expected = len(steps), 1, dict[int, int](), []
    updates, times, cells, ends = (np.zeros(n, np.int64) for _ in range(4))
    for at, (passed, action, number, lasts) in enumerate(steps):
        now += passed
        end = 0 if lasts is None else now + lasts
        updates[at], times[at], cells[at], ends[at] = action, now, hash_text(f"list{number}".encode()), end
        if action == LEAVES or (action == JOINS and lasts == 0):
            held.pop(number, None)
        elif action == JOINS and number < len(names):
            held[number] = end
        expected.append(sum(1 << one for one, until in held.items() if until == 0 or until > now))

    out, known = np.zeros(n, np.int64), np.zeros(n, np.uint8)
    slots = np.ones(n, np.int32)
    for rows in np.array_split(np.arange(n, dtype=np.int32), 3):
        fold(spec, arrays, slots, rows, updates.astype(np.uint8), times, cells, out, known, ends)

    assert out.tolist() == expected
    assert known.all()
    assert [array[0].any() for array in arrays] == [False] * len(arrays)

"""A row is folded once, whichever intakes packed it, how often, and however their frames are cut and mixed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtimes.cluster.shared.packed_records import leave_out_repeated, pack_offsets, unpack_offsets
from state.batch import Row, from_rows
from state.frame import Frame, FrameKind
from state.schema import make_schema

SCHEMA = make_schema((), ())


OFFSETS = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=50).map(sorted)


@given(st.lists(OFFSETS, min_size=1, max_size=4))
def test_offsets_read_back_as_they_were_packed(parts: list[list[int]]) -> None:
    data = pack_offsets([np.array(part, np.int64) for part in parts])

    offsets, counts = unpack_offsets(data, len(parts), sum(map(len, parts)))

    assert offsets.tolist() == [offset for part in parts for offset in part]
    assert counts.tolist() == list(map(len, parts))


def test_offsets_of_another_number_of_rows_or_partitions_are_refused() -> None:
    one, two = pack_offsets([np.array([7, 8])]), pack_offsets([np.array([7, 8]), np.array([3])])

    with pytest.raises(ValueError, match="offsets of 3 rows of 1 partitions have 12 bytes"):
        unpack_offsets(one, 1, 3)
    with pytest.raises(ValueError, match="offsets of 2 rows of 0 partitions"):
        unpack_offsets(one, 0, 2)
    with pytest.raises(ValueError, match=r"rows of 2 partitions=\[3, 0\] must be >= 1"):
        unpack_offsets(two[:16] + (3).to_bytes(8, "little") + two[24:], 2, 3)


def frame(pieces: list[tuple[int, list[int], int]]) -> Frame:
    """A frame of pieces of raw partitions, each with its number, its offsets and its end.

    A row's subscriber tells partition and offset, so that rows can be told apart.
    """
    rows = [
        Row("visit", subscriber(number, offset), 0, {"terminal": "t", "visit": "v", "open": True, "cause": ""})
        for number, offsets, _ in pieces
        for offset in offsets
    ]
    payload = pack_offsets([np.array(offsets) for _, offsets, _ in pieces])
    sources = {f"raw/{number}": end for number, _, end in pieces}
    return Frame(FrameKind.EVENTS, 0, from_rows(SCHEMA, rows), sources, payload=payload)


def subscriber(number: int, offset: int) -> int:
    return number * 1000 + offset + 1


@st.composite
def intakes(draw: st.DrawFn) -> tuple[list[list[int]], list[list[tuple[int, int, int]]]]:
    """The raw offsets of the rows of two raw partitions; frames in the order in which the log has them.

    An intake begins a raw partition at an offset that was committed: at or below all that stands in the log when it
    begins. So it begins somewhere at or before the end of what is written, and what it writes is contiguous. A frame
    has a piece of either partition or of both; rebalances give them to different intakes, or to several at once.
    """
    count = draw(st.integers(1, 15))
    owned = [sorted(draw(st.sets(st.integers(0, count - 1), min_size=1))) for _ in range(2)]
    intakes: list[dict[int, list[tuple[int, int]]]] = []
    log: list[list[tuple[int, int, int]]] = []
    for _ in range(draw(st.integers(1, 4))):
        intakes.append({number: lane(draw, log, number, count) for number in draw(st.sets(st.integers(0, 1)))})
        for _ in range(draw(st.integers(0, 5))):
            mine = draw(st.sampled_from(intakes))
            ready = [number for number, cuts in mine.items() if cuts]
            chosen = draw(st.lists(st.sampled_from(ready), min_size=1, unique=True)) if ready else []
            log.append([(number, *mine[number].pop(0)) for number in chosen])
    return owned, [*log, [(number, reached(log, number), count) for number in range(2)]]


def lane(draw: st.DrawFn, log: list[list[tuple[int, int, int]]], number: int, count: int) -> list[tuple[int, int]]:
    """What an intake that begins now will read of a raw partition: pieces one after the other, (from, to)."""
    committed = draw(st.integers(0, reached(log, number)))
    cuts = sorted(draw(st.sets(st.integers(committed + 1, count), min_size=1))) if committed < count else []
    return list(zip([committed, *cuts], cuts, strict=False))  # no piece begins at the last cut


def reached(log: list[list[tuple[int, int, int]]], number: int) -> int:
    return max((high for pieces in log for one, _, high in pieces if one == number), default=0)


@given(intakes())
def test_every_row_is_folded_once_in_the_order_of_its_raw_partition(
    world: tuple[list[list[int]], list[list[tuple[int, int, int]]]],
) -> None:
    owned, log = world
    positions: dict[str, int] = {}
    folded: list[int] = []
    left_out = written = 0
    for pieces in log:
        held = [
            (number, [offset for offset in owned[number] if low <= offset < high], high) for number, low, high in pieces
        ]
        held = [piece for piece in held if piece[1]]
        if held:
            one = frame(held)
            assert one.batch is not None
            written += one.batch.n
            left_out += leave_out_repeated(one, positions).shape[0]
            positions |= one.sources
            folded += one.batch.subscriber.tolist()

    for number, offsets in enumerate(owned):
        of_it = [one for one in folded if one // 1000 == number]
        assert of_it == [subscriber(number, offset) for offset in offsets]
    assert left_out == written - sum(map(len, owned))


def test_a_frame_of_the_engine_itself_passes_as_it_is() -> None:
    one = frame([(0, [1, 2], 3)])
    one.payload = b""

    assert leave_out_repeated(one, {"raw/0": 3}).tolist() == []
    assert one.batch is not None
    assert one.batch.n == 2

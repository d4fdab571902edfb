"""A row is folded once, whichever intakes packed it, how often, and however their frames are cut and mixed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtimes.cluster.records import leave_out_repeated, pack_offsets, unpack_offsets
from state.batch import Row, from_rows
from state.frame import Frame, FrameKind
from state.schema import make_schema

SCHEMA = make_schema((), ())


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=50).map(sorted))
def test_offsets_read_back_as_they_were_packed(offsets):
    data = pack_offsets(np.array(offsets, np.int64))

    assert unpack_offsets(data, len(offsets)).tolist() == offsets


def test_offsets_of_another_number_of_rows_are_refused():
    with pytest.raises(ValueError, match="offsets of 3 rows have 12 bytes"):
        unpack_offsets(pack_offsets(np.array([7, 8], np.int64)), 3)


def frame(offsets, end):
    """A frame of one raw partition; a row's subscriber is its offset, so that rows can be told apart."""
    rows = [
        Row("visit", offset + 1, 0, {"terminal": "t", "visit": "v", "open": True, "cause": ""}) for offset in offsets
    ]
    return Frame(FrameKind.EVENTS, 0, from_rows(SCHEMA, rows), {"raw/0": end}, payload=pack_offsets(np.array(offsets)))


@st.composite
def intakes(draw):
    """The raw offsets of one partition's rows; what each intake writes of them; in which order the log has it.

    An intake begins at an offset that was committed: at or below all that stands in the log when it begins. So each
    begins somewhere at or before the end of what is written, and what it writes is contiguous.
    """
    count = draw(st.integers(1, 30))
    owned = sorted(draw(st.sets(st.integers(0, count - 1), min_size=1)))
    lanes, log = [], []
    for _ in range(draw(st.integers(1, 4))):
        written = [end for _, end in log]
        committed = draw(st.integers(0, min(max(written, default=0), count)))
        cuts = sorted(draw(st.sets(st.integers(committed + 1, count), min_size=1))) if committed < count else []
        lanes.append([(low, high) for low, high in zip([committed, *cuts], cuts, strict=False)])
        for _ in range(draw(st.integers(0, 5))):
            lane = draw(st.sampled_from(lanes))
            if lane:
                log.append(lane.pop(0))
    last = max((end for _, end in log), default=0)
    return owned, [*log, (last, count)]


@given(intakes())
def test_every_row_is_folded_once_in_order(world):
    owned, log = world
    reached, folded, left_out = {}, [], 0
    for low, high in log:
        offsets = [offset for offset in owned if low <= offset < high]
        if offsets:
            one = frame(offsets, high)
            left_out += leave_out_repeated(one, reached).shape[0]
            reached |= one.sources
            folded += (one.batch.subscriber - 1).tolist()

    assert folded == owned
    assert left_out == sum(low <= offset < high for low, high in log for offset in owned) - len(owned)


def test_a_frame_of_the_engine_itself_passes_as_it_is():
    one = frame([1, 2], 3)
    one.payload = b""

    assert leave_out_repeated(one, {"raw/0": 3}).tolist() == []
    assert one.batch.n == 2

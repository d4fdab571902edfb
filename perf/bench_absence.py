"""What does a deadline cost: re-armed by every event, when it comes, and looked for again at a start?

Events of one type fold into one count, with and without a rule `for = "30d"` that each of them begins anew; the
difference in CPU time is the price of re-arming. Then time passes: every deadline becomes a row, its frame is encoded,
folded, judged, and its record encoded, as the engine does between two syncs. A plain program keeps the last event of
each subscriber in a dict: count and checksum of what came must be the same. At last the hints are made anew.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.flow.deadlines import NONE_MS
from perf.folding import BOOK, FRAME_ROWS, Run, frames, whole_frames
from perf.measure import arguments
from perf.report import keep, table
from state.frame import Encoder, Frame, FrameKind

SPAN_MS = 30 * 86_400_000
DUE_ROWS = 2_048
RULE = """
[[rule]]
id = "silent"
after = "use"
for = "30d"
channels = ["alert"]
"""


def rearming(run: Run, subscribers: int, events: int) -> tuple[float, NDArray[np.int64], NDArray[np.int64]]:
    """Return nanoseconds an event, after one round in which all is touched, and who was seen last when."""
    some = frames(run, subscribers, events)
    last: dict[int, int] = {}
    for batch in some:
        run.fold(batch)
    spent_s = 0.0
    for batch in some:
        batch.at_ms += events
        batch.log_ms += events
        spent_s += run.fold(batch)
        last.update(zip(batch.subscriber.tolist(), batch.at_ms.tolist(), strict=True))
    return spent_s / events * 1e9, np.array([*last]), np.array([*last.values()])


def firing(run: Run) -> tuple[float, int, int]:
    """Let every deadline come; return microseconds a deadline, how many came, and a checksum."""
    encoder, count, checksum = Encoder(), 0, 0
    began_s = time.process_time()
    while run.deadlines.next_ms < NONE_MS:
        batch = run.deadlines.take(NONE_MS - 1, DUE_ROWS)
        if batch is not None:
            encoder.encode(Frame(FrameKind.EVENTS, int(batch.log_ms[-1]), batch))
            run.fold(batch)
            count += batch.n
            checksum += int((batch.at_ms ^ batch.subscriber).sum())
    return (time.process_time() - began_s) / max(count, 1) * 1e6, count, checksum


def measure(subscribers: int, events: int) -> dict[str, Any]:
    """Return every figure."""
    without, _, _ = rearming(Run(BOOK, subscribers), subscribers, events)
    run = Run(BOOK + RULE, subscribers)
    with_, who, when = rearming(run, subscribers, events)
    began_s = time.process_time()
    run.deadlines.note_all()
    rebuild_s = time.process_time() - began_s
    fired_us, count, checksum = firing(run)
    due = -(-(when + SPAN_MS) // 1000) * 1000
    assert count == run.records == run.deadlines.fired == who.shape[0]
    assert checksum % (1 << 64) == int((due ^ who).sum()) % (1 << 64)
    return {
        "subscribers": subscribers, "events": events, "without_ns": round(without, 1), "with_ns": round(with_, 1),
        "rearm_ns": round(with_ - without, 1), "fired": count, "fired_us": round(fired_us, 2),
        "rebuild_ms": round(rebuild_s * 1000, 1), "hint_bytes": run.deadlines.hint_bytes,
    }  # fmt: skip


def main() -> None:
    """Measure with as many subscribers as the design has in memory, or a few."""
    given = arguments(__doc__, events=4_000_000, subscribers=2_000_000, quick_events=40_000, quick_subscribers=20_000)
    measure(64, FRAME_ROWS)  # compiled, or loaded
    found = measure(given.subscribers, whole_frames(given.events))
    print(table(("deadlines", "measured"), [*found.items()]))
    keep("absence", found, path=given.results)


if __name__ == "__main__":
    main()

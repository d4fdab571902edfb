"""The same work as one would write it in Faust at first: an agent that takes one event a record, and a Table.

    python perf/plain_faust.py BROKER TOPIC FOLDER EVENTS      prints CPU-seconds a million, then ends

What it does of the small book is one feature an event (a count by subscriber and type, where the book has one to three)
and nothing else: no rule, no cap, no decision.
It runs in a process of its own, because Faust wants to be the program.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import faust


def main() -> None:
    """Consume EVENTS events and say what the last half of them cost."""
    broker, topic_name, folder, events = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        "plain",
        broker=f"kafka://{broker}",
        store="rocksdb://",
        datadir=str(folder / "faust"),
        web_enabled=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_partitions=4,
        consumer_auto_offset_reset="earliest",
    )
    counts = app.Table("counts", default=int, partitions=4)
    counted = [0, 0.0, 0.0]

    async def count(stream: Any) -> None:
        async for event in stream:
            counts[f"{event['type']}/{event['msisdn']}"] += 1
            counted[0] += 1
            if counted[0] == events // 2:
                counted[1:] = [time.process_time(), time.monotonic()]
            if counted[0] == events:
                taken = events - events // 2
                cpu = (time.process_time() - counted[1]) / taken
                rate = taken / (time.monotonic() - counted[2])
                print(f"\n{cpu * 1e6:.1f} {rate:.0f}", flush=True)  # after what Faust draws
                os._exit(0)

    app.agent(app.topic(topic_name, value_serializer="json", key_serializer="raw"))(count)
    faust.Worker(
        app, loglevel="ERROR", redirect_stdouts=False, quiet=True, loop=asyncio.new_event_loop()
    ).execute_from_commandline()


if __name__ == "__main__":
    main()

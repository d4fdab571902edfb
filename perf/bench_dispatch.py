"""How many texts a second go from a decision to a message centre, durably, and back into the log?

One process on one core: dispatch with its outbox on disk, the SMPP gateway (2 links, window 100) and the simulated
message centre with receipts. `python perf/bench_dispatch.py [COUNT] [FOLDER]`
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.gateways.smpp import Config, Gateway
from connectors.gateways.smpp.simulator import Simulator, SimulatorConfig
from engine.dispatch import ChannelPolicy, Decided, Dispatcher, LocalOutbox, Policy, Report
from state.decisions import OutcomeState

TEXT = "尊敬的用户，您正在拨打长途，加拨12593更优惠。回复TD退订"


class _Log:
    """Counts outcomes; a group commit of 2 ms stands for the real log."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(OutcomeState, 0)

    async def outcomes(self, said: Sequence[Report], contact_ms: Sequence[int | None]) -> None:  # noqa: ARG002 no caps here
        await asyncio.sleep(0.002)
        for report in said:
            self.counts[report.state] += 1

    async def member(self, *said: object, **more: object) -> tuple[int, int]:
        raise AssertionError(f"nobody opts out here: {said} {more}")

    async def reply(self, *said: object) -> bool:
        raise AssertionError(f"nobody replies here: {said}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _decisions(count: int) -> Iterator[Decided]:
    append_ms = _now_ms()
    for number in range(count):
        subscriber = 8613800000000 + number % 100_000
        yield Decided(
            f"0-{number}-0-7", subscriber, "first-long-distance", "12593-care", "sms", "12593", TEXT, "commercial",
            append_ms, 600_000, 60,
        )  # fmt: skip


async def _run(count: int, folder: Path) -> None:
    os.environ["BENCH_SMSC_PASSWORD"] = "secret"
    simulator = Simulator(SimulatorConfig(receipt_ms=20))
    await simulator.start()
    settings = {"kind": "smpp", "host": "127.0.0.1", "port": simulator.port, "system_id": "opportune", "links": 2}
    config = Config.model_validate({**settings, "password": {"env": "BENCH_SMSC_PASSWORD"}, "window": 100})
    policy = Policy({"sms": ChannelPolicy(("smsc",))}, queue_max=10_000)
    log = _Log()
    outbox = LocalOutbox(folder / "outbox")
    dispatcher = Dispatcher(policy, {"smsc": Gateway("smsc", config, _now_ms)}, None, log, _now_ms, outbox)
    await dispatcher.start()
    source = _decisions(count)
    begun, cpu, offered = time.perf_counter(), time.process_time(), 0
    while log.counts[OutcomeState.COMMITTED] < count:
        # Not strict: as many as there is room for, of the decisions that are left.
        batch = [what for _, what in zip(range(min(500, dispatcher.room())), source, strict=False)]
        offered += len(batch)
        dispatcher.offer(batch, {"0": offered})
        await asyncio.sleep(0.002)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    while log.counts[OutcomeState.DELIVERED] < count:  # noqa: ASYNC110 - the log has no event
        await asyncio.sleep(0.01)
    both = time.perf_counter() - begun
    kept = outbox.kept_bytes
    await dispatcher.stop()
    await simulator.stop()
    sys.stdout.write(
        f"texts {count}  sends/s {count / seconds:.0f}  CPU us/send {cpu / count * 1e6:.0f}  "
        f"with receipts/s {count / both:.0f}  outbox MB {kept / 1e6:.0f}\n"
    )


def main() -> None:
    """Measure once, on the highest core this process may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        asyncio.run(_run(count, Path(folder)))


if __name__ == "__main__":
    main()

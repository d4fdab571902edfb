"""What a process that dies had on its screens is there when it comes back."""

from pathlib import Path

import pytest

from connectors.desk.kept import KeptPanels
from connectors.desk.model import Reply
from connectors.desk.queue import MemoryQueue, QueueLost
from state.disk import DiskFullError, SimulatedDisk
from tests.connectors.desk.world import ANNA, BERT, HandClock, card, desk_over

FOLDER = Path("desk")


def kept_queue(disk: SimulatedDisk, segment_bytes: int = 4096) -> MemoryQueue:
    return MemoryQueue(300_000, 2_000, KeptPanels(FOLDER, disk, segment_bytes))


async def test_a_process_that_comes_back_has_its_visits_cards_and_what_it_owes() -> None:
    disk, clock = SimulatedDisk(), HandClock()
    queue = kept_queue(disk)
    await queue.start()
    desk, log = desk_over(queue, clock)
    await desk.open_visit("t1", ANNA, "v1")
    await desk.open_visit("t2", BERT, "v2")
    await desk.close_visit("v2")
    for name in ("d1", "d2"):
        await desk.offer(ANNA, card(name))
    log.refuses = True
    with pytest.raises(Exception, match="no space left"):
        await desk.answer("d2", Reply.DECLINE)
    before = {terminal: await queue.read(terminal) for terminal in ("t1", "t2")}
    await queue.stop()

    again = kept_queue(disk)
    await again.start()
    assert {terminal: await again.read(terminal) for terminal in ("t1", "t2")} == before
    assert [await again.find("subscriber", number) for number in (ANNA, BERT)] == ["t1", ""]
    desk, log = desk_over(again, clock)
    assert (await desk.answer("d1", Reply.ACCEPT))[0].value == "recorded"
    clock.now += 10_000
    await desk.sweep()
    assert sorted(log.told()) == ["d1 accept", "d2 decline"]
    await again.stop()


async def test_the_files_stay_in_proportion_to_what_stands_on_the_screens() -> None:
    disk, clock = SimulatedDisk(), HandClock()
    queue = kept_queue(disk)
    await queue.start()
    desk, _ = desk_over(queue, clock)
    await desk.open_visit("quiet", BERT, "v-quiet")
    for number in range(300):
        await desk.open_visit(f"t{number % 10}", ANNA + number, f"v{number}")
    await queue.stop()

    kept = KeptPanels(FOLDER, disk, 4096)
    panels = kept.read()
    live = sum(len(panel.model_dump_json()) for panel in panels)
    assert len(panels) == 11
    assert {panel.visit.id for panel in panels if panel.visit} == {"v-quiet", *(f"v{n}" for n in range(290, 300))}
    assert kept.kept_bytes < 3 * (live + 4096)
    kept.close()


async def test_a_change_that_the_disk_does_not_take_is_not_made_and_the_next_one_is() -> None:
    full = False

    def refuse(operation: str, _: Path) -> None:
        if full and operation == "write":
            raise DiskFullError("no room")

    disk, clock = SimulatedDisk(on_step=refuse), HandClock()
    queue = kept_queue(disk)
    await queue.start()
    desk, _ = desk_over(queue, clock)
    await desk.open_visit("t1", ANNA, "v1")
    full = True
    with pytest.raises(QueueLost, match="no room"):
        await desk.offer(ANNA, card("d1"))
    assert not queue.within_reach
    assert (await queue.read("t1")).cards == ()

    full = False
    assert (await desk.offer(ANNA, card("d1"))).value == "shown"
    assert queue.within_reach
    await queue.stop()

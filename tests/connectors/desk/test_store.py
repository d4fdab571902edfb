"""What a process that dies had on its screens is there when it comes back."""

from pathlib import Path

import pytest

from connectors.desk.model import Panel, Reply
from connectors.desk.queue import MemoryQueue, QueueLostError
from connectors.desk.store import PanelStore
from state.disk import DiskFullError
from tests.connectors.desk.world import ANNA, BERT, HandClock, card, desk_over
from tests.fakes.disk import SimulatedDisk

FOLDER = Path("desk")


def kept_queue(disk: SimulatedDisk, segment_bytes: int = 4096) -> MemoryQueue:
    return MemoryQueue(300_000, 2_000, PanelStore(FOLDER, disk, segment_bytes))


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


def panel(terminal: str, number: int) -> Panel:
    return Panel(terminal=terminal, changed_ms=number, cards=(card(f"d{number}"),))


def many(store: PanelStore, first: int, last: int) -> None:
    """Change one of ten terminals at a time, each change durable before the next."""
    for number in range(first, last):
        store.append([panel(f"t{number % 10}", number)], number)
        store.sync()


def test_the_files_stay_in_proportion_to_what_stands_on_the_screens() -> None:
    disk = SimulatedDisk()
    store = PanelStore(FOLDER, disk, 4096)
    store.append([panel("quiet", 0)], 0)
    many(store, 0, 300)
    store.close()

    store = PanelStore(FOLDER, disk, 4096)
    panels = store.read()
    live = sum(len(one.model_dump_json()) for one in panels)
    assert {one.changed_ms for one in panels if one.terminal != "quiet"} == set(range(290, 300))
    assert len(panels) == 11
    assert store.kept_bytes < 3 * (live + 4096)
    store.close()


def test_panels_that_were_all_forgotten_leave_room_for_the_next_ones() -> None:
    store = PanelStore(FOLDER, SimulatedDisk(), 4096)
    number = 0
    while store._written_again < 0:  # until old files wait for what was written again
        store.sync()
        store.append([panel(f"t{number % 10}", number)], number)
        number += 1
    store.sync()
    for terminal in range(10):
        store.forget(f"t{terminal}")
    many(store, 1000, 1100)
    assert store.kept_bytes < 5 * 4096
    store.close()


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
    with pytest.raises(QueueLostError, match="no room"):
        await desk.offer(ANNA, card("d1"))
    assert not queue.within_reach
    assert (await queue.read("t1")).cards == ()

    full = False
    assert (await desk.offer(ANNA, card("d1"))).value == "shown"
    assert queue.within_reach
    await queue.stop()

"""One customer's data in a cluster: exported by the worker that owns its partition, erased by any."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.runtimes.cluster.operations import TopicOperations
from engine.runtimes.cluster.shared.texts import OldTexts
from engine.serve.controls import RequestError
from state.batch import Row, Value, from_rows
from state.frame import Frame, FrameKind
from tests.engine.cluster.standins import NOT_USED
from tests.engine.cluster.test_fold import COMPILED, KafkaLog, fold_of
from tests.engine.world import BASE_MS
from tests.fakes.store import MemoryStore

WHO = 8613800000001


class World:
    """A worker that owns the one partition."""

    def __init__(self) -> None:
        self.log, self.store = KafkaLog(), MemoryStore()
        self.fold = fold_of(self.log, self.store)
        self.fold.recover(lambda _: None)
        self.position = 0
        self.erased: list[int] = []
        owned = {0: SimpleNamespace(fold=self.fold, folded=0)}
        self.decide: Any = SimpleNamespace(owned=owned)

    def take(self, *rows: Row) -> None:
        """Append a frame and fold it."""
        batch = from_rows(COMPILED.book.schema, rows)
        batch.log_ms[:] = BASE_MS
        self.log.append(Frame(FrameKind.EVENTS, BASE_MS, batch))
        self.position += 1
        self.fold.apply(self.position, Frame(FrameKind.EVENTS, BASE_MS, batch))
        self.decide.owned[0].folded = self.position

    async def erase(self, subscriber: int) -> None:
        self.erased.append(subscriber)

    @property
    def operations(self) -> TopicOperations:
        control: Any = SimpleNamespace(active=COMPILED.book)
        here: Any = self
        return TopicOperations(
            ["decide"], control, NOT_USED, here, self.decide, None, None, OldTexts(NOT_USED), 1, lambda: None
        )


def calls(who: int, name: str = "A") -> list[Row]:
    values: dict[str, Value] = {"kind": "long", "seconds": 120}
    return [Row("profile", who, BASE_MS, {"name": name}), Row("call", who, BASE_MS, values)]


async def test_the_owner_exports_what_its_partition_keeps_and_another_worker_says_whom_to_ask() -> None:
    world = World()
    world.take(*calls(WHO), *calls(WHO + 1, "B"))
    found = await world.operations.export(WHO)
    assert found["state"]["values"] == {"name": "A", "long_calls": 1, "spent": 0}
    assert [(one["rule"], one["state"]) for one in found["contacts"]] == [("long-care", "reserved")]
    world.decide.owned.clear()
    with pytest.raises(RequestError, match="partition=0 of that number is not decided here"):
        await world.operations.export(WHO)


async def test_one_that_sleeps_is_exported_too_and_one_that_nobody_has_leaves_no_trace() -> None:
    world = World()
    world.take(*calls(WHO))
    slot = np.array([world.fold.table.find(WHO)], np.int32)
    world.fold.flusher.put_to_sleep(slot, world.position)
    assert world.fold.table.find(WHO) < 0
    assert (await world.operations.export(WHO))["state"]["values"]["name"] == "A"
    before = world.fold.table.count
    assert (await world.operations.export(WHO + 5))["state"]["values"] == {}
    assert world.fold.table.count == before


async def test_any_worker_erases_and_a_new_owner_that_redoes_the_log_knows_no_more() -> None:
    world = World()
    await world.operations.erase(WHO)
    assert world.erased == [WHO]
    world.take(*calls(WHO), *calls(WHO + 1, "B"))
    world.take(Row("owner", WHO, BASE_MS, {"erased": True}))
    again = World()
    again.log = world.log
    again.fold = fold_of(world.log, MemoryStore())
    again.fold.recover(lambda _: None)
    for fold in (world.fold, again.fold):
        known = fold.known(WHO, 9)
        other = fold.known(WHO + 1, 9)
        assert known is not None
        assert other is not None
        assert (known.contacts, "name" in known.cells, known.cells["long_calls"]) == ([], False, 0)
        assert ("name" in other.cells, len(other.contacts)) == (True, 1)

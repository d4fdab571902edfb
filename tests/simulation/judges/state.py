"""State: memory must be what a clean fold of the durable log makes of it."""

from typing import Any

import numpy as np

from engine.flow.partition import Partition
from state.contacts import UNCAPPED
from tests.simulation.judges.contacts import parts_of
from tests.simulation.judges.holding import hold
from tests.simulation.judges.known import Known
from tests.simulation.judges.twin import Twin, packed, slots_of


class StateJudges(Known):
    """Holds the state of a partition against its twin."""

    def check_state(self, partition: Partition) -> None:
        """Memory must equal the twin's, for every subscriber in it."""
        twin = self.twins[partition.number]
        what = f"partition {partition.number} position {len(self.frames[partition.number]) - 1}"
        same = "state equals a clean fold"
        hold(partition.book_version == twin.book_version, same, f"{what}: book")
        hold(partition.sources == twin.sources, same, f"{what}: sources {partition.sources} {twin.sources}")
        hold(partition.clock_ms == twin.clock_ms, same, f"{what}: clock")
        hold(partition.decider.paused == twin.decider.paused, same, f"{what}: paused")
        count = partition.table.count + partition.flusher.sleeping
        hold(count == twin.table.count, same, f"{what}: subscribers {count} {twin.table.count}")
        here, there = slots_of(partition.table, twin.table)
        hold(bool((there >= 0).all()), same, f"{what}: somebody nobody knows")
        keys = set(partition.table.keys())
        hold(keys == set(twin.table.keys()), same, f"{what}: columns {keys ^ set(twin.table.keys())}")
        for key in twin.table.keys():  # noqa: SIM118 a method of Table, not a dict's
            for mine, clean in zip(partition.table.columns(key), twin.table.columns(key), strict=True):
                if mine[here].tobytes() == clean[there].tobytes():
                    continue
                equal = (mine[here].view(np.uint8) == clean[there].view(np.uint8)).all(axis=1)
                wrong = partition.table.subs[here[~equal]].tolist()
                hold(not wrong, same, f"{what}: column {key} of {wrong[:3]}")
        self._check_contacts(partition, twin, here, there, what)

    def _check_contacts(self, partition: Partition, twin: Twin, here: Any, there: Any, what: str) -> None:
        if not np.array_equal(packed(partition.contacts, here), packed(twin.contacts, there)):
            for mine, clean in zip(here.tolist(), there.tolist(), strict=True):
                left, right = partition.contacts.of(mine), twin.contacts.of(clean)
                hold(left == right, "state equals a clean fold", f"{what}: contacts {left} {right}")
        touched, self.touched[partition.number] = self.touched[partition.number], {}
        for subscriber in touched:
            slot = twin.table.find(subscriber)
            if subscriber in self.overflowed:
                continue
            counted = [one for one in twin.contacts.of(slot) if not one["state"] & UNCAPPED]
            kept = [(one["position"], one["row"], one["rule"]) for one in counted]
            known = [tuple(parts[1:]) for parts in map(parts_of, self.contacts[subscriber])]
            hold(kept == known, "refunds free their own place, once", f"{what} {subscriber}: {kept} {known}")

    def check_calls(self, p: int) -> None:
        """A feature that anybody can count must have counted right."""
        twin = self.twins[p]
        compiled = twin.decider.compiled
        assert compiled is not None
        index = compiled.book.feature_index("calls")
        column = twin.decider._arrays[index][0].reshape(twin.table.capacity, -1)
        for subscriber, count in self.calls.items():
            slot = twin.table.find(subscriber)
            if slot >= 0:
                hold(int(column[slot, -1]) == count, "a call counts once", f"{subscriber}: {column[slot]} {count}")

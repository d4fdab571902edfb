"""What was promised to a subscriber is remembered in order, whatever comes and goes beside it."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from state.contact_packing import pack_contacts, packed_bytes, unpack_contacts
from state.contacts import COMMITTED, RESERVED, SERVICE, Contacts, make_room, reserve, settle

SLOTS = 6
LIMIT = 11

slots = st.integers(0, SLOTS - 1)
numbers = st.integers(1, 2**31 - 1)
steps = st.one_of(
    st.tuples(st.just("reserve"), slots, st.integers(0, 99), numbers, st.booleans()),
    st.tuples(st.just("settle"), slots, st.integers(0, LIMIT), st.booleans()),
    st.tuples(st.just("release"), slots),
    st.tuples(st.just("move"), st.lists(slots, unique=True, min_size=1)),
)


class Model:
    """Contacts as lists."""

    def __init__(self) -> None:
        self.of: list[list[dict[str, int]]] = [[] for _ in range(SLOTS)]
        self.floor = [0] * SLOTS

    def make_room(self, slot: int, horizon_ms: int) -> bool:
        held = self.of[slot]
        if len(held) < LIMIT:
            return True
        oldest = min(range(LIMIT), key=lambda i: held[i]["at_ms"])
        if held[oldest]["at_ms"] >= horizon_ms:
            return False
        self.floor[slot] = max(self.floor[slot], held.pop(oldest)["at_ms"])
        return True


@given(st.lists(steps, max_size=120))
def test_contacts_are_those_of_plain_lists_after_any_steps(made: list[tuple[Any, ...]]) -> None:
    contacts, model = Contacts(SLOTS, LIMIT), Model()
    for position, (kind, *values) in enumerate(made):
        if kind == "reserve":
            slot, at_ms, number, service = values
            fits = model.make_room(slot, at_ms - 50)
            assert make_room(contacts.arrays, slot, at_ms - 50) == fits
            if fits:
                state = RESERVED | SERVICE * service
                reserve(contacts.arrays, slot, at_ms, position, 7, number, number // 2, 3, state)
                model.of[slot].append(
                    {"at_ms": at_ms, "position": position, "row": 7, "rule": number, "campaign": number // 2,
                     "channel": 3, "state": state}
                )  # fmt: skip
        elif kind == "settle":
            slot, index, refund = values
            held = model.of[slot]
            one = held[index] if index < len(held) else {"position": -1, "row": 0, "rule": 0}
            found = settle(contacts.arrays, slot, one["position"], one["row"], one["rule"], refund)
            assert found == (index < len(held))
            if found and refund:
                held.pop(index)
            elif found:
                one["state"] = COMMITTED | one["state"] & SERVICE
        elif kind == "release":
            contacts.release(np.array(values, np.int32))
            model.of[values[0]], model.floor[values[0]] = [], 0
        else:
            (moved,) = values
            some = np.array(moved, np.int32)
            packed = np.empty(packed_bytes(contacts.arrays, some), np.uint8)
            pack_contacts(contacts.arrays, some, packed)
            assert unpack_contacts(contacts.arrays, packed, 0, some) == len(packed)

    assert [contacts.of(slot) for slot in range(SLOTS)] == model.of
    assert [int(contacts.arrays.floor_ms[contacts.arrays.block[slot]]) for slot in range(SLOTS)] == model.floor


def test_room_that_was_given_back_is_used_again() -> None:
    contacts = Contacts(SLOTS, LIMIT)
    used = set()
    for _ in range(20):
        for slot in range(SLOTS):
            for number in range(LIMIT):
                reserve(contacts.arrays, slot, number, number, 0, 1, 1, 1, RESERVED)
        contacts.release(np.arange(SLOTS, dtype=np.int32))
        used.add(contacts.used_bytes)

    assert len(used) == 1


def test_a_subscriber_with_few_contacts_takes_few_bytes() -> None:
    contacts = Contacts(1_000, 24)
    before = contacts.used_bytes
    for slot in range(1_000):
        reserve(contacts.arrays, slot, 1, 1, 0, 1, 1, 1, RESERVED)

    assert (contacts.used_bytes - before) / 1_000 < 200

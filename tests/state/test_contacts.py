"""What was promised to a subscriber is remembered in order, whatever comes and goes beside it."""

import struct
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from state.contact_packing import unpack_contacts
from state.contacts import (
    COMMITTED,
    FREE,
    NEVER_MS,
    REHEARSED,
    RESERVED,
    SERVICE,
    STATES,
    UNCAPPED,
    UNKNOWN,
    WITHDRAWN,
    Contacts,
)
from tests.state.called import make_room, pack_contacts, packed_bytes, reserve, settle

SLOTS = 6
LIMIT = 11

slots = st.integers(0, SLOTS - 1)
numbers = st.integers(1, 2**31 - 1)
lives = st.sampled_from([0, 5, 40, 1_000, NEVER_MS - 100])
marks = st.sampled_from([0, SERVICE, UNCAPPED, SERVICE | UNCAPPED, REHEARSED, REHEARSED | UNCAPPED])
steps = st.one_of(
    st.tuples(
        st.just("reserve"),
        slots,
        st.integers(0, 99),
        lives,
        numbers,
        marks,
        st.sampled_from([RESERVED] * 5 + [WITHDRAWN]),
    ),
    st.tuples(st.just("settle"), slots, st.integers(0, LIMIT), st.sampled_from([FREE, COMMITTED, UNKNOWN])),
    st.tuples(st.just("release"), slots),
    st.tuples(st.just("move"), st.lists(slots, unique=True, min_size=1)),
)


class Model:
    """Contacts as lists."""

    def __init__(self) -> None:
        self.of: list[list[dict[str, int]]] = [[] for _ in range(SLOTS)]
        self.floor = [0] * SLOTS
        self.untracked = 0

    def make_room(self, slot: int, log_ms: int, horizon_ms: int, *, capped: bool, rehearsed: bool) -> bool:
        held = self.of[slot]
        if len(held) < LIMIT:
            return True
        acted = [one for one in held if one["state"] & REHEARSED]
        if acted:
            held.remove(acted[0])
        if acted or rehearsed:
            return bool(acted)
        state = [one["state"] & STATES for one in held]
        for i, one in enumerate(held):
            if state[i] in (RESERVED, WITHDRAWN) and one["expires_ms"] <= log_ms:
                held.pop(i)
                return True
        old = [i for i in range(LIMIT) if state[i] in (COMMITTED, UNKNOWN) and held[i]["at_ms"] < horizon_ms]
        if old:
            oldest = min(old, key=lambda i: held[i]["at_ms"])
            self.floor[slot] = max(self.floor[slot], held.pop(oldest)["at_ms"])
            return True
        for i, one in enumerate(held):
            if capped and one["state"] & UNCAPPED:
                held.pop(i)
                self.untracked += 1
                return True
        return False

    def settle(self, slot: int, index: int, state: int, contact_ms: int) -> None:
        one = self.of[slot][index]
        was = one["state"] & STATES
        if state == FREE or one["state"] & UNCAPPED:
            self.of[slot].pop(index)
        elif was in (RESERVED, WITHDRAWN) or (was, state) == (UNKNOWN, COMMITTED):
            one["state"] += state - was
            one["at_ms"] = contact_ms


@given(st.lists(steps, max_size=120))
def test_contacts_are_those_of_plain_lists_after_any_steps(made: list[tuple[Any, ...]]) -> None:
    contacts, model = Contacts(SLOTS, LIMIT), Model()
    for position, (kind, *values) in enumerate(made):
        if kind == "reserve":
            slot, at_ms, life_ms, number, mark, state = values
            capped, rehearsed = not mark & UNCAPPED, bool(mark & REHEARSED)
            fits = model.make_room(slot, at_ms, at_ms - 50, capped=capped, rehearsed=rehearsed)
            assert make_room(contacts.arrays, slot, at_ms, at_ms - 50, capped, rehearsed) == fits
            if fits:
                ids = {"campaign": number // 2, "channel": 3, "offer": number // 3, "category": 2**31 - 1}
                expires_ms = at_ms + life_ms
                campaign, channel, offer, category = ids.values()
                reserve(
                    contacts.arrays, slot, at_ms, expires_ms, position, 2**22, number, campaign, channel, offer,
                    category, state | mark,
                )  # fmt: skip
                own = {"at_ms": at_ms, "expires_ms": expires_ms, "position": position, "row": 2**22, "rule": number}
                model.of[slot].append(own | ids | {"state": state | mark})
        elif kind == "settle":
            slot, index, state = values
            held = model.of[slot]
            one = held[index] if index < len(held) else {"position": -1, "row": 0, "rule": 0}
            named = one["position"], one["row"], one["rule"]
            assert settle(contacts.arrays, slot, *named, state, position) == (index < len(held))
            if index < len(held):
                model.settle(slot, index, state, position)
        elif kind == "release":
            contacts.release(np.array(values, np.int32))
            model.of[values[0]], model.floor[values[0]] = [], 0
        else:
            (moved,) = values
            some = np.array(moved, np.int32)
            packed = np.empty(packed_bytes(contacts.arrays, some), np.uint8)
            pack_contacts(contacts.arrays, some, packed)
            assert unpack_contacts(contacts.arrays, packed, 0, some) == len(packed)
            assert unpack_contacts(Contacts(SLOTS, LIMIT).arrays, packed, 0, some) == len(packed)

    assert [contacts.of(slot) for slot in range(SLOTS)] == model.of
    assert [int(contacts.arrays.floor_ms[contacts.arrays.block[slot]]) for slot in range(SLOTS)] == model.floor
    assert contacts.untracked == model.untracked


def test_what_the_release_before_packed_is_read_with_an_expiry_and_without_an_offer() -> None:
    contacts = Contacts(SLOTS, LIMIT)
    entry = struct.pack("<qqIIIIB", 1_700_000_000_000, 77, 5, 2**31 - 1, 8, 9, SERVICE | RESERVED)
    packed = bytes([255, 2]) + struct.pack("<q", 123) + entry + entry
    some = np.array([0, 1], np.int32)
    assert unpack_contacts(contacts.arrays, np.frombuffer(packed, np.uint8), 0, some) == len(packed)

    one = {
        "at_ms": 1_700_000_000_000, "expires_ms": 1_700_000_000_000 + 2 * 86_400_000, "position": 77, "row": 5,
        "rule": 2**31 - 1, "campaign": 8, "channel": 9, "offer": 0, "category": 0, "state": SERVICE | RESERVED,
    }  # fmt: skip
    assert contacts.of(0) == []
    assert contacts.of(1) == [one, one]
    assert contacts.arrays.floor_ms[contacts.arrays.block[1]] == 123


def test_bytes_that_end_too_early_or_have_more_numbers_than_we_know_are_no_contacts() -> None:
    contacts, some = Contacts(SLOTS, LIMIT), np.array([0], np.int32)
    reserve(contacts.arrays, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, RESERVED)
    packed = np.empty(packed_bytes(contacts.arrays, some), np.uint8)
    pack_contacts(contacts.arrays, some, packed)
    assert all(unpack_contacts(contacts.arrays, packed[:end], 0, some) < 0 for end in range(12, len(packed)))
    packed[1] += 1
    assert unpack_contacts(contacts.arrays, packed, 0, some) == -1


def test_room_that_was_given_back_is_used_again() -> None:
    contacts = Contacts(SLOTS, LIMIT)
    used = set()
    for _ in range(20):
        for slot in range(SLOTS):
            for number in range(LIMIT):
                reserve(contacts.arrays, slot, number, number, number, 0, 1, 1, 1, 1, 1, RESERVED)
        contacts.release(np.arange(SLOTS, dtype=np.int32))
        used.add(contacts.used_bytes)

    assert len(used) == 1


def test_a_subscriber_with_few_contacts_takes_few_bytes() -> None:
    contacts = Contacts(1_000, 24)
    before = contacts.used_bytes
    for slot in range(1_000):
        reserve(contacts.arrays, slot, 1, 1, 1, 0, 1, 1, 1, 1, 1, RESERVED)

    assert (contacts.used_bytes - before) / 1_000 < 220

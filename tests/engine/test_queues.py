"""What waits between the stages of the flow: in which order it goes on, and how much of it may wait."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.sources.contract import chunk_of
from engine.flow.fold import Appended
from engine.flow.partition import Item
from engine.flow.queues import Queues
from engine.flow.tickets import Ticket

BYTES_MAX = 100


def item(rows: int, key: str = "") -> Item:
    return Item(Ticket(), cast("Any", SimpleNamespace(n=rows)), key=key)


def release(queues: Queues, sequence: int, items: list[Item]) -> None:
    with queues.changed:
        queues.release(sequence, items)


def test_chunks_reach_a_partition_in_the_order_in_which_they_were_taken_however_they_are_decoded() -> None:
    queues = Queues(2, BYTES_MAX)
    with queues.changed:
        first, second, third = (queues.take_sequence() for _ in range(3))
    release(queues, third, [item(1, "third"), item(0, "third")])
    release(queues, second, [])  # a source that had nothing
    assert not any(queues.waiting)

    release(queues, first, [item(1, "first"), item(0, "first")])

    assert [[one.key for one in waiting] for waiting in queues.waiting] == [["first", "third"], ["first", "third"]]
    assert queues.waiting_rows == 2


@pytest.mark.parametrize(
    ("waiting", "taken"), [([9, 1], [9]), ([2, 3, 4], [2, 3]), ([5], [5]), ([1, 0, 0, 6], [1, 0, 0])]
)
def test_a_fold_takes_items_up_to_a_frame_of_rows_and_at_least_one(waiting: list[int], taken: list[int]) -> None:
    queues = Queues(1, BYTES_MAX)
    release(queues, 0, [])
    for sequence, rows in enumerate(waiting, start=1):
        release(queues, sequence, [item(rows)])

    assert [one.batch.n for one in queues.take_items(0, 5) if one.batch is not None] == taken


def test_room_ends_at_the_bound_but_an_empty_queue_takes_anything_and_so_does_one_that_has_failed() -> None:
    queues = Queues(1, BYTES_MAX)
    chunk = chunk_of(b"x" * 60)
    ticket = Ticket(chunk.length)
    assert queues.room(BYTES_MAX + 1)

    queues.push(chunk, ticket)
    assert queues.room(BYTES_MAX - 60)
    assert not queues.room(BYTES_MAX - 59)

    queues.settle([ticket], wake=False)
    assert queues.room(BYTES_MAX + 1)

    queues.push(chunk, Ticket(chunk.length))
    queues.fail(OSError("the disk is gone"))
    assert queues.room(BYTES_MAX)


def test_the_committer_gets_what_was_folded_and_then_the_end() -> None:
    queues = Queues(2, BYTES_MAX)
    frame = Appended(7, 0, 1, None)
    queues.put_uncommitted(1, frame)
    queues.stop()

    assert queues.take_uncommitted() == [[], [frame]]
    assert not queues.empty, "it is being committed"
    queues.committing = [False]
    assert queues.empty
    assert queues.take_uncommitted() is None

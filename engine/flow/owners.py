"""A number that passes to another owner, or whose customer is erased: the state of the old owner ends at that row.

    rows of a frame ─► pieces, in each of which a row `owner` is its subscriber's first ─► end the old owner ─► fold

What waits for the old owner is withdrawn, with a record each. Then contacts, features, attributes, lists and the visit
are those of a subscriber of whom nothing is known; the row itself is the first that counts for the new one. A row with
`erased` true is about the same customer, who wants to be forgotten: the lists that exclude stay, so an opt-out holds.
A list that the active book does not declare stays too, because it may be the opt-out of a service.

Everything here is a function of the rows, so a replay ends the same state at the same row.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.flow.frame_records import Head, withdrawn
from rules.gates import owner
from rules.gates.kernel import Withdrawals, withdrawals
from rules.model import Book
from state.batch import Batch, select
from state.columns import Table
from state.contacts import RESERVED, STATES, Contacts
from state.decisions import DecisionBatch, merged
from state.features import FeatureSpec
from state.features.kinds.list_words import LIST_KINDS
from state.features.kinds.lists import ID_MASK
from state.hashing import hash_text
from state.schema import OWNER, OWNER_ERASED, make_schema

FIRST_LISTS, _ = LIST_KINDS
_BUILT_IN = make_schema((), ()).types[OWNER]

FoldPiece = Callable[[Head, Batch, NDArray[np.int32], NDArray[np.int32]], DecisionBatch | None]
"""Folds rows of a frame: (head, rows, their numbers in the frame, their slots)."""


class ListsHeld(NamedTuple):
    """One word of lists: its feature, and the columns with who is on them, and until when."""

    spec: FeatureSpec
    arrays: list[NDArray[Any]]


class Owned(NamedTuple):
    """What is known of the subscribers of a partition; `lists` returns the words of lists as they are."""

    table: Table
    contacts: Contacts
    book: Book
    lists: Callable[[], list[ListsHeld]]


def owners_in(batch: Batch) -> NDArray[np.intp]:
    """Return the rows of a batch that end an owner; mostly none."""
    if batch.schema.types[OWNER] != _BUILT_IN:
        return np.zeros(0, np.intp)  # the book is from before the type was built in, and means something else by it
    return np.flatnonzero(batch.type == OWNER)


def pieces(batch: Batch, owners: NDArray[np.intp]) -> Iterator[slice]:
    """Yield the parts of a batch, in order, in each of which a row `owner` is the first of its subscriber."""
    start = 0
    for row in owners.tolist():
        if np.any(batch.subscriber[start:row] == batch.subscriber[row]):
            yield slice(start, row)
            start = row
    yield slice(start, batch.n)


def fold_in_pieces(
    owned: Owned,
    head: Head,
    batch: Batch,
    owners: NDArray[np.intp],
    number: NDArray[np.int32],
    slots: NDArray[np.int32],
    fold: FoldPiece,
) -> DecisionBatch | None:
    """Fold a frame in which owners end, at the rows `owners`; the other arguments are those of `Decider.fold`."""
    found = None
    for part in pieces(batch, owners):
        piece = select(batch, np.arange(part.start, part.stop, dtype=np.int32))
        for records in (
            _end_owners(owned, head, piece, number[part], slots[part]),
            fold(head, piece, number[part], slots[part]),
        ):
            if records is not None:
                found = records if found is None else merged(found, records)
    return found


def _end_owners(
    owned: Owned, head: Head, piece: Batch, number: NDArray[np.int32], slots: NDArray[np.int32]
) -> DecisionBatch | None:
    """End the owners that the rows `owner` of a piece name; return the records of what waited for them."""
    rows = owners_in(piece)
    if rows.shape[0] == 0:
        return None
    told = (piece.present[rows] >> OWNER_ERASED) & 1 == 1
    erased = told & (piece.cells[OWNER_ERASED, rows] != 0)
    records = withdrawn(head, piece, number, _waiting(owned, piece, slots, rows, erased))
    _clear(owned, slots[rows], slots[rows[erased]])
    return records if records.n else None


def _waiting(
    owned: Owned, piece: Batch, slots: NDArray[np.int32], rows: NDArray[np.intp], erased: NDArray[np.bool_]
) -> Withdrawals:
    """Return the withdrawals of everything that waits for the old owners.

    A decision whose rule or channel the book has no more has no record: dispatch gives it up where it knows the book.
    """
    rules, channels = owned.book.by_stable_id, owned.book.channels_by_id
    found = [
        (row, by_erasing, contact)
        for row, by_erasing in zip(rows.tolist(), erased.tolist(), strict=True)
        for contact in owned.contacts.of(int(slots[row]))
        if contact["state"] & STATES == RESERVED and contact["expires_ms"] > piece.log_ms[row]
        if contact["rule"] in rules and contact["channel"] in channels
    ]
    into = withdrawals(len(found))
    into.found[0] = len(found)
    for index, (row, by_erasing, contact) in enumerate(found):
        into.row[index], into.gate[index], into.detail[index] = row, owner.GATE.number, by_erasing * owner.ERASED
        into.rule[index], into.channel[index] = contact["rule"], contact["channel"]
        into.of_position[index], into.of_row[index] = contact["position"], contact["row"]
    return into


def _clear(owned: Owned, slots: NDArray[np.int32], erased: NDArray[np.int32]) -> None:
    """Forget the subscribers at `slots`; of those at `erased` the lists that exclude are kept."""
    owned.contacts.release(slots)
    stays = [(held, [array[erased].copy() for array in held.arrays]) for held in owned.lists()]
    owned.table.clear(slots)
    going = {hash_text(name.encode()) for name, one in owned.book.lists.items() if not one.excludes}
    for held, rows in stays:
        _leave(held.spec, rows, going)
        for array, some in zip(held.arrays, rows, strict=True):
            array[erased] = some


def _leave(spec: FeatureSpec, rows: list[NDArray[Any]], going: set[int]) -> None:
    """Take the rows of one word of lists off those that are `going`, hashes of names."""
    places = [place for place, one in enumerate(spec.members) if one in going]
    if spec.kind == FIRST_LISTS:
        rows[0][np.isin(rows[0] & ID_MASK, spec.member_ids[places])] = 0
    else:
        rows[0] &= ~sum(1 << place for place in places)
    if len(rows) > 1:
        rows[1][:, places] = 0

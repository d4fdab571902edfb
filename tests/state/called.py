"""Pieces of kernels as kernels, for tests that call them from Python."""

from collections.abc import Callable
from typing import Any

from state import contact_packing, contacts
from state.features.kinds import lists
from state.jit import kernel


def _called(piece: Callable[..., Any]) -> Callable[..., Any]:
    called: Callable[..., Any] = kernel(vars(piece)["py_func"])
    return called


category_of = _called(contacts.category_of)
make_room = _called(contacts.make_room)
mark_leaves = _called(lists.mark_leaves)
pack_contacts = _called(contact_packing.pack_contacts)
packed_bytes = _called(contact_packing.packed_bytes)
remove_entry = _called(contacts.remove_entry)
reserve = _called(contacts.reserve)
settle = _called(contacts.settle)

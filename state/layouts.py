"""The layouts that one partition's packed bytes name, in the store: each is written once, with its first use."""

from state.keys import Keys
from state.pages import Layout, PageError, Pages, decode_layout
from state.store import Store, Write


class StoredLayouts:
    """Finds layouts by id, and knows which of them the store has or will have when the queued batches are written."""

    def __init__(self, store: Store, keys: Keys, pages: Pages) -> None:
        self._store = store
        self._keys = keys
        self._pages = pages
        self._known: dict[int, Layout] = {}

    def get(self, layout_id: int) -> Layout:
        """Return a layout that packed bytes name; PageError when the store does not have it."""
        if layout_id not in self._known:
            data = self._store.get(self._keys.layout(layout_id))
            if data is None:
                raise PageError(f"layout={layout_id:x} is not in the store")
            self._known[layout_id] = decode_layout(data)
        return self._known[layout_id]

    def writes(self) -> list[Write]:
        """Return what makes the table's present layout known, for the batch that is the first to use it."""
        layout = self._pages.layout()
        if layout.id in self._known:
            return []
        self._known[layout.id] = layout
        return [(self._keys.layout(layout.id), layout.encode())]

"""Whose columns a feature has, and since when: what goes with features from book to book.

A feature takes over the columns of the one in the book before that has the same meaning (`rules.model.Feature`); they
stay known by the fingerprint of its first wording, and by the position at which they were born. A feature that is to
learn first is unknown until the log's clock says that its columns were kept long enough; that began with the first
frame of events after they were born.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.model import Book, Feature
from state.columns import Key


class Histories:
    """Names and ages of the columns of one partition's active book. `born`: position by name of the columns."""

    def __init__(self) -> None:
        self.born: dict[str, int] = {}
        self._begun_ms: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._learning: list[tuple[int, str, int, int]] = []

    def snapshot(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {"born": dict(self.born), "begun_ms": dict(self._begun_ms), "columns": dict(self._names)}

    def restore(self, snapshot: dict[str, Any], book: Book) -> None:
        """Take up what `snapshot` returned while `book` was active.

        Earlier releases wrote births alone: their features have learned, and none has columns of another's name.
        """
        self.born = dict(snapshot["born"])
        self._begun_ms = dict(snapshot.get("begun_ms", dict.fromkeys(self.born, 0)))
        self._names = dict(snapshot.get("columns", {}))
        self._learn(book.features)

    def follow(self, before: Book | None, book: Book, position: int) -> None:
        """Go over to `book` at a position: what means the same goes on, what is new is born."""
        kept = {one.meaning: self.name_of(one) for one in before.features} if before is not None else {}
        names = {one.fingerprint: kept.get(one.meaning, one.fingerprint) for one in book.features}
        born = {name: self.born.get(name, position) for name in names.values()}
        self._begun_ms = {name: ms for name, ms in self._begun_ms.items() if name in self.born and name in born}
        self._names = {fingerprint: name for fingerprint, name in names.items() if fingerprint != name}
        self.born = born
        self._learn(book.features)

    def name_of(self, feature: Feature) -> str:
        """Return the fingerprint by which a feature's columns are known."""
        return self._names.get(feature.fingerprint, feature.fingerprint)

    def key_of(self, feature: Feature) -> Key:
        """Return the key of a feature's columns."""
        name = self.name_of(feature)
        return name, self.born[name]

    def begin(self, append_ms: int) -> None:
        """Take an event frame's append time for the beginning of all columns that had none before."""
        if len(self._begun_ms) < len(self.born):
            for name in self.born:
                self._begun_ms.setdefault(name, append_ms)

    def learned(self) -> None:
        """Take all columns for ones that were kept for long."""
        self._begun_ms = dict.fromkeys(self.born, 0)

    def hide_learning(self, append_ms: int, outs: NDArray[np.int64], known: NDArray[np.uint8]) -> None:
        """Make the values unknown, [features, rows], of features that have not been kept for long enough."""
        for index, name, learn_ms, known_from_ms in self._learning:
            if append_ms < max(known_from_ms, self._begun_ms.get(name, append_ms) + learn_ms):
                outs[index] = 0
                known[index] = 0

    def _learn(self, features: Iterable[Feature]) -> None:
        self._learning = [
            (index, self.name_of(one), one.learn_ms, one.known_from_ms)
            for index, one in enumerate(features)
            if one.learn_ms or one.known_from_ms
        ]

"""Texts of outcomes, answers and terminals as small numbers, each different text once.

Gateways, terminals and answers are few; error codes and notes are chosen by networks and people, so their number has a
bound: what comes after `WORDS_MAX` different texts reads as `LOST`.
"""

import numpy as np
from numpy.typing import NDArray

from state.texts import Lookup

WORDS_MAX = 1 << 20
LOST = "(one of too many)"
NONE = 0
"""The number of no text."""


class Words:
    """Numbers of texts; `texts[number]` is the text."""

    def __init__(self) -> None:
        self.texts: list[str] = ["", LOST]
        self._numbers: dict[str, int] = {"": NONE}
        self._hashed: dict[int, int] = {0: NONE}

    def number(self, text: str) -> int:
        """Return the number of a text, a new one where it is met for the first time."""
        known = self._numbers.get(text)
        if known is not None:
            return known
        if len(self.texts) >= WORDS_MAX:
            return 1
        self._numbers[text] = len(self.texts)
        self.texts.append(text)
        return self._numbers[text]

    def numbers(self, hashes: NDArray[np.int64], lookup: Lookup) -> NDArray[np.int32]:
        """Return the numbers of the texts with these hashes, int32 of the same length; 0 stands for no text."""
        known = self._hashed
        out = np.empty(hashes.shape[0], np.int32)
        for index, hashed in enumerate(hashes.tolist()):
            number = known.get(hashed)
            if number is None:
                number = self._learn(hashed, lookup)
            out[index] = number
        return out

    def _learn(self, hashed: int, lookup: Lookup) -> int:
        text = lookup.text(hashed)
        number = self.number(text.decode(errors="replace")) if text is not None else self.number("?")
        if text is not None and len(self._hashed) < WORDS_MAX:
            self._hashed[hashed] = number
        return number

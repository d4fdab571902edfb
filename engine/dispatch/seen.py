"""Which decisions were taken over already, so that one offered twice is sent once.

Decisions of a partition come in the order of the log, so everything below the highest position was seen, and at that
position those whose row and rule are remembered. Only one position a partition is remembered, so nothing needs a bound.
After a crash the journal is read again from the last durable cursor; what was seen is rebuilt from the outbox.
"""

from collections.abc import Iterable, Sequence

from state.decisions import parse_decision_id


class SeenDecisions:
    """The highest position of each partition, and the decisions at it."""

    def __init__(self) -> None:
        self._highest: dict[int, tuple[int, set[tuple[int, int]]]] = {}

    def mark(self, decision_id: str) -> bool:
        """Remember a decision; return whether it is new."""
        return self._mark(parse_decision_id(decision_id))

    def new(self, decision_ids: Sequence[str]) -> list[bool]:
        """Remember decisions that are offered together, in any order; return which of them are new."""
        found = [False] * len(decision_ids)
        parsed = [parse_decision_id(one) for one in decision_ids]
        for index in sorted(range(len(parsed)), key=lambda one: parsed[one][:2]):
            found[index] = self._mark(parsed[index])
        return found

    def _mark(self, parsed: tuple[int, int, int, int]) -> bool:
        partition, position, row, rule = parsed
        highest, here = self._highest.get(partition, (-1, set()))
        if position < highest:
            return False
        if position > highest:
            self._highest[partition] = (position, {(row, rule)})
            return True
        new = (row, rule) not in here
        here.add((row, rule))
        return new

    def has(self, decision_id: str) -> bool:
        """Return whether a decision was seen, or can only come again."""
        partition, position, row, rule = parse_decision_id(decision_id)
        highest, here = self._highest.get(partition, (-1, set()))
        return position < highest or (position == highest and (row, rule) in here)

    def passed(self, partition: int, position: int) -> bool:
        """Return whether every decision of a partition up to a position was seen."""
        return self._highest.get(partition, (-1, None))[0] > position

    def plain(self) -> list[tuple[int, int, list[tuple[int, int]]]]:
        """Return everything as plain data."""
        return [(partition, highest, list(here)) for partition, (highest, here) in self._highest.items()]

    def restore(self, plain: Iterable[tuple[int, int, list[tuple[int, int]]]]) -> None:
        """Replace everything."""
        self._highest = {partition: (highest, {(r, u) for r, u in here}) for partition, highest, here in plain}

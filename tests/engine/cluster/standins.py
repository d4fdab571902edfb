"""Stand-ins for topics, for what is tested without a broker."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, ClassVar, Self

NOT_USED: Any = None
"""For a part that the object under test is given and does not touch."""


class TailStandIn:
    """A partition of a topic: `values` in their order, of which those before `kept_from` are deleted."""

    values: ClassVar[list[bytes]] = []
    kept_from = 0

    def __init__(self, *_: object) -> None:
        self.at = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def first(self) -> int:
        return self.kept_from

    async def first_of(self, _: object) -> int:
        return self.kept_from

    async def ends(self, numbers: list[int]) -> dict[int, int]:
        return dict.fromkeys(numbers, len(self.values))

    def seek(self, offset: int) -> None:
        self.at = offset

    async def to_end(self) -> AsyncIterator[list[SimpleNamespace]]:
        found = enumerate(self.values)
        yield [SimpleNamespace(offset=offset, key=None, value=value) for offset, value in found if offset >= self.at]

"""Stand-ins for topics, for what is tested without a broker."""

from types import SimpleNamespace
from typing import ClassVar


class TailStandIn:
    """A partition of a topic: `values` in their order, of which those before `kept_from` are deleted."""

    values: ClassVar[list[bytes]] = []
    kept_from = 0

    def __init__(self, *_):
        self.at = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def first(self):
        return self.kept_from

    async def first_of(self, _):
        return self.kept_from

    async def ends(self, numbers):
        return dict.fromkeys(numbers, len(self.values))

    def seek(self, offset):
        self.at = offset

    async def to_end(self):
        found = enumerate(self.values)
        yield [SimpleNamespace(offset=offset, value=value) for offset, value in found if offset >= self.at]

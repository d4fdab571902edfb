"""What the dispatchers of one process have in common, where there are several: in a cluster, one a partition."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.dispatch.doors import Door
from engine.dispatch.orphans import Orphans
from engine.dispatch.rates import Rates


@dataclass(frozen=True, slots=True)
class Shared:
    """Doors by name, opened and closed by their owner; the process's part of the rates; receipts without a message."""

    doors: Mapping[str, Door]
    rates: Rates
    orphans: Orphans

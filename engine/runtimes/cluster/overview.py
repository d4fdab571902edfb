"""What the brokers know of a cluster: who owns which partition, how far behind it is, the book, the dead letters.

Nothing is asked of a worker, so it also tells of a cluster in which none runs. Lags follow what the groups have
committed: Faust commits every three seconds, and after a rebalance in an idle cluster not before the next frames come.
What is folded is exact in a worker's own `/metrics` (`opportune_lag_frames`). The end of a transaction takes an offset
too, so a raw partition behind a replay may show a lag of one or two that is none.
"""

from typing import Any

from connectors.kafka.groups import Group, Place, ends_of, group_of, partitions_of
from engine.config import Config
from engine.runtimes.cluster.commons import Commons
from engine.runtimes.cluster.letters import read_letters
from engine.runtimes.cluster.topics import Names

Overview = dict[str, Any]


async def overview(config: Config) -> Overview:
    """Return the figures of now, as plain data."""
    cluster, names = config.cluster, Names(config.cluster.prefix)
    commons = Commons(config)
    await commons.start()
    try:
        book = commons.active
    finally:
        await commons.stop()
    raw = await partitions_of(cluster, sorted({source.topic for source in config.sources.kafka}))
    own = [(names.log, number) for number in range(config.data.partitions)]
    fed = [(topic, number) for topic, count in raw.items() for number in range(count)]
    ends = await ends_of(cluster, [*own, *fed])
    decide, intake = await group_of(cluster, names.decide), await group_of(cluster, names.intake)
    letters = await read_letters(config)
    return {
        "book": {"version": book.version if book else "", "rules": len(book.rules) if book else 0},
        "workers": sorted({one.client for group in (decide, intake) for one in group.members}),
        "partitions": [_told(place, ends, decide) for place in own],
        "raw": [_told(place, ends, intake) for place in fed],
        "dead_letters": {
            "waiting": sum(not one.replayed for one in letters),
            "replayed": sum(one.replayed for one in letters),
        },
    }


def _told(place: Place, ends: dict[Place, tuple[int, int]], group: Group) -> dict[str, Any]:
    """Return what is known of one partition; the lag is that of its whole content where nothing was committed."""
    first, end = ends[place]
    owner = group.owner(place)
    return {
        "topic": place[0],
        "partition": place[1],
        "first": first,
        "end": end,
        "lag": end - max(group.committed.get(place, first), first),
        "owner": owner.client if owner else "",
        "host": owner.host if owner else "",
    }

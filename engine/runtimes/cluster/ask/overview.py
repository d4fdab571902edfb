"""What the brokers know of a cluster: who owns which partition, how far behind it is, the book, the dead letters.

Nothing is asked of a worker, so it also tells of a cluster in which none runs. What "behind" means differs:

    uncommitted    of the log and of raw topics: records behind what the group has committed. Faust commits every three
                   seconds, after a rebalance in an idle cluster not before the next frames come; so up to then records
                   that are folded count as well. What waits to be folded, exactly, is `opportune_lag_frames` in a
                   worker's own `/metrics`. The end of a transaction takes an offset, so a raw partition behind a replay
                   may show one or two that are none
    waiting        of decisions: records that no dispatcher has taken over into its outbox, exactly, as of its last
                   transaction there
"""

from collections import Counter
from typing import Any

from connectors.kafka.groups import Group, Place, ends_of, group_of, partitions_of
from connectors.kafka.last import last_values
from engine.book.shelf import BooksInMemory
from engine.runtimes.cluster.ask.letters import read_letters
from engine.runtimes.cluster.dispatch.context import DECISIONS
from engine.runtimes.cluster.dispatch.outbox import cursors_in
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config

CURSORS_AMONG = 64
"""Offsets at the end of an outbox among which cursors are looked for first: a dispatcher writes them every turn."""
WHOLE = 1 << 62

Overview = dict[str, Any]


async def overview(config: Config) -> Overview:
    """Return the figures of now, as plain data."""
    cluster, names, numbers = config.cluster, Names(config.cluster.prefix), range(config.data.partitions)
    control_topic = ControlTopic(config, BooksInMemory())
    try:
        await control_topic.start()
    finally:
        await control_topic.stop()
    book = control_topic.active
    raw = await partitions_of(cluster, [source.topic for source in config.sources.kafka])
    own = [(names.log, number) for number in numbers]
    fed = [(topic, number) for topic, count in sorted(raw.items()) for number in range(count)]
    out = [(names.decisions, number) for number in numbers]
    taken = await _taken_over(config)
    ends = await ends_of(cluster, [*own, *fed, *out])
    decide, intake, dispatch = [await group_of(cluster, name) for name in (names.decide, names.intake, names.dispatch)]
    letters = Counter([one.replayed async for one in read_letters(config)])
    return {
        "book": {"version": book.version if book else "", "rules": len(book.rules) if book else 0},
        "workers": sorted({one.client for group in (decide, intake, dispatch) for one in group.members}),
        "partitions": [_told(place, ends, decide, "uncommitted", decide.committed.get(place)) for place in own],
        "raw": [_told(place, ends, intake, "uncommitted", intake.committed.get(place)) for place in fed],
        "sending": [_told(place, ends, dispatch, "waiting", taken.get(place[1])) for place in out]
        if taken or dispatch.members
        else [],
        "dead_letters": {
            "waiting": letters[False],
            "replayed": letters[True],
        },
    }


async def _taken_over(config: Config) -> dict[int, int]:
    """Return up to where decisions were taken over, by partition of those that were ever sent."""
    taken: dict[int, int] = {}
    topic = Names(config.cluster.prefix).outbox
    for among in (CURSORS_AMONG, WHOLE):
        unknown = [number for number in range(config.data.partitions) if number not in taken]
        if not unknown:
            break
        found = await last_values(config.cluster, topic, unknown, among)
        cursors = {number: cursors_in(values).get(DECISIONS) for number, values in found.items()}
        taken |= {number: cursor for number, cursor in cursors.items() if cursor is not None}
    return taken


def _told(
    place: Place, ends: dict[Place, tuple[int, int]], group: Group, behind: str, reached: int | None
) -> dict[str, Any]:
    """Return what is known of one partition; where nothing was reached, its whole content is behind."""
    first, end = ends[place]
    owner = group.owner(place)
    return {
        "topic": place[0],
        "partition": place[1],
        "first": first,
        "end": end,
        behind: max(0, end - max(first if reached is None else reached, first)),
        "owner": owner.client if owner else "",
        "host": owner.host if owner else "",
    }

"""A book's gates as arrays: what `kernel.decide` reads for each rule, and for each of its channels.

Rules stand in the order of `Book.rules`, which is the order of arbitration. A rule's channels are the rows
`pair_start[r]:pair_start[r + 1]`, a pair's caps the rows `cap_start[p]:cap_start[p + 1]`; what its offer asks about
holdings stands in the rows `holding_start[r]:holding_start[r + 1]`.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.caps import ALL, CAMPAIGN, CHANNEL, DAY, LONGEST_CALENDAR_MS, MONTH, ROLLING, RULE, WEEK
from rules.model import Book, Cap, Rule
from state.hashing import stable_id

_SCOPES = {"rule": RULE, "campaign": CAMPAIGN, "channel": CHANNEL, "all": ALL}
SERVICES = "services"
"""The attribute that says which services a subscriber holds."""
_KINDS = {"rolling": ROLLING, "day": DAY, "week": WEEK, "month": MONTH}


class GateTable(NamedTuple):
    """Arrays of a book, by rule, by (rule, channel) pair, by cap, by event type; see the module."""

    stable: NDArray[np.int32]
    campaign: NDArray[np.int32]
    service: NDArray[np.uint8]
    max_age_ms: NDArray[np.int64]
    exclude: NDArray[np.int64]
    holding_start: NDArray[np.int32]
    holding_feature: NDArray[np.int32]
    holding_needed: NDArray[np.int64]
    holding_refused: NDArray[np.int64]
    holdout_ppm: NDArray[np.int64]
    holdout_salt: NDArray[np.int64]
    pair_start: NDArray[np.int32]
    pair_channel: NDArray[np.int32]
    cap_start: NDArray[np.int32]
    cap_scope: NDArray[np.int64]
    cap_scope_id: NDArray[np.int64]
    cap_max: NDArray[np.int64]
    cap_kind: NDArray[np.int64]
    cap_window_ms: NDArray[np.int64]
    channel_id: NDArray[np.int32]
    channel_desk: NDArray[np.uint8]
    channel_event_max: NDArray[np.int32]
    event_max: NDArray[np.int32]
    horizon_ms: NDArray[np.int64]


def gate_table(book: Book) -> GateTable:
    """Compile the gates of `book`."""
    pairs = [(rule, channel) for rule in book.rules for channel in rule.channels]
    caps = [caps_that_hold(book, rule, channel) for rule, channel in pairs]
    flat = [cap for some in caps for cap in some]
    holdings = [holdings_of(book, rule) for rule in book.rules]
    channel_index = {name: index for index, name in enumerate(book.channels)}
    return GateTable(
        stable=_int32(rule.stable_id for rule in book.rules),
        campaign=_int32(rule.campaign_id for rule in book.rules),
        service=np.array([rule.klass == "service" for rule in book.rules], np.uint8),
        max_age_ms=_int64(rule.max_age_ms for rule in book.rules),
        exclude=_int64(_excluding_lists(book, rule) for rule in book.rules),
        holding_start=_starts(len(some) for some in holdings),
        holding_feature=_int32(feature for some in holdings for feature, _, _ in some),
        holding_needed=_int64(needed for some in holdings for _, needed, _ in some),
        holding_refused=_int64(refused for some in holdings for _, _, refused in some),
        holdout_ppm=_holdouts(book, "ppm"),
        holdout_salt=_holdouts(book, "salt"),
        pair_start=_starts(len(rule.channels) for rule in book.rules),
        pair_channel=_int32(channel_index[channel] for _, channel in pairs),
        cap_start=_starts(len(some) for some in caps),
        cap_scope=_int64(_SCOPES[cap.scope] for cap in flat),
        cap_scope_id=_int64(cap.scope_id for cap in flat),
        cap_max=_int64(cap.count_max for cap in flat),
        cap_kind=_int64(_KINDS[cap.kind] for cap in flat),
        cap_window_ms=_int64(cap.window_ms for cap in flat),
        channel_id=_int32(channel.channel_id for channel in book.channels.values()),
        channel_desk=np.array([channel.kind == "desk" for channel in book.channels.values()], np.uint8),
        channel_event_max=_int32(channel.per_event_max for channel in book.channels.values()),
        event_max=_int32(book.decisions_max),
        horizon_ms=_int64([horizon_ms(flat)]),
    )


def caps_that_hold(book: Book, rule: Rule, channel: str) -> tuple[Cap, ...]:
    """Return the caps that a contact of `rule` on `channel` must respect; see the package for service messages."""
    caps = book.caps_of(rule, channel)
    return tuple(cap for cap in caps if rule.klass != "service" or cap.scope in {"rule", "campaign"})


def holdings_of(book: Book, rule: Rule) -> list[tuple[int, int, int]]:
    """Return (feature, bits needed, bits refused) for each SET that the rule's offer asks about."""
    offer = book.offers[rule.offer] if rule.offer is not None else None
    if offer is None or not (offer.requires or offer.unless_holds):
        return []
    index = book.feature_index(SERVICES)
    members = book.features[index].members
    return [(index, _bits(members, offer.requires), _bits(members, offer.unless_holds))]


def _bits(members: tuple[str, ...], names: Iterable[str]) -> int:
    return sum(1 << members.index(name) for name in names)


def horizon_ms(caps: Iterable[Cap]) -> int:
    """Return how far back any of `caps` can count a contact."""
    return max((cap.window_ms if cap.kind == "rolling" else LONGEST_CALENDAR_MS for cap in caps), default=0)


def _excluding_lists(book: Book, rule: Rule) -> int:
    mask = 0
    for name, one in book.lists.items():
        if name in rule.exclude or one.excludes in {"all", rule.klass}:
            mask |= 1 << one.index
    return mask


def _holdouts(book: Book, what: str) -> NDArray[np.int64]:
    """Return int64[rules, 3]: rule, campaign, all. A service message is held out by its own rule only."""
    out = np.zeros((len(book.rules), 3), np.int64)
    campaigns, whole_salt = {name: stable_id(f"campaign:{name}") for name in book.campaigns}, stable_id("all")
    for index, rule in enumerate(book.rules):
        if what == "ppm":
            commercial = rule.klass != "service"
            campaign, whole = book.campaigns[rule.campaign].holdout_ppm, book.holdout_ppm
            out[index] = rule.holdout_ppm, campaign * commercial, whole * commercial
        else:
            out[index] = rule.stable_id, campaigns[rule.campaign], whole_salt
    return out


def _starts(sizes: Iterable[int]) -> NDArray[np.int32]:
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(np.fromiter(sizes, np.int32), dtype=np.int32)])


def _int32(values: Iterable[int]) -> NDArray[np.int32]:
    return np.fromiter(values, np.int32)


def _int64(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, np.int64)

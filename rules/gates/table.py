"""A book's gates as arrays: what `kernel.decide` reads of the rules, and each gate's own columns."""

from typing import Any, NamedTuple

import numpy as np

from rules.gates.caps import caps_that_hold
from rules.gates.offer import horizon_ms, offers_of
from rules.gates.order import CHANNEL_GATES, LAST_GATES, RULE_GATES
from rules.gates.scene import RuleTable
from rules.gates.spec import int32s, pairs_of, starts
from rules.model import Book, Rule


class GateTable(NamedTuple):
    """The rules, and the columns of the gates of rules, of channels and of the last, by their place in `order`."""

    rules: RuleTable
    of_rules: tuple[Any, ...]
    of_channels: tuple[Any, ...]
    of_last: tuple[Any, ...]


def gate_table(book: Book) -> GateTable:
    """Compile the gates of `book`."""
    return GateTable(
        rules=_rule_table(book),
        of_rules=tuple(gate.columns(book) for gate in RULE_GATES),
        of_channels=tuple(gate.columns(book) for gate in CHANNEL_GATES),
        of_last=tuple(gate.columns(book) for gate in LAST_GATES),
    )


def features_read(book: Book, rule: Rule) -> list[int]:
    """Return the indices of the features that the gates look at for a rule."""
    return [index for gate in (*RULE_GATES, *CHANNEL_GATES, *LAST_GATES) for index in gate.reads(book, rule)]


def _rule_table(book: Book) -> RuleTable:
    pairs = pairs_of(book)
    channel_index = {name: index for index, name in enumerate(book.channels)}
    return RuleTable(
        stable=int32s(rule.stable_id for rule in book.rules),
        campaign=int32s(rule.campaign_id for rule in book.rules),
        service=np.array([rule.klass == "service" for rule in book.rules], np.uint8),
        pair_start=starts(len(rule.channels) for rule in book.rules),
        pair_channel=int32s(channel_index[channel] for _, channel in pairs),
        capped=np.array([bool(caps_that_hold(book, rule, channel)) for rule, channel in pairs], np.uint8),
        channel_id=int32s(channel.channel_id for channel in book.channels.values()),
        offer=int32s(offers_of(book)),
        offers=len(book.offers),
        offer_reach_ms=horizon_ms(book),
    )

"""A book's gates as arrays: what `kernel.decide` reads of the rules, and each gate's own columns."""

from typing import Any, NamedTuple

import numpy as np

from rules.gates import arm, caps, offer
from rules.gates.order import CHANNEL_GATES, LAST_GATES, RULE_GATES
from rules.gates.scene import RuleTable
from rules.gates.spec import int32s, int64s, pairs_of, starts
from rules.model import Book, Rule
from state.contacts import NEVER_MS
from state.hashing import stable_id

GRACE_MS = 3_600_000
"""Dispatch gives a send up at the end of its shelf life; its reservation is held this much longer."""


class GateTable(NamedTuple):
    """The rules, the gates' columns (of rules, of channels, of the last) by their place in `order`, and the arms."""

    rules: RuleTable
    of_rules: tuple[Any, ...]
    of_channels: tuple[Any, ...]
    of_last: tuple[Any, ...]
    arms: arm.ArmTable


def gate_table(book: Book) -> GateTable:
    """Compile the gates of `book`."""
    return GateTable(
        rules=_rule_table(book),
        of_rules=tuple(gate.columns(book) for gate in RULE_GATES),
        of_channels=tuple(gate.columns(book) for gate in CHANNEL_GATES),
        of_last=tuple(gate.columns(book) for gate in LAST_GATES),
        arms=arm.arm_table(book),
    )


def features_read(book: Book, rule: Rule) -> list[int]:
    """Return the indices of the features that the gates look at for a rule."""
    return [index for gate in (*RULE_GATES, *CHANNEL_GATES, *LAST_GATES) for index in gate.reads(book, rule)]


def features_judged_again(book: Book) -> set[int]:
    """Return the indices of the features that gates look at again when a subscriber changes."""
    gates = [gate for gate in (*RULE_GATES, *CHANNEL_GATES, *LAST_GATES) if gate.again]
    return {index for gate in gates for rule in book.rules for index in gate.reads(book, rule)}


def _life_ms(rule: Rule) -> int:
    """Return how long after its log time a decision may be sent, and an hour for clocks and answers under way."""
    return rule.shelf_life_ms + GRACE_MS if rule.shelf_life_ms > 0 else NEVER_MS


def _rule_table(book: Book) -> RuleTable:
    pairs = pairs_of(book)
    capped = [bool(caps.caps_that_hold(book, rule, channel)) for rule, channel in pairs]
    channel_index = {name: index for index, name in enumerate(book.channels)}
    return RuleTable(
        stable=int32s(rule.stable_id for rule in book.rules),
        campaign=int32s(rule.campaign_id for rule in book.rules),
        offer=int32s(stable_id(rule.offer) if rule.offer is not None else 0 for rule in book.rules),
        category=int32s(stable_id(rule.category) if rule.category is not None else 0 for rule in book.rules),
        life_ms=int64s(_life_ms(rule) for rule in book.rules),
        by_stable=np.argsort(np.array([rule.stable_id for rule in book.rules], np.int64)).astype(np.int32),
        service=np.array([rule.klass == "service" for rule in book.rules], np.uint8),
        shadow=np.array([rule.shadow for rule in book.rules], np.uint8),
        pair_start=starts(len(rule.channels) for rule in book.rules),
        pair_channel=int32s(channel_index[channel] for _, channel in pairs),
        capped=np.array(capped, np.uint8),
        kept=np.array(
            [holds or offer.looks_back(book, *pair) for holds, pair in zip(capped, pairs, strict=True)], np.uint8
        ),
        channel_id=int32s(channel.channel_id for channel in book.channels.values()),
        offer_index=int32s(offer.offers_of(book)),
        offers=len(book.offers),
        horizon_ms=max(caps.horizon_ms(book), offer.horizon_ms(book)),
    )

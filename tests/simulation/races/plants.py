"""A bug in each gate of the second judging: the judge, which reads the gateway's record alone, must find every one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

import engine.dispatch.feeder as feeder_module
from engine.dispatch.feeder import Feeder
from engine.dispatch.model import Action, RuleKey
from engine.dispatch.opted_out import OptedOut
from engine.dispatch.policy import Policy
from engine.dispatch.queue import SendQueue
from engine.dispatch.switches import Switches
from engine.dispatch.take import Taking
from engine.dispatch.wording import decided_of, withdrawn_of
from rules.gates import NUMBERS
from rules.model import Rule
from state.decisions import DecisionBatch, Outcome
from tests.simulation.plants import counted_by_event_time, reservations_that_expire_at_once, sent_before_durable


@contextmanager
def not_asked_again(word: str) -> Iterator[None]:
    """What a gate takes back is not heard of."""

    def without(*of: Any) -> Iterator[Any]:
        return (one for one in withdrawn_of(*of) if not one.reason.startswith(f"WITHDRAWN {word}"))

    with patch.object(feeder_module, "withdrawn_of", without):
        yield


@contextmanager
def opt_outs_unheard() -> Iterator[None]:
    """Dispatch knows of no opt-out."""
    with patch.object(OptedOut, "refuses", lambda _self, _what: False):
        yield


@contextmanager
def pauses_unheard() -> Iterator[None]:
    """Dispatch sends what is paused."""
    action = Switches.action

    def kills_alone(self: Switches, key: RuleKey) -> Action | None:
        found = action(self, key)
        return None if found is Action.PAUSE else found

    with patch.object(Switches, "action", kills_alone):
        yield


@contextmanager
def lost_rules_go(reason: str) -> Iterator[None]:
    """What waits by a rule that the active book does not have, or does not ask, goes on."""
    lost_rule = Policy.lost_rule

    def lost(self: Policy, rule: str) -> str:
        found = lost_rule(self, rule)
        return "" if found == reason else found

    with patch.object(Policy, "lost_rule", lost):
        yield


@contextmanager
def shadows_send() -> Iterator[None]:
    """Dispatch takes what a rule in shadow would have decided for decided."""

    def with_shadows(partition: int, batch: DecisionBatch, *of: Any) -> Iterator[Any]:
        acted = np.where(batch.gate == NUMBERS["shadow"], Outcome.DECIDED, batch.outcome).astype(np.uint8)
        return decided_of(partition, replace(batch, outcome=acted), *of)

    with patch.object(feeder_module, "decided_of", with_shadows), lost_rules_go("RULE_DISABLED"):
        yield


@contextmanager
def arms_unheard() -> Iterator[None]:
    """All arms get the rule's own words."""
    with patch.object(Rule, "text_of", lambda self, channel, _arm: self.texts.get(channel)):
        yield


@contextmanager
def old_words() -> Iterator[None]:
    """A text goes in the words of the book that decided."""
    with patch.object(Taking, "_word", lambda _self, _send: None):
        yield


@contextmanager
def activations_unheard() -> Iterator[None]:
    """Dispatch stays with the book that it began with."""
    with patch.object(Feeder, "_follow_newest", lambda _self: None):
        yield


@contextmanager
def nothing_expires() -> Iterator[None]:
    """A text that waits too long goes all the same."""
    with patch.object(SendQueue, "expired", lambda _self, _now_ms: iter(())):
        yield


PLANTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "lists are not asked again": lambda: not_asked_again("list"),
    "eligibility is not asked again": lambda: not_asked_again("eligibility"),
    "a paused rule is not asked again": lambda: not_asked_again("paused"),
    "a paused channel is not asked again": lambda: not_asked_again("channel paused"),
    "dispatch does not hear opt-outs": opt_outs_unheard,
    "dispatch does not hear pauses": pauses_unheard,
    "a rule that is gone goes on": lambda: lost_rules_go("RULE_GONE"),
    "a rule that is disabled goes on": lambda: lost_rules_go("RULE_DISABLED"),
    "a rule in shadow sends": shadows_send,
    "arms are not told apart": arms_unheard,
    "old words go": old_words,
    "dispatch does not hear activations": activations_unheard,
    "nothing expires": nothing_expires,
    "what waits does not count": reservations_that_expire_at_once,
    "caps count by the events' own time": counted_by_event_time,
    "a text is sent before its attempt is durable": sent_before_durable,
}
"""Bugs by what they do."""

"""Dispatch: from a durable decision to a subscriber, and the outcome back into the log.

    dispatcher   the loop: take, commit, launch, report, compact
    commits flights reporter               its parts: durability, attempts on their way, outcomes for the log
    core         the steps as one object: no loop, no thread, no clock
    offer take settle withdraw             the steps; what they share is `state`
    queue        rule queues and subscriber queues: what waits, in which order
    hours quotas rates retries switches    each one reason to wait
    due          when the next of them ends, where the clock stands still: on the events' own
    doors        gateways and the desk, as one kind of thing
    receipts orphans                       what the network says later, matched by gateway, message id and number
    optout replies opted_out               words that mean "no more"; what a reply does; nothing from before goes
    seen         a decision offered twice is sent once
    words        with which words decisions went, read back for `why`
    outbox records recovery                what a crash must not lose, and how it is read back
    policy model                           settings and nouns

Promises: an attempt is durable before it is written to a gateway; commercial text with an unknown outcome is never sent
again; at most one send to a subscriber on a channel is on its way; every decision offered ends in exactly one of
COMMITTED, REFUNDED and UNKNOWN, reported to the log at least once; what is learnt of an UNKNOWN one later follows it.
"""

from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.flights import OnOutcome
from engine.dispatch.model import Action, Decided, Report, SwitchScope
from engine.dispatch.outbox import LocalOutbox, Outbox
from engine.dispatch.policy import DESK, ChannelPolicy, Policy, policy_of
from engine.dispatch.reporter import FeedbackSink

__all__ = [
    "DESK",
    "Action",
    "ChannelPolicy",
    "Decided",
    "Dispatcher",
    "FeedbackSink",
    "LocalOutbox",
    "OnOutcome",
    "Outbox",
    "Policy",
    "Report",
    "SwitchScope",
    "policy_of",
]

"""Dispatch: from a durable decision to a subscriber, and the outcome back into the log.

    dispatcher   the loop: take, commit, launch, tell, compact
    core         what goes now and what follows from each answer; no loop, no thread, no clock
    queue        lanes and lines: who waits, in which order
    hours quotas rates retries switches    each one reason to wait
    doors        gateways and the desk, as one kind of thing
    receipts     what the network says later, matched by gateway and message id
    optout       replies that mean "no more"
    seen         a decision offered twice is sent once
    outbox records recovery                what a crash must not lose, and how it is read back
    policy model                           settings and nouns

Promises: an attempt is durable before it is written to a gateway; commercial text with an unknown outcome is never sent
again; at most one send to a subscriber on a channel is on its way; every decision offered ends in exactly one of
COMMITTED, REFUNDED and UNKNOWN, told to the log at least once.
"""

from engine.dispatch.dispatcher import Dispatcher, Feedback, OnOutcome
from engine.dispatch.model import Action, Decided, Report, Scope
from engine.dispatch.outbox import FileOutbox, Outbox
from engine.dispatch.policy import DESK, ChannelPolicy, Policy, policy_of

__all__ = [
    "DESK",
    "Action",
    "ChannelPolicy",
    "Decided",
    "Dispatcher",
    "Feedback",
    "FileOutbox",
    "OnOutcome",
    "Outbox",
    "Policy",
    "Report",
    "Scope",
    "policy_of",
]

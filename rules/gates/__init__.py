"""The gates between a candidate and a decision, one a module.

A candidate is a rule whose condition held on an event. For each event the candidates pass in order of priority, each
through the gates as `order` lists them: first those that look at the rule alone, then for one of its channels after the
other those that look at a channel. The first channel that passes takes the candidate; a contact is reserved in the same
step, so no two candidates ever share the last place under a cap. The control group is asked last, with its places
taken: both arms lose the same candidates to caps and to arbitration.

The first gate that says no is recorded with the candidate; where every channel was asked in vain, that of the channel
that came furthest. Its `detail` says more: what `explain` of the gate understands; for a gate of channels the place of
the channel in the rule << 8, plus that.

A new gate is one new module here (docstring, kernel, a `spec.Gate` with its number on disk, its word, an example) and
its place in `order`. `kernel.decide` runs them all in one call for a batch. Service messages (class "service") are held
by their own and their campaign's caps only, and do not use up the caps of a channel or of everything.
"""

from rules.gates.order import CHANNEL_GATES, LAST_GATES, ROW_GATES, RULE_GATES
from rules.gates.spec import Gate
from rules.model import Book, Rule

__all__ = ["GATES", "NUMBERS", "PASSED", "Gate", "explain", "word_of"]

PASSED = 0
"""What a record holds in place of a gate's number where none stopped the candidate."""

GATES: dict[int, Gate] = {gate.number: gate for gate in (*RULE_GATES, *CHANNEL_GATES, *LAST_GATES, *ROW_GATES)}
"""Every gate by its number on disk, in their order."""

NUMBERS: dict[str, int] = {gate.word: number for number, gate in GATES.items()}
"""The number on disk by the gate's word."""


def word_of(number: int) -> str | None:
    """Return the word of the gate that a record names, None where it was decided; KeyError for no gate's number."""
    return None if number == PASSED else GATES[number].word


def explain(book: Book, rule: Rule, number: int, detail: int) -> str:
    """Say in words what the detail of the gate `number` means; "" where it has no more to say."""
    gate = GATES[number]
    if gate not in CHANNEL_GATES:
        return gate.explain(book, rule, "", detail)
    channel = rule.channels[detail >> 8] if rule.channels else ""
    return gate.explain(book, rule, channel, detail & 255)

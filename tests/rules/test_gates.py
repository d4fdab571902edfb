"""Each gate's number on disk stays what it is, and its example in a book shows it at work."""

import pytest

from engine.runtimes.rehearsal import run_scenarios
from rules.gates import GATES, NUMBERS, Gate
from rules.gates.kernel import STATE_COMMITTED, STATE_REFUNDED, STATE_UNKNOWN, TYPE_ANSWER, TYPE_OUTCOME, TYPE_VISIT
from rules.gates.order import CHANNEL_GATES, LAST_GATES, ROW_GATES, RULE_GATES
from rules.load import load_text
from state.decisions import OutcomeState
from state.schema import ANSWER, OUTCOME, VISIT
from tests.oracle.gates import Gate as Known

BASE = """
[channels.sms]
[channels.desk]
"""
IN_ORDER = (*RULE_GATES, *CHANNEL_GATES, *LAST_GATES, *ROW_GATES)


def test_the_numbers_on_disk_are_those_of_the_first_release() -> None:
    assert {one.word: int(one) for one in Known if one is not Known.NONE} == NUMBERS


def test_no_two_gates_share_a_number_or_a_word() -> None:
    assert len(GATES) == len(NUMBERS) == len(IN_ORDER)
    assert all(1 <= number <= 255 for number in GATES)


def test_the_numbers_of_event_types_and_states_are_those_of_the_schema() -> None:
    assert (TYPE_OUTCOME, TYPE_VISIT, TYPE_ANSWER) == (OUTCOME, VISIT, ANSWER)
    states = (OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN)
    assert states == (STATE_COMMITTED, STATE_REFUNDED, STATE_UNKNOWN)


@pytest.mark.parametrize("gate", [gate for gate in IN_ORDER if gate.example], ids=lambda gate: gate.word)
def test_a_gate_stops_the_rule_of_its_example(gate: Gate) -> None:
    event = "" if "[events.e]" in gate.example else "[events.e]\n"
    book = load_text({"example.toml": BASE + event + gate.example})

    assert [one.gate for test in book.tests for one in test.expect if one.rule == "r"][-1] == gate.word
    assert [fault for result in run_scenarios(book) for fault in result.faults] == []

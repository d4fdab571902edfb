"""The built-in event types: codes and slots on disk, and the names that code has for them."""

import pytest

from state import schema
from state.schema import make_schema

SLOTS = {
    "list": {"LIST_NAME": "list", "LIST_MEMBER": "member", "LIST_UNTIL": "until", "LIST_FOR": "for_ms"},
    "outcome": {
        "DECISION_PARTITION": "partition",
        "DECISION_POSITION": "position",
        "DECISION_ROW": "row",
        "DECISION_RULE": "rule",
        "OUTCOME_STATE": "state",
        "OUTCOME_GATEWAY": "gateway",
        "OUTCOME_ERROR": "error",
        "OUTCOME_CONTACT": "contact_ms",
    },
    "visit": {"VISIT_TERMINAL": "terminal", "VISIT_NAME": "visit", "VISIT_OPEN": "open", "VISIT_CAUSE": "cause"},
    "answer": {
        "DECISION_PARTITION": "partition",
        "DECISION_POSITION": "position",
        "DECISION_ROW": "row",
        "DECISION_RULE": "rule",
        "ANSWER_CARD": "card",
        "ANSWER_WORD": "answer",
        "ANSWER_NOTE": "note",
    },
    "reply": {"REPLY_TEXT": "text", "REPLY_NUMBER": "number", "REPLY_DECISION": "decision"},
    "owner": {"OWNER_ERASED": "erased"},
}


@pytest.mark.parametrize("name", SLOTS)
def test_every_field_of_a_built_in_type_has_a_name_for_its_slot(name: str) -> None:
    kind = make_schema((), ()).types[getattr(schema, name.upper())]

    assert kind.name == name
    assert {field: getattr(schema, constant) for constant, field in SLOTS[name].items()} == kind.slots

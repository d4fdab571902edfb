"""Ids, waits and links that somebody outside chose, and that are none."""

import pytest

from connectors.contract import State
from connectors.gateways.webhook.codec import RETRY_S_MAX, outcome_of
from engine.serve.controls import OutcomesBody, RequestError, check_outcomes, read_body
from state.decisions import decision_id, parse_decision_id


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "---", "a-b-c-d", "1-2-3", "1-2-3-4-5", "-1-2-3-4", "01-2-3-a", "1_0-2-3-a", "1-2-3-A", "1-2-3-0xa",
        " 1-2-3-a",
        "\u0661-2-3-a", "1-+2-3-a", f"1-{1 << 63}-3-a", f"1-{'9' * 5_000}-3-a", "1-2-3-a\n", "1-2-3-a\x1b[2J",
    ],
)  # fmt: skip
def test_an_id_that_we_did_not_write_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"decision id=|invalid literal"):
        parse_decision_id(text)


def test_an_id_of_ours_reads_back() -> None:
    numbers = (3, (1 << 63) - 1, 7, 0x5F2A)
    assert parse_decision_id(decision_id(*numbers)) == numbers


def test_an_outcome_under_an_id_beyond_all_positions_is_refused() -> None:
    body = b'{"outcomes": [{"id": "0-%b-1-a", "subscriber": 8613800000001, "state": "shown"}]}' % (b"9" * 60)
    with pytest.raises(RequestError, match=r"^id="):
        check_outcomes(read_body(body, OutcomesBody), 4)


@pytest.mark.parametrize("wish", ["", "x", "-1", "1e9", "9" * 5_000, "\u0661", " 5", "5, 6"])
def test_a_wait_that_is_none_is_ours_to_choose(wish: str) -> None:
    outcome = outcome_of(503, wish, "0-1-1-a")
    assert (outcome.state, outcome.retry_after_ms) == (State.RETRY, None)


def test_a_wait_of_a_century_is_an_hour() -> None:
    assert outcome_of(429, "999999999", "0-1-1-a").retry_after_ms == RETRY_S_MAX * 1_000

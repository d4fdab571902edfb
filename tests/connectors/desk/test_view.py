"""What may leave for a browser, and what may not."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.desk import changes
from connectors.desk.config import DeskConfig, RedisConfig
from connectors.desk.model import Panel, Visit
from connectors.desk.view import clipped, masked, sight
from tests.connectors.desk.world import ANNA, NOON_MS, card


def panel_with(**more: Any) -> Panel:
    visit = Visit(id="v1", terminal="t1", subscriber=ANNA, opened_ms=NOON_MS)
    opened = changes.opened(Panel(terminal="t1"), visit, NOON_MS)
    return changes.placed(opened, card("d1", expires_ms=NOON_MS + 60_000, **more), 3, NOON_MS)[0]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (8613800135678, "138 **** 5678"),
        (13800135678, "138 **** 5678"),
        (4915112345678, "491 **** 5678"),
        (10086, "**** 86"),
    ],
)
def test_a_number_shows_only_what_its_owner_knows_it_by(number: int, shown: str) -> None:
    assert masked(number, "86") == shown


@given(st.integers(1, (1 << 63) - 1))
def test_no_number_leaves_whole(number: int) -> None:
    assert str(number) not in masked(number, "86").replace(" ", "")
    assert sum(letter.isdigit() for letter in masked(number, "86")) <= 7


def test_the_page_gets_neither_number_nor_rule_nor_score() -> None:
    text = sight(panel_with(priority=77, rule="r-secret", campaign="c-secret"), NOON_MS, 1_000, "86").json
    assert not any(word in text for word in (b"13800135678", b"secret", b"77", b"priority"))


def test_moments_leave_as_distances_and_do_not_rename_the_content() -> None:
    first = sight(panel_with(), NOON_MS, 300_000, "86")
    later = sight(panel_with(), NOON_MS + 10_000, 300_000, "86")
    assert first.id == later.id
    assert orjson.loads(first.json)["expires_in_ms"] == {"d1": 60_000}
    assert orjson.loads(later.json)["idle_in_ms"] == 290_000
    assert first.fresh == {"d1"}


@given(st.text())
def test_a_clipped_text_is_one_line_that_fits(text: str) -> None:
    line = clipped(text, 20)
    assert len(line) <= 20
    assert "\n" not in line


def test_a_setting_out_of_bounds_is_named_with_its_bound() -> None:
    with pytest.raises(ValueError, match=r"cards_max\n.*less than or equal to 3"):
        DeskConfig.model_validate({"cards_max": 4})
    with pytest.raises(ValueError, match="url"):
        RedisConfig.model_validate({"url": "http://x"})
    with pytest.raises(ValueError, match=r"settle_ms\n.*greater than or equal to 20"):
        RedisConfig.model_validate({"settle_ms": 0})
    assert all(field.description for kind in (DeskConfig, RedisConfig) for field in kind.model_fields.values())


def test_redis_must_settle_longer_than_processes_sweep() -> None:
    both = {"sweep_ms": 500, "redis": {"settle_ms": 500}}
    with pytest.raises(ValueError, match=r"redis\.settle_ms=500 must be > sweep_ms=500"):
        DeskConfig.model_validate({"queue": "redis", **both})
    assert DeskConfig.model_validate({"queue": "redis", **both, "sweep_ms": 499}).redis.settle_ms == 500
    assert DeskConfig.model_validate({"queue": "memory", **both}).sweep_ms == 500

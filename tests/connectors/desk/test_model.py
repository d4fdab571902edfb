"""Laws of the panel, whatever happens to it and in whatever order."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.desk import changes
from connectors.desk.model import Card, CardState, Cause, Panel, Placing, Reply, Visit
from tests.connectors.desk.world import ANNA, BERT, NOON_MS, card

IDLE_MS = 5_000
RETRY_MS = 1_000

steps = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from([ANNA, BERT])),
        st.tuples(st.just("place"), st.sampled_from([ANNA, BERT])),
        st.tuples(st.just("answer"), st.integers(0, 8)),
        st.tuples(st.just("close"), st.sampled_from(list(Cause))),
        st.tuples(st.just("wait"), st.integers(0, 3_000)),
        st.tuples(st.just("withdraw"), st.integers(0, 8)),
        st.tuples(st.just("draw"), st.integers(0, 8)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=40,
)


class Play:
    """Takes steps and keeps what the log was told."""

    def __init__(self) -> None:
        self.panel = Panel(terminal="t1")
        self.now = NOON_MS
        self.made = 0
        self.shown: dict[str, Card] = {}
        self.told: list[str] = []

    def take(self, step: str, what: Any) -> None:
        before = self.panel
        self.made += 1
        match step:
            case "open":
                visit = Visit(id=f"v{self.made}", terminal="t1", subscriber=what, opened_ms=self.now)
                self.panel = changes.opened(before, visit, self.now)
            case "place":
                made = card(f"d{len(self.shown)}", what, expires_ms=self.now + 2_000)
                self.panel, placing = changes.placed(before, made, 3, self.now)
                if placing is Placing.SHOWN:
                    self.shown[made.decision_id] = made
            case "answer":
                reply = list(Reply)[self.made % 3]
                self.panel, _ = changes.answered(before, f"d{what}", reply, "", self.now)
            case "close":
                self.panel = changes.closed(before, what, self.now)
            case "wait":
                self.now += what
                self.panel = changes.lapsed(before, IDLE_MS, self.now)
            case "withdraw":
                self.panel = changes.withdrawn(before, lambda one: one.decision_id == f"d{what}", self.now)
            case "draw":
                self.panel, _ = changes.drawn(before, frozenset({f"d{what}"}), self.now)
            case "settle":
                self.told += [note.key for note in before.owed]
                self.panel = changes.settled(before, frozenset(note.key for note in before.owed), self.now)
        self.judge(before)

    def judge(self, before: Panel) -> None:
        panel = self.panel
        assert (panel is before) or panel.version > before.version
        assert all(one.state is CardState.LIVE for one in panel.left)
        assert len(panel.left) <= changes.LEFT_MAX
        slots = [one.slot for one in panel.live]
        assert sorted(set(slots)) == sorted(slots)
        assert set(slots) <= {1, 2, 3}
        on_screen = [one.slot for one in panel.cards if one.slot]
        assert len(set(on_screen)) == len(on_screen)
        if panel.live:
            assert panel.open_visit is not None
            assert {one.subscriber for one in panel.live} == {panel.open_visit.subscriber}
        for one in before.live:
            stays = next((two for two in panel.cards if two.decision_id == one.decision_id), None)
            assert stays is None or stays.state is not CardState.LIVE or stays.slot == one.slot
        assert len(panel.cards) <= 3 + changes.SETTLED_CARDS_MAX
        due = panel.due_ms(IDLE_MS, RETRY_MS)
        assert (due is None) == (panel.open_visit is None and not panel.owed and not panel.left)


@given(steps)
def test_every_card_shown_ends_once_in_the_log_and_every_visit_opens_and_closes_once(
    taken: list[tuple[str, Any]],
) -> None:
    play = Play()
    for step, what in taken:
        play.take(step, what)
    play.take("close", Cause.DONE)
    play.take("wait", 2_000)
    play.take("settle", 0)
    assert len(set(play.told)) == len(play.told)
    assert {key for key in play.told if key.startswith("answer:")} == {f"answer:{one}" for one in play.shown}
    opened = {key.removeprefix("open:") for key in play.told if key.startswith("open:")}
    closed = {key.removeprefix("close:") for key in play.told if key.startswith("close:")}
    assert opened == closed
    assert play.panel.owed == ()


@given(steps)
def test_a_panel_survives_its_own_json(taken: list[tuple[str, Any]]) -> None:
    play = Play()
    for step, what in taken:
        play.take(step, what)
    assert Panel.model_validate_json(play.panel.model_dump_json()) == play.panel


def test_a_clock_that_steps_back_makes_no_panel_older() -> None:
    first = changes.opened(Panel(terminal="t1"), Visit(id="v1", terminal="t1", subscriber=1, opened_ms=9), NOON_MS)
    later = changes.closed(first, Cause.DONE, NOON_MS - 60_000)
    assert later.changed_ms == first.changed_ms

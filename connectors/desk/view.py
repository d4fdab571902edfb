"""What leaves for a browser: the panel as a clerk may see it, and nothing else.

The number is masked, texts are clipped, scores, rules and campaigns stay here. Moments leave as distances ("expires
in"), so a wrong clock at a counter does no harm. `Sight.id` names the content apart from those distances: the same id
draws the same page, and it is the event id by which a page that comes back says what it holds.
"""

import hashlib
from dataclasses import dataclass

import orjson

from connectors.desk.model import Card, Panel

TITLE_MAX = 60
REASON_MAX = 160
SCRIPT_MAX = 400
PRICE_MAX = 32


@dataclass(frozen=True, slots=True)
class Sight:
    """One panel as JSON for a page."""

    id: str
    json: bytes
    fresh: frozenset[str]  # live cards that no page has drawn yet


def masked(subscriber: int, country_code: str) -> str:
    """Return a number that its owner recognises and that cannot be dialled: 138 **** 5678."""
    digits = str(subscriber)
    if country_code and len(digits) > 10 and digits.startswith(country_code):
        digits = digits.removeprefix(country_code)
    if len(digits) < 9:
        return f"**** {digits[-2:]}" if len(digits) > 4 else "****"
    return f"{digits[:3]} **** {digits[-4:]}"


def clipped(text: str, length_max: int) -> str:
    """Return one line of at most `length_max` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length_max else line[: length_max - 1] + "…"


def _card(card: Card, owed: frozenset[str]) -> dict[str, object]:
    return {
        "id": card.decision_id,
        "slot": card.slot,
        "title": clipped(card.title, TITLE_MAX),
        "price": clipped(card.price, PRICE_MAX),
        "reason": clipped(card.reason, REASON_MAX),
        "script": clipped(card.script, SCRIPT_MAX),
        "state": card.state.value,
        "note": card.note,
        "pending": f"answer:{card.decision_id}" in owed,
    }


def sight(panel: Panel, now_ms: int, idle_ms: int, country_code: str) -> Sight:
    """Return what a page draws for this panel."""
    visit = panel.visit
    owed = frozenset(note.key for note in panel.owed)
    on_screen = sorted((card for card in panel.cards if card.slot), key=lambda card: card.slot)
    body: dict[str, object] = {"terminal": panel.terminal, "state": "empty", "cards": []}
    distances: dict[str, object] = {}
    if visit is not None:
        body |= {
            "state": "open" if visit.open else "closed",
            "visit": visit.id,
            "number": masked(visit.subscriber, country_code),
            "cause": visit.cause.value if visit.cause else "",
            "cards": [_card(card, owed) for card in on_screen],
            "opted_out": visit.opted_out,
            **visit.customer.model_dump(),
        }
        distances = {
            "expires_in_ms": {c.decision_id: max(0, c.expires_ms - now_ms) for c in on_screen if c in panel.live},
            "idle_in_ms": max(0, visit.touched_ms + idle_ms - now_ms) if visit.open else 0,
            "closed_ago_ms": 0 if visit.open else max(0, now_ms - visit.closed_ms),
        }
        # Activity starts the idle time anew without changing a word on the page: the page must hear of it.
        name = orjson.dumps([body, visit.touched_ms])
    else:
        name = orjson.dumps(body)
    return Sight(
        id=hashlib.blake2b(name, digest_size=8).hexdigest(),
        json=orjson.dumps({**body, **distances}),
        fresh=frozenset(card.decision_id for card in panel.live if card.shown_ms == 0),
    )

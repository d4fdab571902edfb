"""What a rule would say: each of its texts with sample values, and how many messages on the air that is.

A value that is not given is a sample of its kind, which shows the length that it may have. Nothing is sent here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.gateways.text import parts_of
from rules.model import Book, Rule
from rules.templates import Template
from state.calendar import epoch_ms
from state.schema import Kind

AT_MS = 1_767_232_800_000
"""The sample of a time: 1 January 2026, 02:00 UTC."""
SAMPLES: Mapping[Kind, Any] = {
    Kind.INT: 12, Kind.FLOAT: 34.5, Kind.BOOL: True, Kind.TIME: AT_MS, Kind.SET: ("12593", "mms"),
}  # fmt: skip
HOUR_MS = 3_600_000
SUBSCRIBER = "8613800000001"


class WrongValueError(ValueError):
    """A value that was given is of another kind than the gap, or no text has such a gap."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One text. `arm` is "" for all arms; `missing` are gaps that nothing is known for: such a text is not sent."""

    channel: str
    kind: str
    arm: str
    text: str
    parts: int
    alphabet: str
    missing: tuple[str, ...]


def previews(book: Book, rule: Rule, given: Mapping[str, Any], *, sampled: bool = True) -> Iterator[Preview]:
    """Yield what the rule says on each channel, and to each arm that has words of its own.

    `given` are values by the names of gaps; without `sampled` nothing stands for the others.
    """
    for channel in rule.channels:
        yield _preview(book, rule, channel, ("", rule.texts.get(channel, rule.reason)), (given, sampled))
        for arm, texts in rule.arm_texts.items():
            if channel in texts:
                yield _preview(book, rule, channel, (arm, texts[channel]), (given, sampled))


def _preview(
    book: Book, rule: Rule, channel: str, said: tuple[str, Template], by: tuple[Mapping[str, Any], bool]
) -> Preview:
    (arm, template), (given, sampled) = said, by
    values = {**(_samples(template) if sampled else {}), "subscriber": SUBSCRIBER, **given, **_of_offer(book, rule)}
    text = template.render(values, ZoneInfo(book.zone))
    on_air = parts_of(text, 0)
    missing = template.missing(values)
    return Preview(channel, book.channels[channel].kind, arm, text, len(on_air), on_air[0].alphabet.value, missing)


def _samples(template: Template) -> dict[str, Any]:
    return {
        name: 26 * HOUR_MS if duration else SAMPLES.get(kind, name.rpartition(".")[2])
        for name, kind, duration in template.kinds
    }


def _of_offer(book: Book, rule: Rule) -> dict[str, str]:
    if rule.offer is None:
        return {}
    offer = book.offers[rule.offer]
    return {"offer.title": offer.title, "offer.script": offer.script, "offer.link": offer.link}


def read_values(book: Book, rule: Rule, words: Mapping[str, str]) -> dict[str, Any]:
    """Return values as their gaps need them; WrongValueError names the first that is none."""
    texts = (rule.reason, *rule.texts.values(), *(one for some in rule.arm_texts.values() for one in some.values()))
    kinds = {name: kind for text in texts for name, kind, _ in text.kinds}
    found = {}
    for name, word in words.items():
        if name not in kinds:
            raise WrongValueError(
                f"{name}={word!r}: no text of rule {rule.id} shows {name}; they show {', '.join(kinds)}"
            )
        try:
            found[name] = _read(kinds[name], word, book.zone)
        except (ValueError, OverflowError) as fault:
            raise WrongValueError(f"{name}={word!r} must be a value of kind {kinds[name].name.lower()}") from fault
    return found


def _read(kind: Kind, word: str, zone: str) -> Any:
    if kind is Kind.TIME:
        return epoch_ms(datetime.fromisoformat(word), zone)
    if kind is Kind.SET:
        return tuple(word.split(","))
    if kind is Kind.BOOL:
        return {"true": True, "false": False}.get(word) if word in ("true", "false") else _refuse()
    return {Kind.INT: int, Kind.FLOAT: float}.get(kind, str)(word)


def _refuse() -> bool:
    raise ValueError

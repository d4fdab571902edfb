"""The book of a race, in versions: rules that go, are disabled or say other words, under caps that stay.

Each text says all that the judge needs: `AD plain w3 n17` is commercial, of rule `plain`, in its words number 3, about
event 17. Words may ask for the event's `extra`, which was journaled only where the rule asked for it at the decision.
Two rules have arms: of `other` the control group gets nothing, and those of `fee` end their texts with their names.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count

from engine.book.compiled import CompiledBook, compile_book
from rules.load import load_text

COMMERCIAL = ("plain", "offer", "other")
SERVICE = "fee"
RULES = (*COMMERCIAL, SERVICE)
OFFER = "gprs"
"""The offer of rule `offer`, and the service that a subscriber of it holds."""
STAFF, GREY = "staff", "grey"
"""Lists: one excludes all that is commercial, one the rule `other` alone."""

ARMS = {"other": {"control": 25, "warm": 75}, SERVICE: {"control": 10, "a1": 40, "a2": 50}}
"""The shares of the arms of rules, by rule."""

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Cap:
    """At most `count_max` contacts of a scope, in any window of `window_ms`; 0: in a local day."""

    scope: str  # a rule's id, "campaign", "channel" or "all"
    count_max: int
    window_ms: int

    @property
    def text(self) -> str:
        """How a book says it."""
        return f"{self.count_max} per {f'{self.window_ms}ms' if self.window_ms else 'day'}"


@dataclass(frozen=True)
class Setting:
    """What stays the same in a race."""

    caps: tuple[Cap, ...] = ()
    shelf_ms: int = 3 * HOUR_MS

    def caps_of(self, scope: str) -> str:
        """Return the caps of a scope as a book says them."""
        return ", ".join(f'"{cap.text}"' for cap in self.caps if cap.scope == scope)


@dataclass(frozen=True)
class Version:
    """What a book says of its rules: the number of each one's words, those that ask for `extra`, those that rest."""

    words: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    asks: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    shadowed: frozenset[str] = frozenset()

    def lost(self, rule: str) -> bool:
        """Whether nothing of a rule may go."""
        return rule in self.gone or rule in self.disabled or rule in self.shadowed


class Versions:
    """Makes the versions of one race, no two of them with the same words of a rule."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._numbers: Iterator[int] = count(1)

    def after(self, before: Version) -> Version:
        """Return a version in which one rule, seldom two, differs."""
        version = before
        for rule in self._chance.sample(COMMERCIAL, self._chance.choice((1, 1, 2))):
            version = self._changed(version, rule)
        return version

    def _changed(self, before: Version, rule: str) -> Version:
        version = replace(before, gone=before.gone - {rule}, disabled=before.disabled - {rule})
        version = replace(version, shadowed=before.shadowed - {rule})
        match self._chance.choice(("gone", "disabled", "shadowed", "reworded", "asks")):
            case "gone":
                return replace(version, gone=version.gone | {rule})
            case "disabled":
                return replace(version, disabled=version.disabled | {rule})
            case "shadowed":
                return replace(version, shadowed=version.shadowed | {rule})
            case "reworded":
                return replace(version, words=self._new_words(version, rule), asks=version.asks - {rule})
            case _:
                return replace(version, words=self._new_words(version, rule), asks=version.asks | {rule})

    def _new_words(self, version: Version, rule: str) -> Mapping[str, int]:
        return {**version.words, rule: next(self._numbers)}


def draw_setting(chance: random.Random, unit_ms: int = HOUR_MS) -> Setting:
    """Draw caps and a shelf life; `unit_ms` is what an hour of a race takes."""
    scopes = (*COMMERCIAL, SERVICE, "campaign", "channel", "all")
    some = chance.sample(scopes, chance.choice((1, 2, 3)))
    windows = (unit_ms, unit_ms, 4 * unit_ms, 24 * unit_ms, 0 if unit_ms == HOUR_MS else unit_ms)
    caps = tuple(Cap(scope, chance.choice((1, 1, 1, 2)), chance.choice(windows)) for scope in some)
    return Setting(caps, chance.choice((unit_ms // 3, 3 * unit_ms, 3 * unit_ms, 26 * unit_ms)))


def text_of(setting: Setting, version: Version) -> str:
    """Return the text of a book."""
    rules = "".join(_rule(setting, version, rule) for rule in RULES if rule not in version.gone)
    return _HEAD.format(
        all=setting.caps_of("all"),
        channel=setting.caps_of("channel"),
        campaign=setting.caps_of("campaign"),
        shelf=setting.shelf_ms,
        rules=rules,
    )


def _rule(setting: Setting, version: Version, rule: str) -> str:
    kind = "SV" if rule == SERVICE else "AD"
    more = {"offer": f'offer = "{OFFER}"\n', "other": f'exclude = ["{GREY}"]\n', SERVICE: 'class = "service"\n'}
    text = f"{kind} {rule} w{version.words[rule]} n{{n}}" + (" x{extra}" if rule in version.asks else "")
    return _RULE.format(
        rule=rule,
        cap=setting.caps_of(rule),
        enabled="false" if rule in version.disabled else "true",
        more=more.get(rule, "") + _arms(rule, text) + ("shadow = true\n" if rule in version.shadowed else ""),
        text=text,
    )


def _arms(rule: str, text: str) -> str:
    lines = [f'arms.{arm}.share = "{share}%"\n' for arm, share in ARMS.get(rule, {}).items()]
    lines += [
        f'arms.{arm}.text.sms = "{text} {arm}"\n' for arm in ARMS.get(rule, {}) if rule == SERVICE and arm != "control"
    ]
    return "".join(lines)


def book_of(setting: Setting, version: Version) -> CompiledBook:
    """Return the compiled book of a version."""
    return _compiled(text_of(setting, version))


@lru_cache(maxsize=8192)
def _compiled(text: str) -> CompiledBook:
    return compile_book(load_text({"book.toml": text}))


_HEAD = """
campaign = "care"

[book]
zone = "Asia/Shanghai"
cap = [{all}]
decisions_per_event = 3
max_age = "2h"
shelf_life = "{shelf}ms"

[channels.sms]
cap = [{channel}]
per_event_max = 3
[campaigns.care]
cap = [{campaign}]
[lists.staff]
excludes = "commercial"
[lists.grey]
[lists."optout.gprs"]
[attributes]
services = {{ set = ["gprs"] }}
[offers.gprs]
unless_holds = ["gprs"]
[events.call]
fields = {{ n = "int!", to_plain = "bool!", to_offer = "bool!", to_other = "bool!", to_fee = "bool!", extra = "int!" }}
{rules}
"""

_RULE = """
[[rule]]
id = "{rule}"
on = "call"
when = "to_{rule}"
channels = ["sms"]
cap = [{cap}]
enabled = {enabled}
{more}text.sms = "{text}"
"""

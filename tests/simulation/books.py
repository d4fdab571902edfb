"""One rule book in many versions, and what its plain rules ask, told a second time in plain Python.

A version is a tuple of choices: features that come and go or change their panes, caps that change, an event type and a
field that come and go. Rules that ask for fields of the event alone are `plain`: the judge knows their candidates.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from engine.book.compiled import CompiledBook, compile_book
from rules.load import load_text

Fields = Mapping[str, Any]

ZONE = "Asia/Shanghai"

PLAIN: Mapping[str, tuple[str, Callable[[Fields], bool]]] = {
    "long": ("call", lambda f: f.get("kind") == "long" and f.get("seconds", 0) >= 60),
    "bulk": ("data", lambda f: f["kbytes"] >= 700),
    "fee": ("data", lambda f: f.get("fee", 0.0) > 6.0),
}
"""By rule: the event type it is on, and when its condition holds for an event's known fields."""


@dataclass(frozen=True)
class PlainTimer:
    """A rule with a deadline: which events arm it, and which end it."""

    after: str
    arms: Callable[[Fields], bool] = lambda _: True
    unless: str = ""
    ends: Callable[[Fields], bool] = lambda _: True
    key: str = ""


TIMERS: Mapping[str, PlainTimer] = {
    "no-data": PlainTimer("call", lambda f: f.get("kind") == "long", "data"),
    "no-return": PlainTimer(
        "call", lambda f: f.get("kind") == "long", "call", lambda f: f.get("kind") == "local", "city"
    ),
    "idle": PlainTimer("data"),
}
"""By rule; every version has them, with spans that change."""


@dataclass(frozen=True)
class Choices:
    """What differs between versions."""

    panes: int = 5  # of the burst feature: another number is another feature
    burst: bool = True
    today: bool = True
    cities: bool = True
    moves: bool = True
    cell: bool = True
    rule_cap: str = "1 per 6h"
    sms_cap: str = "2 per day"
    all_cap: str = "4 per 2d"
    per_event: int = 1
    span: str = "3s"
    silence: str = "4s"


_OPTIONS: Mapping[str, tuple[Any, ...]] = {
    "panes": (5, 10),
    "burst": (True, False),
    "today": (True, False),
    "cities": (True, False),
    "moves": (True, False),
    "cell": (True, False),
    "rule_cap": ("1 per 6h", "2 per 1d", "3 per week"),
    "sms_cap": ("2 per day", "3 per 12h", "1 per 30m"),
    "all_cap": ("4 per 2d", "6 per month", "2 per 3h"),
    "per_event": (1, 2),
    "span": ("3s", "1s", "2m", "3h"),
    "silence": ("4s", "10s", "20m"),
}
assert list(_OPTIONS) == [field.name for field in fields(Choices)]


def changed(choices: Choices, chance: random.Random) -> Choices:
    """Return a version that differs in one or two choices."""
    for name in chance.sample(list(_OPTIONS), chance.choice((1, 1, 2))):
        others = [option for option in _OPTIONS[name] if option != getattr(choices, name)]
        choices = replace(choices, **{name: chance.choice(others)})
    return choices


@lru_cache(maxsize=4096)
def book_of(choices: Choices) -> CompiledBook:
    """Return the compiled book of a version."""
    return compile_book(load_text({"book.toml": text_of(choices)}))


def text_of(choices: Choices) -> str:
    """Return the text of a version."""
    optional = [
        (choices.burst, _BURST.replace("PANES", str(choices.panes))),
        (choices.today, _TODAY),
        (choices.cities, _CITIES),
        (choices.moves, _MOVES),
    ]
    parts = [_BASE, *(text for wanted, text in optional if wanted), _RULES]
    text = "".join(parts)
    for word, value in (
        ("RULE_CAP", choices.rule_cap),
        ("SMS_CAP", choices.sms_cap),
        ("ALL_CAP", choices.all_cap),
        ("PER_EVENT", str(choices.per_event)),
        ("SPAN", choices.span),
        ("SILENCE", choices.silence),
        ("CELL", ', cell = "string"' if choices.cell else ""),
    ):
        text = text.replace(word, value)
    return text


_BASE = """
campaign = "care"

[book]
zone = "Asia/Shanghai"
cap = ["ALL_CAP"]
decisions_per_event = PER_EVENT
max_age = "2h"
shelf_life = "3h"

[channels.sms]
cap = ["SMS_CAP"]
[channels.desk]
[channels.alert]
[lists.quiet]
excludes = "commercial"
[lists.paid]
[campaigns.care]
cap = ["5 per 7d"]

[events.call]
fields = { n = "int!", kind = "string!", seconds = "int", city = "string"CELL }
[events.data]
fields = { n = "int!", kbytes = "int!", fee = "float" }

[attributes]
pn = "int"
name = "string"
services = { set = ["gprs", "mms", "wap"] }

[features.calls]
count = "call"
[features.fees]
sum = "data.fee"
over = "1d"
[features.longest]
max = "call.seconds"
over = "1h"
[features.last_city]
last = "call.city"
[features.city_before]
previous = "call.city"
[features.first_kind]
first = "call.kind"
[features.call_gap]
since = "call"
[features.month_calls]
count = "call"
where = "kind == 'long'"
over = "this month"

[tables.towns]
columns = { town = "string", region = "string" }
rows = [{ town = "xiame", region = "south" }, { town = "fuzho", region = "north" }]

[sequences.trip]
within = "6h"
steps = [
    { name = "first", event = "call", where = "seconds > 0" },
    { event = "data", where = "kbytes >= 300" },
    { event = "call", where = "city != first.city and first.kind == kind" },
]

[values.waves]
is = "contacted('care', '6h')"
[values.refused]
is = "answered('care', 'decline', '1d') or changed(pn)"
[values.town_before]
is = "left(lower(city_before), 5)"
[values.region_before]
is = "lookup('towns', 'region', left(lower(city_before), 5), 'elsewhere')"
[values.worth]
is = "choose(fees > 6.0, 85, band(calls, 2, 5) * 30)"
"""

_BURST = """
[features.burst_kb]
sum = "data.kbytes"
over = "10m"
panes = PANES
[[rule]]
id = "burst"
on = "data"
when = "burst_kb >= 1200 and not holds('gprs')"
channels = ["sms"]
priority = 70
cap = ["2 per 1h"]
text.sms = "burst {burst_kb:d} {name|somebody}"
"""

_TODAY = """
[features.today_kb]
sum = "data.kbytes"
over = "today"
[[rule]]
id = "heavy"
on = "data"
when = "today_kb >= 2500"
channels = ["desk"]
priority = 30
cap = ["RULE_CAP"]
"""

_CITIES = """
[features.cities]
distinct = "call.city"
over = "3d"
[[rule]]
id = "traveller"
on = "call"
when = "cities >= 3"
channels = ["alert"]
priority = 20
"""

_MOVES = """
[events.move]
fields = { n = "int!", city = "string!" }
[features.moves]
count = "move"
over = "12h"
[[rule]]
id = "roamer"
on = "move"
when = "moves >= 2"
channels = ["sms", "desk"]
priority = 55
shelf_life = "20m"
text.sms = "{name|somebody} moves to {city}"
"""

_RULES = """
[[rule]]
id = "long"
on = "call"
when = "kind == 'long' and seconds >= 60"
channels = ["desk", "sms"]
priority = 60
cap = ["RULE_CAP"]
reason = "long call from {city}"
text.sms = "{name|somebody} calls from {city|somewhere}: {calls:d} calls"
[[rule]]
id = "leaving"
on = "call"
when = "known(city_before) and city_before != city and not starts_with(city, 'zz')"
channels = ["sms"]
priority = "worth"
text.sms = "from {town_before}, {region_before}, to {city}"
[[rule]]
id = "trip"
on = "call"
when = "completed('trip') and (waves >= 1 or refused)"
channels = ["alert"]
priority = 15
[[rule]]
id = "bulk"
on = "data"
when = "kbytes >= 700"
channels = ["desk", "sms"]
priority = 50
cap = ["RULE_CAP", "3 per 1d"]
text.sms = "bulk {kbytes:d} for {name}"
[[rule]]
id = "fee"
on = "data"
when = "fee > 6.0"
class = "service"
channels = ["sms"]
priority = 80
cap = ["2 per 1h"]
keep = { list = "paid", for = "20m" }
text.sms = "fee {fee:.2f}, of the day {fees:.2f}"
[[rule]]
id = "no-data"
after = { event = "call", where = "kind == 'long'" }
within = "SPAN"
unless = "data"
channels = ["sms"]
priority = 40
cap = ["RULE_CAP"]
text.sms = "no data since {armed:%H:%M}, {calls:d} calls"
[[rule]]
id = "no-return"
after = { event = "call", where = "kind == 'long'" }
within = "SPAN"
unless = { event = "call", where = "kind == 'local'" }
key = "city"
keys_max = 2
channels = ["desk", "sms"]
priority = 45
text.sms = "still in {city}"
[[rule]]
id = "idle"
after = "data"
for = "SILENCE"
channels = ["alert"]
priority = 15
"""

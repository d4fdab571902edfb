"""A small book and configuration for engines under test, and lines to feed them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson

EPOCH = datetime(1970, 1, 1)
BASE_MS = 1_225_756_800_000
"""2008-11-04T08:00:00+08:00."""

BOOK = """
campaign = "care"

[book]
zone = "Asia/Shanghai"
max_age = "366d"
shelf_life = "7d"

[attributes]
name = "string"

[events.call]
fields = { kind = "string!", seconds = "int" }
[events.charge]
fields = { fen = "int!" }

[channels.sms]
[channels.alert]
[channels.desk]

[features.long_calls]
count = "call"
where = "kind == 'long'"
[features.spent]
sum = "charge.fen"
over = "1h"

[[rule]]
id = "long-care"
on = "call"
when = "kind == 'long'"
channels = ["desk", "sms"]
priority = 60
cap = ["2 per 6h"]
reason = "long call number {long_calls}"
text.sms = "Dear {name|}, long call number {long_calls}"

[[rule]]
id = "chatty"
on = "call"
when = "long_calls % 5 == 0 and seconds > 100"
channels = ["sms"]
priority = 40
cap = ["1 per day"]
text.sms = "you like to talk"

[[rule]]
id = "spender"
on = "charge"
when = "spent > 3000"
channels = ["alert"]
cap = ["3 per 1h"]
"""

CONFIG = """
[data]
directory = "data"
clock = "{clock}"
[book]
folder = "book"
poll_ms = 50
[http]
port = 0
[[sources.files]]
name = "inbox"
directory = "inbox"
poll_ms = 20
settle_ms = 100
[[sources.http]]
path = "/events"
[gateways.spool]
kind = "spool"
folder = "spool"
rate_per_s = 100000.0
[channels.sms]
gateway = "spool"
rate_per_s = 100000.0
[channels.alert]
gateway = "spool"
rate_per_s = 100000.0
"""


def config(clock: str = "events", more: str = "") -> str:
    """The configuration; `more` is appended, and a section there stands for the one of the same name here."""
    text = CONFIG.format(clock=clock)
    for head in (line for line in more.splitlines() if line.startswith("[")):
        if not head.startswith("[[") and f"\n{head}\n" in text:
            start = text.index(f"\n{head}\n")
            end = text.find("\n[", start + 2)
            text = text[:start] + (text[end:] if end >= 0 else "\n")
    return text + more


def call(subscriber: int, at_ms: int, kind: str = "long", seconds: int = 60, **more: Any) -> bytes:
    """A call as a line."""
    return line(type="call", msisdn=subscriber, time=at_ms, kind=kind, seconds=seconds, **more)


def line(**values: Any) -> bytes:
    """An event as a line; times are given in epoch milliseconds and written as ISO 8601."""
    values["time"] = iso(values["time"])
    return orjson.dumps(values) + b"\n"


def iso(at_ms: int) -> str:
    """A time as the feed writes it."""
    return (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds") + "Z"


def joined(lines: Iterable[bytes]) -> bytes:
    """Lines as the content of a file."""
    return b"".join(lines)

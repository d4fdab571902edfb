"""Columns to NDJSON: one format string a kind of event, applied over the rows; then the lines in time order.

An event line is flat and about 185 bytes, so that the fast scanner takes it. `profile` and `list` lines come before the
day: they say what the operator's systems know of a subscriber. All text on the wire but a customer's name is ASCII.
"""

from collections.abc import Iterator

import numpy as np

from engine.feed.day import ZONE_MS, Chunk, DayPlan, Values
from engine.feed.places import BRANDS, CITIES, FORMS, HANDSETS, SERVICES, SURNAMES
from engine.feed.population import Column, Population

PROFILE_ROWS = 50_000
LISTED_EVERY = 211  # one subscriber in so many wants no advertising

_HEAD = '{"type":"%s","id":%%d,"msisdn":%%d,"time":"%%s.%%03d+08:00",'
_BODY = {
    "move": '"cell":"%s","city":"%s","province":"%s","cause":"%s","rat":"gsm"}',
    "call": '"kind":"%s","seconds":%d,"direction":"%s","cell":"%s","city":"%s"%s}',
    "data": '"kbytes":%d,"seconds":%d,"apn":"%s","app":"%s","cell":"%s","city":"%s"}',
    "charge": '"amount_fen":%d,"sp":"%s","service":"%s","currency":"CNY","settled":false}',
    "handset": '"imei_tac":"%s","model":"%s","gprs":%s,"mms":%s,"cell":"%s"}',
    "recharge": '"amount_fen":%d,"paid_at":"%s","currency":"CNY"}',
    "complaint": '"grade":"%s","about":"%s"}',
    "visit": '"terminal":"%s","visit":"%s","open":true}',
}
FORMATS = {kind: _HEAD % kind + body for kind, body in _BODY.items()}
_PROFILE = (
    '{"type":"profile","msisdn":%d,"time":"%s","name":"%s","brand":"%s","home_city":"%s","services":[%s],'
    '"package_mb":%d,"tenure_months":%d,"handset_tac":"%s"}'
)
_LISTED = '{"type":"list","msisdn":%d,"time":"%s","list":"do-not-disturb","member":true}'


def seconds_texts(at_ms: Column) -> Values:
    """Write each time to the second in the operator's zone; equal seconds are written once."""
    seconds, back = np.unique((at_ms + ZONE_MS) // 1000, return_inverse=True)
    texts = np.datetime_as_string(seconds.astype("datetime64[s]"), unit="s").astype(object)
    return np.asarray(texts[back], dtype=object)


def chunk_lines(chunk: Chunk) -> list[str]:
    """Return the chunk's lines in time order, without their ends."""
    lines = np.empty(chunk.n, dtype=object)
    texts = seconds_texts(chunk.at_ms)
    millis = chunk.at_ms % 1000
    for kind, rows in chunk.rows.items():
        columns = (chunk.id[rows], chunk.number[rows], texts[rows], millis[rows], *chunk.fields[kind].values())
        lines[rows] = list(map(FORMATS[kind].__mod__, zip(*(column.tolist() for column in columns), strict=True)))
    done: list[str] = lines.tolist()
    return done


def profile_lines(plan: DayPlan, people: Population) -> Iterator[list[str]]:
    """Yield, some at a time, a line for every subscriber and one more for those that want no advertising."""
    at_ms = plan.start_ms if plan.live_rate > 0 else plan.midnight_ms
    time = f"{seconds_texts(np.array([at_ms]))[0]}+08:00"
    held = [",".join(f'"{name}"' for bit, name in enumerate(SERVICES) if mask >> bit & 1) for mask in range(512)]
    names = [f"{surname}{form}" for surname in SURNAMES for form in FORMS]
    for start in range(0, people.n, PROFILE_ROWS):
        part = slice(start, start + PROFILE_ROWS)
        columns = (
            people.number[part],
            people.surname[part].astype(np.int64) * len(FORMS) + people.form[part],
            people.brand[part],
            people.city[part],
            people.services[part],
            people.package_mb[part],
            people.tenure_months[part],
            people.handset[part],
        )
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        lines = [
            _PROFILE
            % (number, time, names[name], BRANDS[brand], CITIES[city].code, held[mask], mb, months, HANDSETS[model][0])
            for number, name, brand, city, mask, mb, months, model in rows
        ]
        listed = [_LISTED % (row[0], time) for row in rows[-start % LISTED_EVERY :: LISTED_EVERY]]
        yield lines + listed


def encode(lines: list[str]) -> bytes:
    """Join lines to bytes; every line ends. Bytes that are no UTF-8 stand in a line as surrogates (see `faults`)."""
    return ("\n".join(lines) + "\n").encode(errors="surrogateescape") if lines else b""

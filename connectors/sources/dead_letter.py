"""What is stored of a line that is no event: where it stood, what was wrong, and the line itself.

Codes never change: scripts and alerts name them. `Code` lists them with their meaning; a code is never reused. A
record is one JSON object, so that the dead-letter log can be read with anything.

Nothing here decides that a line is dead: see `strict`.
"""

import base64
from dataclasses import dataclass
from enum import StrEnum

import orjson

RAW_BYTES_MAX = 2048
"""Bytes of a dead line that are stored."""
VALUE_CHARS_MAX = 200
"""Characters of a faulty value that are stored."""


class Code(StrEnum):
    """Why a line is no event."""

    LINE_TOO_LONG = "line_too_long"  # beyond the mapping's line_bytes_max
    INVALID_UTF8 = "invalid_utf8"  # the line is not UTF-8, or not of the mapping's encoding
    BAD_SYNTAX = "bad_syntax"  # no JSON, or quotes that do not close
    NOT_AN_OBJECT = "not_an_object"  # JSON, but not one object
    TOO_DEEP = "too_deep"  # arrays or objects nested beyond what is read
    DUPLICATE_KEY = "duplicate_key"  # a name that is read stands more than once
    COLUMN_COUNT = "column_count"  # more or fewer values than columns
    MISSING_TYPE = "missing_type"  # no event type
    UNKNOWN_TYPE = "unknown_type"  # neither book nor mapping knows the event type
    MISSING_SUBSCRIBER = "missing_subscriber"  # no subscriber
    BAD_SUBSCRIBER = "bad_subscriber"  # no MSISDN: 1 to 15 digits, the first one not 0
    MISSING_TIME = "missing_time"  # no time
    BAD_TIME = "bad_time"  # not of the mapping's time_format, or no such date
    TIME_OUT_OF_RANGE = "time_out_of_range"  # before 2000, or more than a day ahead of the clock
    BAD_ID = "bad_id"  # an id that is neither a text nor a whole number
    MISSING_FIELD = "missing_field"  # a required field is absent or null
    WRONG_TYPE = "wrong_type"  # a value that is not of its field's kind
    OUT_OF_RANGE = "out_of_range"  # a number beyond 64 bits
    NOT_A_FRAME = "not_a_frame"  # a record in the log of a cluster that does not read as a frame
    NOT_A_RECORD = "not_a_record"  # a record in another topic of the cluster that does not read as one of ours
    UNKNOWN_LIST = "unknown_list"  # a list event whose list the book does not have
    BATCH_UNREADABLE = "batch_unreadable"  # a compressed batch of a raw topic that is broken or unpacks to too much


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A line that was given up, and why.

    `offset` and `line` say where it stood in `key` (or in the stream of `source`, where there is no key). `field` and
    `value` name what was wrong with it, `reason` says it in words. `raw` holds its first `RAW_BYTES_MAX` bytes;
    `length` is its true length, so `len(raw) < length` means that it cannot be replayed from here.
    """

    source: str
    key: str
    offset: int
    line: int
    code: Code
    field: str
    value: str
    reason: str
    raw: bytes
    length: int
    received_ms: int = 0

    @property
    def whole(self) -> bool:
        """Return whether `raw` is the whole line, so that it can be replayed."""
        return len(self.raw) == self.length

    def to_json(self) -> bytes:
        """Return the record as one JSON object without a newline; `raw_base64` stands for a line that is not UTF-8."""
        record: dict[str, object] = {
            "source": self.source,
            "key": self.key,
            "offset": self.offset,
            "line": self.line,
            "code": str(self.code),
            "field": self.field,
            "value": self.value,
            "reason": self.reason,
            "length": self.length,
            "received_ms": self.received_ms,
        }
        try:
            record["raw"] = self.raw.decode()
        except UnicodeDecodeError:
            record["raw_base64"] = base64.b64encode(self.raw).decode()
        return orjson.dumps(record)


_TEXTS = ("source", "key", "code", "field", "value", "reason")
_NUMBERS = ("offset", "line", "length", "received_ms")


def from_json(text: bytes) -> DeadLetter:
    """Read a record written by `DeadLetter.to_json`; ValueError where it is none."""
    record = orjson.loads(text)
    if not isinstance(record, dict):
        raise ValueError(f"the letter is {type(record).__name__}, must be an object")
    record.setdefault("received_ms", 0)
    raw = record.pop("raw", None)
    packed = record.pop("raw_base64", None)
    wrong = [name for name in _TEXTS if type(record.get(name)) is not str]
    wrong += [name for name in _NUMBERS if type(record.get(name)) is not int]
    if wrong or record.keys() - {*_TEXTS, *_NUMBERS} or type(packed if raw is None else raw) is not str:
        raise ValueError(f"the letter has no {', '.join(wrong) or 'line'} as `dead list` prints it, or more than that")
    record["raw"] = raw.encode() if raw is not None else base64.b64decode(packed)
    record["code"] = Code(record["code"])
    return DeadLetter(**record)

"""The strict path: it alone decides whether a line is an event, and says why when it is not.

The fast scanner takes the lines that it is sure of; every other line comes here, one at a time. What is accepted:

- NDJSON: one object a line, valid JSON in the mapping's encoding. Keys that the book does not know are ignored,
  whatever their value. A key that is read may stand only once. `null` is the same as no value.
- Delimited: as many values as columns; an empty value is no value, and blanks around one are none of it.
- A text that the mapping counts among its `null_words` is no value, in both.
- The subscriber is a number or a text that `state.numbers` makes an MSISDN of, by the number plan.
- The time is of the mapping's format, not before 2000 and not after the bound that the caller gives.
- The id is a text or a whole number; "" is no id.
- A field has its declared kind: no number for a text, no text for a number unless the mapping has `numbers_in_quotes`,
  no 1.0 for a whole number. A set is an array of texts; members that the book does not declare are ignored.

Faults are looked for in this order: line, type, subscriber, time, id, fields as declared; the first one is reported.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError, SchemaValidator, ValidationError, core_schema

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.dead_letter import RAW_BYTES_MAX, Code, DeadLetter
from connectors.sources.delimited import split_line, typed
from connectors.sources.mapping import Mapping, Plan, TypePlan
from connectors.sources.objects import Decimal, RefusedError, digits_of
from connectors.sources.pairs import BOM, PairReader, check_letters, written
from connectors.sources.times import BadTimeError, TimeReader
from state.batch import Batch, empty, to_cell
from state.hashing import hash_text
from state.numbers import NumberError
from state.schema import Kind
from state.sets import cells_of
from state.texts import texts_of

AT_MS_MIN = 946_684_800_000
"""2000-01-01: an event cannot be older."""
_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1
_BLANKS = b" \t\r\n\x0b\x0c"
_CODES = {
    "missing": Code.MISSING_FIELD,
    "greater_than_equal": Code.OUT_OF_RANGE,
    "less_than_equal": Code.OUT_OF_RANGE,
    "finite_number": Code.OUT_OF_RANGE,
    "bad_time": Code.BAD_TIME,
}


@dataclass(slots=True)
class Event:
    """An accepted line: the cells of the slots that it names, and the texts they stand for."""

    code: int
    subscriber: int
    at_ms: int
    id: int
    cells: dict[int, int]
    strings: dict[int, bytes] = field(default_factory=dict)


class Judge:
    """Judges the lines of one source under one schema."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        mapping = plan.mapping
        self._mapping = mapping
        self._type_field, self._subscriber_field, self._time_field, self._id_field = plan.heads
        self._heads_read = frozenset(name for name in (*plan.heads, mapping.date_field) if name)
        self._reader = PairReader(mapping)
        self._inputs = frozenset(name for template in plan.derived.values() for name in template.names)
        self._kinds_of_text = _kinds_of_text(mapping)
        self._times = TimeReader(mapping.time_format, mapping.local_offset)
        self._validators = {wire: self._validator(kind) for wire, kind in plan.types.items()}
        types = {wire: plan.schema.types[kind.code] for wire, kind in plan.types.items()}
        self._words = {
            wire: {slot: [one.fields[word] for word in one.words(slot)] for slot in range(len(one.fields))}
            for wire, one in types.items()
        }
        self._members = {
            wire: {slot: frozenset(member for one in words for member in one.members) for slot, words in some.items()}
            for wire, some in self._words.items()
        }

    def judge(self, raw: bytes, at_ms_max: int, columns: tuple[str, ...] = ()) -> Event:
        """Return the event that `raw` (a line without its end) holds; RefusedError says why there is none."""
        return self._event(self._reader.pairs(raw, columns), at_ms_max)

    def judge_values(self, pairs: list[tuple[str, Any]], at_ms_max: int) -> Event:
        """Return the event that names and values make; RefusedError says why there is none."""
        return self._event(self._reader.without_null_words(pairs), at_ms_max)

    def _event(self, pairs: list[tuple[str, Any]], at_ms_max: int) -> Event:
        pairs = self._with_derived(pairs)
        heads = self._heads(pairs)
        wire, kind = self._type(heads)
        subscriber = self._subscriber(heads.get(self._subscriber_field))
        at_ms = self._time(self._moment(heads), at_ms_max)
        id_ = self._id(heads.get(self._id_field)) if self._id_field else 0
        values: dict[str, Any] = {}
        for name, value in pairs:
            if name in kind.slots:
                check_letters(name, value)
                if name in values:
                    raise RefusedError(Code.DUPLICATE_KEY, name, value, f"{name!r} stands more than once")
                values[name] = value
        return self._fields(Event(kind.code, subscriber, at_ms, id_, {}), wire, kind, values)

    def _with_derived(self, pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Add the fields that are made of others."""
        templates = self._plan.derived
        if not templates:
            return pairs
        values: dict[str, str] = {}
        for name, value in pairs:
            if name in self._inputs:
                check_letters(name, value)
                if name in values:
                    raise RefusedError(Code.DUPLICATE_KEY, name, value, f"{name!r} stands more than once")
                values[name] = written(value, name)
        return [*pairs, *((name, template.of(values)) for name, template in templates.items())]

    def _heads(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        heads: dict[str, Any] = {}
        for name, value in pairs:
            if name in self._heads_read:
                check_letters(name, value)
                if name in heads:
                    raise RefusedError(Code.DUPLICATE_KEY, name, value, f"{name!r} stands more than once")
                heads[name] = value
        return heads

    def _type(self, heads: dict[str, Any]) -> tuple[str, TypePlan]:
        if self._plan.only is not None:
            return self._mapping.type, self._plan.only
        wire = heads.get(self._type_field)
        if wire is None:
            raise RefusedError(Code.MISSING_TYPE, self._type_field, None, f"line has no {self._type_field!r}")
        if not isinstance(wire, str) or wire not in self._plan.types:
            raise RefusedError(Code.UNKNOWN_TYPE, self._type_field, wire, "neither book nor mapping knows this type")
        return wire, self._plan.types[wire]

    def _subscriber(self, value: object) -> int:
        if value is None:
            raise RefusedError(
                Code.MISSING_SUBSCRIBER, self._subscriber_field, None, f"line has no {self._subscriber_field!r}"
            )
        if not isinstance(value, str | int):
            reason = "must be a text or a whole number"
            raise RefusedError(Code.BAD_SUBSCRIBER, self._subscriber_field, value, reason)
        try:
            return self._plan.numbers.subscriber(value)
        except NumberError as fault:
            raise RefusedError(Code.BAD_SUBSCRIBER, self._subscriber_field, value, str(fault)) from fault

    def _moment(self, heads: dict[str, Any]) -> object:
        """Return what says the time: one value, or a date and a time of day as one text."""
        value = heads.get(self._time_field)
        date_field = self._mapping.date_field
        if not date_field or value is None:
            return value
        date = heads.get(date_field)
        if date is None:
            raise RefusedError(Code.MISSING_TIME, date_field, None, f"line has no {date_field!r}")
        return f"{date}{self._mapping.date_gap}{value}"

    def _time(self, value: object, at_ms_max: int) -> int:
        name = self._time_field
        if value is None:
            raise RefusedError(Code.MISSING_TIME, name, None, f"line has no {name!r}")
        try:
            at_ms = self._parse_time(value)
        except BadTimeError as fault:
            raise RefusedError(Code.BAD_TIME, name, value, str(fault)) from fault
        if not AT_MS_MIN <= at_ms <= at_ms_max:
            reason = f"{at_ms} ms must be >= {AT_MS_MIN} (year 2000) and <= {at_ms_max}"
            raise RefusedError(Code.TIME_OUT_OF_RANGE, name, value, reason)
        return at_ms

    def _parse_time(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise BadTimeError("is neither a text nor a number")
        if not isinstance(value, str) and self._mapping.time_format == "iso8601":
            raise BadTimeError("is a number, but time_format is iso8601")
        text = value if isinstance(value, str) else value.text if isinstance(value, Decimal) else digits_of(value)
        return self._times.read(text)

    def _id(self, value: object) -> int:
        if value is None or value == "":
            return 0
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RefusedError(Code.BAD_ID, self._id_field, value, "must be a text or a whole number")
        return hash_text(value.encode() if isinstance(value, str) else digits_of(value).encode())

    def _fields(self, event: Event, wire: str, kind: TypePlan, values: dict[str, Any]) -> Event:
        described = self._plan.schema.types[kind.code].fields
        known: dict[str, Any] = {}
        for name, value in values.items():
            item = described[kind.slots[name]]
            if isinstance(value, str) and (item.kind in self._kinds_of_text or name in self._plan.derived):
                value = typed(value, item.kind, self._mapping.set_delimiter)  # noqa: PLW2901  a text becomes its value
            if value is not None:
                known[name] = value
        try:
            accepted = self._validators[wire].validate_python(known)
        except ValidationError as fault:
            raise _refusal(fault, values) from fault
        for name, value in accepted.items():
            slot = kind.slots[name]
            item = described[slot]
            if item.kind == Kind.SET:
                words = self._words[wire][slot]
                declared = self._members[wire][slot]
                event.cells.update(enumerate(cells_of(words, declared.intersection(value)), slot))
            else:
                event.cells[slot] = to_cell(item.kind, value, event.strings)
        return event

    def _validator(self, kind: TypePlan) -> SchemaValidator:
        described = self._plan.schema.types[kind.code].fields
        by_slot = sorted(kind.slots.items(), key=lambda pair: pair[1])
        fields = {
            wire: core_schema.typed_dict_field(self._value_schema(described[slot].kind), required=False)
            for wire, slot in by_slot
        }
        for wire, slot in by_slot:
            fields[wire]["required"] = described[slot].required
        return SchemaValidator(core_schema.typed_dict_schema(fields))

    def _value_schema(self, kind: Kind) -> core_schema.CoreSchema:
        made: dict[Kind, Callable[[], core_schema.CoreSchema]] = {
            Kind.INT: lambda: core_schema.int_schema(strict=True, ge=_INT_MIN, le=_INT_MAX),
            Kind.FLOAT: lambda: core_schema.float_schema(strict=True, allow_inf_nan=False),
            Kind.BOOL: lambda: core_schema.bool_schema(strict=True),
            Kind.STRING: lambda: core_schema.str_schema(strict=True),
            Kind.TIME: lambda: core_schema.no_info_plain_validator_function(self._time_value),
            Kind.SET: lambda: core_schema.list_schema(core_schema.str_schema(strict=True), strict=True),
        }
        return made[kind]()

    def _time_value(self, value: object) -> int:
        try:
            return self._parse_time(value)
        except BadTimeError as fault:
            raise PydanticCustomError("bad_time", "{reason}", {"reason": str(fault)}) from fault


def _kinds_of_text(mapping: Mapping) -> Set[Kind]:
    """Return the kinds of field whose values a text may write."""
    if mapping.format == "delimited":
        return frozenset(Kind)
    return frozenset({Kind.INT, Kind.FLOAT, Kind.BOOL} if mapping.numbers_in_quotes else ())


def _refusal(fault: ValidationError, written: dict[str, Any]) -> RefusedError:
    first = fault.errors(include_url=False)[0]
    name = str(first["loc"][0])
    code = _CODES.get(first["type"], Code.WRONG_TYPE)
    return RefusedError(code, name, None if code == Code.MISSING_FIELD else written[name], first["msg"])


def dead_letter(chunk: Chunk, fault: RefusedError, raw: bytes, at: int, line: int) -> DeadLetter:
    """Return the record of a refused line that begins at byte `at` of the chunk."""
    return DeadLetter(
        chunk.source,
        chunk.key,
        chunk.start + at,
        line,
        fault.code,
        fault.field,
        fault.value,
        fault.reason,
        raw[:RAW_BYTES_MAX],
        len(raw),
        chunk.received_ns // 1_000_000,
    )


def is_blank(raw: bytes) -> bool:
    """Return whether a line holds nothing."""
    return not raw.strip(_BLANKS)


def columns_of(plan: Plan, chunk: Chunk) -> tuple[str, ...]:
    """Return the names of the columns: from the chunk's header where there is one, else from the mapping."""
    mapping = plan.mapping
    if mapping.format != "delimited" or mapping.columns or not chunk.header:
        return mapping.columns
    header = chunk.header.decode(mapping.line_encoding, "replace").removeprefix(BOM).strip("\r\n")
    return tuple(split_line(header, mapping.delimiter, quotes=mapping.quotes))


def decode_strictly(plan: Plan, chunk: Chunk, at_ms_max: int) -> Decoded:
    """Decode a chunk line by line, with nothing but the strict path: what the fast decoder is measured against."""
    judge = Judge(plan)
    columns = columns_of(plan, chunk)
    events: list[Event] = []
    offsets: list[int] = []
    dead: list[DeadLetter] = []
    at = 0
    for number, whole in enumerate(chunk.data[: chunk.length].tobytes().split(b"\n"), chunk.line):
        raw = whole.removesuffix(b"\r")
        if not is_blank(raw):
            try:
                events.append(judge.judge(raw, at_ms_max, columns))
                offsets.append(chunk.start + at)
            except RefusedError as fault:
                dead.append(dead_letter(chunk, fault, raw, at, number))
        at += len(whole) + 1
    lines = len(events) + len(dead)
    return Decoded(batch_of(plan, events), np.array(offsets, np.int64), dead, lines, lines)


def batch_of(plan: Plan, events: list[Event]) -> Batch:
    """Return the events as columns."""
    batch = empty(plan.schema, len(events))
    strings: dict[int, bytes] = {}
    for row, event in enumerate(events):
        put(batch, row, event)
        strings |= event.strings
    batch.texts = texts_of(strings.items())
    return batch


def put(batch: Batch, row: int, event: Event) -> None:
    """Write an event over a row of a batch."""
    batch.subscriber[row] = event.subscriber
    batch.at_ms[row] = event.at_ms
    batch.type[row] = event.code
    batch.id[row] = event.id
    present = 0
    batch.cells[:, row] = 0
    for slot, cell in event.cells.items():
        batch.cells[slot, row] = cell
        present |= 1 << slot
    batch.present[row] = present

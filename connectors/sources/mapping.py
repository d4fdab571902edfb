"""Which field of a feed is which field of the book.

A `Mapping` is the settings of a source that speak about its lines. `compile_mapping` joins it with a schema into a
`Plan`: for every event type, the names under which its fields travel. Both decoders, fast and strict, work from the
same plan.

Nothing here reads a line.
"""

import re
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.sources.derived import DERIVED_MAX, Template, template_of
from connectors.sources.time_pattern import steps_of
from connectors.sources.zones import Offset, check_zone, offset_in
from state.numbers import NO_PLAN, NumberPlan
from state.schema import ANSWER, DUE, OUTCOME, Schema
from state.sets import is_further

INTERNAL_TYPES = frozenset({OUTCOME, ANSWER})
"""Event types that only the product itself makes; a feed that sends one gets the dead letter "unknown type"."""
COLUMNS_MAX = 512
NULL_WORDS_MAX = 32
DELIMITER_MAX = 8
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")

Encoding = Literal["utf-8", "utf-16", "gb18030", "gbk", "big5", "latin-1", "cp1252"]
"""In each of them but UTF-16 a byte 10 is a line end."""
TIME_FORMATS = ("iso8601", "compact", "epoch_ms", "epoch_s")


class Mapping(BaseModel):
    """How the lines of a source are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Annotated[
        Literal["ndjson", "delimited", "arrow", "parquet"],
        Field(
            description="ndjson: a flat JSON object a line. delimited: values between delimiters, RFC 4180 quotes. "
            "arrow (IPC streams and files) and parquet: columns, of files only."
        ),
    ] = "ndjson"
    encoding: Annotated[
        Encoding,
        Field(
            description="How letters are written: utf-8, utf-16 (of files only), gb18030, gbk, big5, latin-1 or cp1252."
        ),
    ] = "utf-8"
    ignore_unread_bytes: Annotated[
        bool,
        Field(description="Bytes not of the encoding are no fault in columns that nothing reads (delimited only)."),
    ] = False
    type: Annotated[str, Field(description="Event type of every line; empty: read it from type_field.")] = ""
    type_field: Annotated[str, Field(description="Field that names the event type.", min_length=1)] = "type"
    subscriber_field: Annotated[str, Field(description="Field with the MSISDN.", min_length=1)] = "msisdn"
    time_field: Annotated[str, Field(description="Field with the event's time.", min_length=1)] = "time"
    date_field: Annotated[
        str,
        Field(
            description="Field with the date, where time_field has the time of day only: both are read by time_format "
            "as one text, a space between them, with compact none (delimited only)."
        ),
    ] = ""
    time_format: Annotated[
        str,
        Field(
            description="How times are written: iso8601, compact (20081104090000), epoch_ms, epoch_s, or a pattern "
            "such as %Y/%m/%d %H:%M:%S, of %Y %y %m %d %H %M %S %f (fraction) %z (zone) %b (Jan) %I %p (PM) %%."
        ),
    ] = "iso8601"
    time_offset: Annotated[
        str, Field(description="Offset of times that name no zone, as +08:00; empty: such a time is refused.")
    ] = ""
    time_zone: Annotated[
        str,
        Field(
            description="Zone of times that name none, as Europe/Berlin, with its summer time; instead of time_offset."
        ),
    ] = ""
    id_field: Annotated[
        str, Field(description="Field with the event's own id, by which doubled events are known; empty: none.")
    ] = "id"
    types: Annotated[
        dict[str, str],
        Field(description="Event type of the book by its name in the feed; empty: the book's names are used."),
    ] = {}
    rename: Annotated[
        dict[str, str | dict[str, str]],
        Field(description="Field of the book by its name in the feed; in a table of an event type, of that type only."),
    ] = {}
    derived: Annotated[
        dict[str, str],
        Field(
            description="Fields made of others, by name: left(imei, 8), right(x, n), mid(x, first, n), lower(x), or a "
            "text with fields in brackets, as {lac}-{ci}.",
            max_length=DERIVED_MAX,
        ),
    ] = {}
    null_words: Annotated[
        tuple[str, ...],
        Field(description='Texts that mean "no value", as NULL, \\N or -, in every field.', max_length=NULL_WORDS_MAX),
    ] = ()
    delimiter: Annotated[
        str, Field(description="One to eight ASCII characters between two values, as | or ||| (delimited only).")
    ] = ","
    columns: Annotated[
        tuple[str, ...],
        Field(description='Names of the columns in order, "" to skip one (delimited only).', max_length=COLUMNS_MAX),
    ] = ()
    set_delimiter: Annotated[
        str, Field(description="Character between the members of a set (delimited only).", min_length=1, max_length=1)
    ] = "|"
    quotes: Annotated[
        bool, Field(description="Whether values may stand in quotes; false: a quote is a letter (delimited only).")
    ] = True
    numbers_in_quotes: Annotated[
        bool,
        Field(
            description='Numbers and bools may be texts, with leading zeros, as "0061" (ndjson only: in delimited '
            "lines they are)."
        ),
    ] = False
    header: Annotated[bool, Field(description="The first line names the columns (delimited only).")] = False
    line_bytes_max: Annotated[
        int, Field(description="Bytes a line may have; a longer one is a dead letter.", ge=64, le=16 << 20)
    ] = 65536

    @field_validator("delimiter")
    @classmethod
    def _ascii_signs(cls, value: str) -> str:
        odd = any(sign in '"\r\n' or sign.isalnum() for sign in value)
        if not 1 <= len(value) <= DELIMITER_MAX or not value.isascii() or odd:
            told = f"one to {DELIMITER_MAX} ASCII characters, no letter, digit, quote or line end"
            raise ValueError(f"delimiter={value!r} must be {told}")
        if len(value) > 1 and any(sign.isspace() for sign in value):
            raise ValueError(f"delimiter={value!r} of several characters must have no blank")
        return value

    @field_validator("time_format")
    @classmethod
    def _time_is_readable(cls, value: str) -> str:
        if "%" in value:
            steps_of(value)
        elif value not in TIME_FORMATS:
            raise ValueError(f"time_format={value!r} must be {', '.join(TIME_FORMATS)} or a pattern as %Y-%m-%d")
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value:
            check_zone(value)
        return value

    @field_validator("time_offset")
    @classmethod
    def _offset(cls, value: str) -> str:
        if value:
            offset_ms(value)
        return value

    @field_validator("null_words")
    @classmethod
    def _words_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"null_words={list(value)} must differ")
        return value

    @model_validator(mode="after")
    def _derived_can_be_made(self) -> "Mapping":
        for name, template in self.templates.items():
            if not self.type and name == self.type_field:
                raise ValueError(f"derived.{name} is type_field, which is read from the line: name types by types")
            if name in self.columns or (self.date_field and name == self.date_field):
                raise ValueError(f"derived.{name} must not be one of columns, nor date_field")
            made = [one for one in template.names if one in self.derived]
            if made:
                raise ValueError(f"derived.{name} is made of {made[0]!r}, which must not be derived itself")
        return self

    @model_validator(mode="after")
    def _columns_are_known(self) -> "Mapping":
        if self.format == "delimited" and not self.header and not self.columns:
            raise ValueError('format="delimited" needs columns=[...] or header=true')
        named = [name for name in self.columns if name]
        if len(named) != len(set(named)):
            raise ValueError(f"columns={list(self.columns)} must differ")
        heads = [self.subscriber_field, self.time_field, *([self.date_field] if self.date_field else [])]
        heads += [] if self.type else [self.type_field]
        heads += [self.id_field] if self.id_field else []
        if len(heads) != len(set(heads)):
            raise ValueError(f"type_field, subscriber_field, time_field, date_field and id_field={heads} must differ")
        return self

    @model_validator(mode="after")
    def _date_can_be_joined(self) -> "Mapping":
        if self.date_field and self.format != "delimited":
            raise ValueError(f'date_field={self.date_field!r} needs format="delimited"')
        if self.date_field and self.time_format.startswith("epoch"):
            raise ValueError(f"date_field={self.date_field!r} needs a time_format of a date and a time of day")
        return self

    @model_validator(mode="after")
    def _zone_is_said_once(self) -> "Mapping":
        if self.time_offset and self.time_zone:
            raise ValueError(f"time_offset={self.time_offset!r} and time_zone={self.time_zone!r} exclude each other")
        pattern = steps_of(self.time_format) if "%" in self.time_format else ()
        if pattern and all(step.name != "zone" for step in pattern) and self.local_offset is None:
            raise ValueError(f"time_format={self.time_format!r} has no %z, so time_zone or time_offset must be given")
        return self

    @property
    def templates(self) -> dict[str, Template]:
        """Return the derived fields by name."""
        return {name: template_of(name, written) for name, written in self.derived.items()}

    @property
    def is_of_columns(self) -> bool:
        """Return whether events come as columns and not as lines; what of them is replayed comes as NDJSON."""
        return self.format in ("arrow", "parquet")

    @property
    def is_recoded(self) -> bool:
        """Return whether lines are written anew in UTF-8 as they are read, because theirs cannot be told by a byte."""
        return self.encoding == "utf-16"

    @property
    def line_encoding(self) -> str:
        """Return how letters are written in the lines that are decoded."""
        return "utf-8" if self.is_recoded else self.encoding

    @property
    def date_gap(self) -> str:
        """What stands between a date and its time of day when they are read as one text."""
        return "" if self.time_format == "compact" else " "

    @property
    def local_offset(self) -> Offset | None:
        """Return what gives the offset of a local time that names no zone; None where such a time is refused."""
        if self.time_zone:
            return offset_in(self.time_zone)
        if self.time_offset:
            fixed = offset_ms(self.time_offset)
            return lambda _: fixed
        return None


def offset_ms(text: str) -> int:
    """Return the milliseconds of a zone offset such as +08:00; ValueError says what is wrong."""
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 18 or int(match[3]) > 59:
        raise ValueError(f"time_offset={text!r} must look like +08:00, at most 18 hours")
    minutes = int(match[2]) * 60 + int(match[3])
    return (minutes if match[1] == "+" else -minutes) * 60_000


@dataclass(frozen=True, slots=True)
class TypePlan:
    """How one event type travels: `code` in the schema, and slot by the name of the field in the feed."""

    code: int
    name: str
    slots: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """A mapping joined with a schema and the number plan.

    `types` is by name in the feed; `only` is set where every line has one type. `derived` are the
    fields that are made of others.
    """

    mapping: Mapping
    schema: Schema
    types: dict[str, TypePlan]
    only: TypePlan | None
    numbers: NumberPlan = NO_PLAN
    derived: dict[str, Template] = made_by(default_factory=dict)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the fields that every line has, whatever its type: type, subscriber, time, id; "" where not read."""
        mapping = self.mapping
        type_field = "" if mapping.type else mapping.type_field
        return (type_field, mapping.subscriber_field, mapping.time_field, mapping.id_field)


class MappingError(ValueError):
    """Raised when a mapping disagrees with a schema; `faults` lists every reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def compile_mapping(mapping: Mapping, schema: Schema, numbers: NumberPlan = NO_PLAN) -> Plan:
    """Join a mapping with a schema; MappingError names every type and field that the schema lacks."""
    faults: list[str] = []
    offered = {kind.name for code, kind in enumerate(schema.types) if code not in INTERNAL_TYPES and kind != DUE}
    by_name = mapping.types or {name: name for name in sorted(offered)}
    wire_types = {mapping.type: mapping.type} if mapping.type else by_name
    plans: dict[str, TypePlan] = {}
    for wire, name in wire_types.items():
        if name not in offered:
            faults.append(f"types: event type {name!r} is not in the book")
            continue
        plans[wire] = _plan_type(mapping, schema, name, faults)
    faults += _unknown_renames(mapping, schema, offered)
    read = {mapping.subscriber_field, mapping.time_field, mapping.id_field}.union(
        *(plan.slots for plan in plans.values())
    )
    faults += [f"derived: no event type has a field {name!r}" for name in mapping.derived if name not in read]
    if faults:
        raise MappingError(faults)
    return Plan(mapping, schema, plans, plans[mapping.type] if mapping.type else None, numbers, mapping.templates)


def _plan_type(mapping: Mapping, schema: Schema, name: str, faults: list[str]) -> TypePlan:
    code = schema.code(name)
    kind = schema.types[code]
    renamed: dict[str, str] = {wire: field for wire, field in mapping.rename.items() if isinstance(field, str)}
    own = mapping.rename.get(name)
    if isinstance(own, dict):
        renamed |= own
    slots = {wire: kind.slots[field] for wire, field in renamed.items() if field in kind.slots}
    taken = set(slots.values())
    for field, slot in kind.slots.items():
        if slot not in taken and field not in renamed and not is_further(field):
            slots[field] = slot
    heads = {mapping.subscriber_field, mapping.time_field, mapping.date_field, mapping.id_field} | (
        set() if mapping.type else {mapping.type_field}
    )
    for wire in sorted(heads & set(slots)):
        hidden = kind.fields[slots.pop(wire)]
        if hidden.required:
            faults.append(f"rename: {name}.{hidden.name} is required, but {wire!r} is read as a head field of the line")
    return TypePlan(code, name, slots)


def _unknown_renames(mapping: Mapping, schema: Schema, offered: set[str]) -> list[str]:
    faults = []
    everywhere = {field for name in offered for field in schema.types[schema.code(name)].slots if not is_further(field)}
    for wire, target in mapping.rename.items():
        if isinstance(target, str):
            if target not in everywhere:
                faults.append(f"rename: no event type has a field {target!r} (for {wire!r})")
        elif wire not in offered:
            faults.append(f"rename: event type {wire!r} is not in the book")
        else:
            slots = schema.types[schema.code(wire)].slots
            faults += [f"rename: {wire} has no field {field!r}" for field in target.values() if field not in slots]
    return faults

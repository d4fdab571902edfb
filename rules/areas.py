"""Areas: cells with a name, written out or from a table, and who is followed in them.

    [areas.fair]
    cells = [...] | table = "ID"        its cells; those of a table are its keys,
    only = { COLUMN = value }           or the keys of which this column says so
    seen = ["move.cell", ...]           the fields that say where a subscriber is
    leave_after = "2m"                  how long sightings must be outside before a stay has ended

An area with `seen` brings a feature along, of the kind `area`: since when a subscriber is in it. What was seen belongs
to the area's ID, whatever its cells: a book that changes them, `seen` or `leave_after` goes on with what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions.context import KIND_WORDS
from rules.expressions.lookups import CellsOf, Column
from rules.expressions.membership import cells_of
from rules.expressions.places import area_name
from rules.expressions.tree import Expr, OneOf, Operand, Use
from rules.model import Area, Feature, Sighting, Stays, Window
from rules.sections import Declared, id_fault, read_reach, sections
from rules.shape import Faults, Shape, Text, shown, type_word
from rules.toml import Document
from state.schema import DUE, PROFILE, Kind, Schema

__all__ = ["areas_followed", "declare_areas", "stays_in"]

LEAVE_MS_MIN = 1_000
SEEN_MAX = 8
_EVER = Window("ever")


class AreaShape(Shape):
    """`[areas.NAME]`."""

    title: Text = ""
    cells: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=50_000)]
        | None
    ) = None
    table: str | None = None
    only: Annotated[dict[str, Any], Field(min_length=1, max_length=1)] | None = None
    seen: (
        Annotated[
            list[str],
            BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
            Field(min_length=1, max_length=SEEN_MAX),
        ]
        | None
    ) = None
    leave_after: str | None = None


def declare_areas(
    documents: list[Document],
    schema: Schema,
    tables: Mapping[str, Mapping[str, Column]],
    faults: Faults,
    broken: set[str],
) -> dict[str, Area]:
    """Return every area by its ID; what is wrong is reported, and its ID is `broken`."""
    found: dict[str, Area] = {}
    for one in sections("areas", AreaShape, documents, faults, broken, id_fault):
        before = len(faults.found)
        cells = _cells(one, tables, faults, broken)
        seen = _seen(one, schema, faults, broken)
        leave_ms = _leave_ms(one, faults)
        if cells is None or len(faults.found) > before:
            broken.add(one.name)
            continue
        found[one.name] = Area(one.name, cells, one.shape.title, seen, leave_ms if seen else 0)
    return found


def _cells(
    one: Declared[AreaShape], tables: Mapping[str, Mapping[str, Column]], faults: Faults, broken: set[str]
) -> tuple[str, ...] | CellsOf | None:
    shape = one.shape
    if (shape.cells is None) is (shape.table is None):
        if one.name not in broken:
            message = f"area `{one.name}` must have either `cells` or `table`"
            faults.add(Code.CHOOSE_ONE, one.document, one.path, message, key=True)
        return None
    if shape.only is not None and shape.table is None:
        faults.add(Code.KEY_ALONE, one.document, (*one.path, "only"), "`only` stands here without `table`", key=True)
    if shape.table is None:
        return tuple(shape.cells or ())
    columns = tables.get(shape.table)
    if columns is None:
        if shape.table not in broken:
            hint = nearest(shape.table, tables)
            message = f"unknown table `{shape.table}`"
            faults.add(Code.UNKNOWN_TABLE, one.document, (*one.path, "table"), message, hint=hint)
        return None
    key = next(iter(columns.values()))
    if key.key_kind is not Kind.STRING:
        message = f"table `{shape.table}` has keys that are no texts: an area holds cells"
        faults.add(Code.BAD_TABLE, one.document, (*one.path, "table"), message)
        return None
    return CellsOf(key, None) if shape.only is None else _only(one, columns, shape.only, faults)


def _only(
    one: Declared[AreaShape], columns: Mapping[str, Column], only: Mapping[str, Any], faults: Faults
) -> CellsOf | None:
    """The cells of which a column says a value, which must be of its kind."""
    (name, value), path = next(iter(only.items())), (*one.path, "only")
    column = columns.get(name)
    if column is None:
        hint = nearest(name, columns) or f"its columns: {', '.join(columns)}"
        message = f"table `{one.shape.table}` has no column `{name}`"
        faults.add(Code.UNKNOWN_COLUMN, one.document, (*path, name), message, hint=hint, key=True)
        return None
    kinds = {Kind.STRING: str, Kind.INT: int, Kind.FLOAT: float, Kind.BOOL: bool}
    if type(value) is not kinds[column.kind]:
        message = (
            f"`{name}` of table `{one.shape.table}` is {KIND_WORDS[column.kind]}; {shown(value)} is {type_word(value)}"
        )
        faults.add(Code.TYPE_MISMATCH, one.document, (*path, name), message)
        return None
    return CellsOf(column, value)  # type: ignore[arg-type]  # a value of the column's kind


def _seen(one: Declared[AreaShape], schema: Schema, faults: Faults, broken: set[str]) -> tuple[tuple[int, int], ...]:
    """The fields that say where a subscriber is, as type and slot."""
    found: list[tuple[int, int]] = []
    for at, text in enumerate(one.shape.seen or ()):
        path = (*one.path, "seen", at)
        event, dot, name = text.partition(".")
        if not dot:
            message = f'"{text}" is no field: which one says where a subscriber is?'
            faults.add(Code.UNKNOWN_FIELD, one.document, path, message, hint='as in seen = ["move.cell"]')
            continue
        if event not in schema.codes or event == DUE.name:
            if event not in broken:
                hint = nearest(event, [name for name in schema.codes if name != DUE.name])
                faults.add(Code.UNKNOWN_EVENT, one.document, path, f"unknown event type `{event}`", hint=hint)
            continue
        kind = schema.types[schema.code(event)]
        if name not in kind.slots:
            if f"{event}.{name}" not in broken:
                hint = nearest(name, kind.slots) or f"there are: {', '.join(kind.slots)}"
                faults.add(Code.UNKNOWN_FIELD, one.document, path, f"event `{event}` has no field `{name}`", hint=hint)
            continue
        slot = kind.slots[name]
        if kind.fields[slot].kind is not Kind.STRING:
            message = f"`{text}` is {KIND_WORDS[kind.fields[slot].kind]}: an area holds cells, which are texts"
            faults.add(Code.TYPE_MISMATCH, one.document, path, message)
        elif any(code == schema.code(event) for code, _ in found):
            message = f"`{event}` says twice where a subscriber is"
            faults.add(Code.DECLARED_TWICE, one.document, path, message)
        else:
            found.append((schema.code(event), slot))
    return tuple(found)


def _leave_ms(one: Declared[AreaShape], faults: Faults) -> int:
    text, path = one.shape.leave_after, (*one.path, "leave_after")
    if text is not None and not one.shape.seen:
        hint = 'who is followed? As in seen = ["move.cell"]'
        message = "`leave_after` stands here without `seen`"
        faults.add(Code.KEY_ALONE, one.document, path, message, hint=hint, key=True)
        return 0
    ms = read_reach(text or "2m", "leave_after", one.document, path, faults)
    if 0 < ms < LEAVE_MS_MIN:
        faults.add(Code.OUT_OF_BOUNDS, one.document, path, f'leave_after="{text}" must be >= "1s"')
    return ms


def stays_in(area: Area, schema: Schema, *, leaves: bool = False) -> Stays:
    """What a feature follows of an area."""
    sightings = tuple(Sighting(code, slot, _inside(area, schema, code, slot)) for code, slot in area.seen)
    return Stays(area.name, sightings, area.leave_ms, leaves)


def _inside(area: Area, schema: Schema, code: int, slot: int) -> Expr:
    name = schema.types[code].fields[slot].name  # the bare name of an attribute is the subscriber's as kept
    cell = Use(Operand(f"profile.{name}" if code == PROFILE else name, "cell", slot, Kind.STRING))
    return OneOf(cell, tuple(sorted(set(area.cells)))) if isinstance(area.cells, tuple) else cells_of(cell, area.cells)


def areas_followed(areas: Mapping[str, Area], schema: Schema) -> list[Feature]:
    """Return the features of the areas in which subscribers are followed."""
    found = []
    for area in areas.values():
        if area.seen:
            print_ = blake2b(repr(("area", area.name)).encode(), digest_size=8).hexdigest()
            code, stays = area.seen[0][0], stays_in(area, schema)
            found.append(
                Feature(
                    area_name(area.name), "area", code, -1, None, _EVER, Kind.TIME, print_, meaning=print_, stays=stays
                )
            )
    return found

"""The shape of a book's sections: keys, types, defaults and bounds, before any name is looked up.

One pydantic model per section, strict and closed: an unknown key is a fault, a number is never made of a text.
`read_shape` turns pydantic's findings into diagnostics with a place. What the keys mean is told in `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from rules.codes import Code
from rules.diagnostics import Diagnostic, nearest
from rules.draw_keys import DrawKeys
from rules.memory import remembered
from rules.timer_keys import TimerKeys
from rules.toml import Block, Document, Path
from state.features import BOOK_KINDS, PANES_MAX

__all__ = [
    "FAULTS_MAX",
    "FEATURE_SHAPE",
    "BookShape",
    "CampaignShape",
    "ChannelShape",
    "EventShape",
    "Faults",
    "FeatureShape",
    "ListShape",
    "OfferShape",
    "RuleShape",
    "TableShape",
    "TooManyFaultsError",
    "ValueShape",
    "check_keys",
    "read_block",
    "read_shape",
    "salvage",
]

Id = Annotated[str, Field(pattern=r"^[^\W_][\w.-]{0,63}$")]
Ids = Annotated[list[Id], Field(max_length=64)]
Text = Annotated[str, Field(max_length=1_000)]
Caps = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Klass = Literal["commercial", "service"]
Decisions = Annotated[int, Field(ge=1, le=16)]


class Shape(BaseModel):
    """What all sections share."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class BookShape(Shape):
    """`[book]`, once in a book."""

    zone: str = "UTC"
    cap: Caps = []
    decisions_per_event: Decisions = 1
    holdout: str = "0%"
    max_age: str = "1h"
    shelf_life: str = "1d"
    declined_hides: str = "30d"
    quiet: dict[str, Any] = {}


class QuietShape(Shape):
    """`quiet` of `[book]`."""

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    zone: str | None = None


class EventShape(Shape):
    """`[events.NAME]`."""

    fields: dict[str, str] = {}
    decisions_max: Decisions | None = None


class ListShape(Shape):
    """`[lists.NAME]`."""

    title: Text = ""
    excludes: Literal["", "commercial", "all"] = ""


class ChannelShape(Shape):
    """`[channels.NAME]`."""

    kind: Literal["sms", "desk", "alert"] | None = None
    title: Text = ""
    klass: Klass | None = Field(None, alias="class")
    cap: Caps = []
    per_event_max: Decisions | None = None


class CampaignShape(Shape):
    """`[campaigns.NAME]`."""

    title: Text = ""
    cap: Caps = []
    holdout: str = "0%"
    arms: dict[str, Any] = {}


class CategoryShape(Shape):
    """`[categories.NAME]`."""

    title: Text = ""
    cap: Caps = []


class OfferShape(Shape):
    """`[offers.NAME]`."""

    title: Text = ""
    script: Text = ""
    link: Text = ""
    requires: list[str] = []
    unless_holds: list[str] = []
    repeat: str | None = None
    declined_hides: str | None = None


class TableShape(Shape):
    """`[tables.NAME]`."""

    title: Text = ""
    file: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    columns: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=64)], str], Field(min_length=1, max_length=64)
    ]
    rows: Annotated[list[dict[str, Any]], Field(max_length=10_000)] | None = None


class ValueShape(Shape):
    """`[values.NAME]`."""

    expression: str = Field(alias="is")
    bands: Annotated[list[int | float | str], Field(min_length=1, max_length=64)] | None = None


LEARNING = "since"
"""A kind of its own, and beside another kind the learning period."""


class FeatureShape(Shape):
    """What every `[features.NAME]` may hold; `FEATURE_SHAPE` adds a key for each kind, with what the feature reads."""

    where: str | None = None
    over: str = "ever"
    panes: Annotated[int, Field(ge=1, le=PANES_MAX)] | None = None
    as_: str | None = Field(None, alias="as")
    sightings: Annotated[int, Field(ge=1, le=1_000)] | None = None
    held_for: str | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """What the feature reads, by the kinds that are given: one, unless the book is wrong."""
        given = {kind: reads for kind in BOOK_KINDS if (reads := getattr(self, kind)) is not None}
        if len(given) > 1:
            given.pop(LEARNING, None)
        return given

    @property
    def learning(self) -> str | date | None:
        """`since` beside another kind: how long a feature is kept, or from when on, before it is known."""
        learns = getattr(self, LEARNING) if LEARNING not in self.kinds else None
        return cast("str | date | None", learns)


def _with_kinds() -> type[FeatureShape]:
    keys: dict[str, Any] = dict.fromkeys(BOOK_KINDS, (str | None, None))
    keys[LEARNING] = (str | date | datetime | None, None)
    return create_model("FeatureShape", __base__=FeatureShape, **keys)


FEATURE_SHAPE = _with_kinds()
"""`[features.NAME]`, with a key for each kind."""


class KeepShape(Shape):
    """`keep` of `[[rule]]`."""

    list: Id
    for_: str = Field(alias="for")


class RuleShape(Shape, TimerKeys, DrawKeys):
    """`[[rule]]`."""

    id: Id
    on: str | None = None
    when: str | None = None
    channels: Annotated[Ids, Field(min_length=1)]
    offer: Id | None = None
    campaign: Id | None = None
    category: Id | None = None
    klass: Klass | None = Field(None, alias="class")
    priority: Any = 50
    cap: Caps = []
    max_age: str | None = None
    shelf_life: str | None = None
    exclude: Ids = []
    keep: KeepShape | None = None
    reason: Text | None = None
    text: dict[str, Text] = {}
    enabled: bool = True


S = TypeVar("S", bound=Shape)


FAULTS_MAX = 2_000
"""Faults after which a reading stops: each costs a place and perhaps a hint, and nobody reads more."""


class TooManyFaultsError(Exception):
    """`FAULTS_MAX` are found."""


class Faults:
    """Gathers what is wrong while a book is read; TooManyFaultsError where it is `FAULTS_MAX`.

    `kept`: the book was active once and is read again to understand old decisions, so rules that were made since do not
    hold for it.
    """

    def __init__(self, *, kept: bool = False) -> None:
        self.found: list[Diagnostic] = []
        self.kept = kept

    def add(
        self,
        code: Code,
        document: Document,
        path: Path,
        message: str,
        *,
        label: str = "",
        hint: str = "",
        key: bool = False,
    ) -> None:
        """Report a fault of the value (or the key) at a path."""
        self.extend([Diagnostic(code, message, document.place(path, key=key), label, hint)])

    def extend(self, found: Iterable[Diagnostic]) -> None:
        """Report faults that others found."""
        self.found.extend(found)
        if len(self.found) >= FAULTS_MAX:
            raise TooManyFaultsError


def salvage(model: type[S], data: Any, stand_in: Mapping[str, Any]) -> S | None:
    """What is left of a section without the keys that are wrong, so that the others can be judged; None for nothing.

    `stand_in` is what takes the place of keys that must be there.
    """
    if not isinstance(data, dict):
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = {finding["loc"][0] for finding in error.errors(include_url=False) if finding["loc"]}
    sound = {key: value for key, value in data.items() if key not in wrong}
    try:
        return model.model_validate({**{key: value for key, value in stand_in.items() if key in wrong}, **sound})
    except ValidationError:
        return None


def read_shape(model: type[S], data: Any, document: Document, path: Path, faults: Faults) -> S | None:
    """The section at a path as its model; None when its shape is wrong, every fault reported."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for finding in error.errors(include_url=False):
            _report(model, finding, document, path, faults)
        return None


@remembered
def _shaped(model: type[Shape], block: Block) -> Shape:
    return model.model_validate(block.data)


def read_block(model: type[S], block: Block, document: Document, path: Path, faults: Faults) -> S | None:
    """`read_shape` of a block, remembered by the block's text."""
    try:
        return cast(S, _shaped(model, block))
    except ValidationError:
        return read_shape(model, block.data, document, path, faults)


def check_keys(table: Mapping[str, Any], known: Iterable[str], document: Document, path: Path, faults: Faults) -> None:
    """Report keys that mean nothing in a table without a model."""
    names = tuple(known)
    for name in table:
        if name not in names:
            _unknown_key(name, names, document, (*path, name), faults)


def _unknown_key(name: str, known: Iterable[str], document: Document, path: Path, faults: Faults) -> None:
    names = list(known)
    hint = nearest(name, names) or f"known here: {', '.join(names)}"
    faults.add(Code.UNKNOWN_KEY, document, path, f"unknown key `{name}`", hint=hint, key=True)


def _report(model: type[Shape], finding: Any, document: Document, path: Path, faults: Faults) -> None:
    kind, value, context = finding["type"], finding["input"], finding.get("ctx", {})
    loc: Path = finding["loc"]
    name = next((part for part in reversed(loc) if isinstance(part, str)), "value")
    if kind == "extra_forbidden":
        known = [field.alias or key for key, field in model.model_fields.items()]
        _unknown_key(name, known, document, (*path, *loc), faults)
    elif kind == "missing":
        faults.add(Code.MISSING_KEY, document, path, f"`{name}` is missing", key=True)
    elif kind == "string_pattern_mismatch":
        message = f"`{value}` is not a name: letters, digits, `_`, `.` and `-`, at most 64"
        faults.add(Code.BAD_NAME, document, (*path, *loc), message)
    elif kind == "literal_error":
        choices = context["expected"].replace("'", '"')
        hint = nearest(value, choices.replace('"', "").split(" or ")) if isinstance(value, str) else ""
        code = Code.OUT_OF_BOUNDS if isinstance(value, str) else Code.WRONG_SHAPE
        faults.add(code, document, (*path, *loc), f"{name}={shown(value)} must be {choices}", hint=hint)
    elif bound := _bound(kind, context):
        length = kind.startswith(("too_", "string_too_"))
        amount = f"length of {name}={len(value)}" if length else f"{name}={shown(value)}"
        faults.add(Code.OUT_OF_BOUNDS, document, (*path, *loc), f"{amount} must be {bound}")
    else:
        wanted = WANTED.get(kind, "something else")
        message = f"`{name}` must be {wanted}, not {type_word(value)}"
        faults.add(Code.WRONG_SHAPE, document, (*path, *loc), message, hint=_shape_hint(name, kind, value))


def _shape_hint(name: str, kind: str, value: Any) -> str:
    """How to write a value that has the wrong kind."""
    if kind == "string_type" and type(value) is int:
        if name in DURATIONS:
            return f'a duration has a unit, as in {name} = "{value}m"'
        return f'as in holdout = "{value}%"' if name == "holdout" else ""
    if kind == "list_type" and isinstance(value, str | int | float):
        return 'as in cap = "3 per day"' if name == "cap" else f"as in {name} = [{shown(value)}]"
    return ""


DURATIONS = frozenset(
    {"max_age", "shelf_life", "repeat", "declined_hides", "over", "within", "for", "delay", "held_for"}
)
WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "an array",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a table"),
}


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    signs = {
        "greater_than_equal": (">=", "ge"),
        "less_than_equal": ("<=", "le"),
        "greater_than": (">", "gt"),
        "less_than": ("<", "lt"),
        "too_short": (">=", "min_length"),
        "too_long": ("<=", "max_length"),
        "string_too_short": (">=", "min_length"),
        "string_too_long": ("<=", "max_length"),
    }
    if kind not in signs:
        return ""
    sign, name = signs[kind]
    return f"{sign} {context[name]}"


def shown(value: Any) -> str:
    """A value as a book would write it, cut where it is long."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def type_word(value: Any) -> str:
    """The kind of a TOML value, in the words of these messages."""
    words = {bool: "true or false", int: "a whole number", float: "a number with a fraction", str: "a text"}
    words |= {list: "an array", dict: "a table"}
    return words.get(type(value), "a time")

"""Derived fields of a table as columns of texts; see `connectors.sources.derived` for what a template says.

A column that cannot be made so that it equals what the strict path makes, row by row, is left to that path.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from connectors.sources.columns.messages import BODY_BYTES_MAX
from connectors.sources.columns.table import is_text, lengths_of
from connectors.sources.derived import Step, Template


def made_column(template: Template, columns: Mapping[str, Any], null_words: tuple[str, ...]) -> Any:
    """Return a derived column of texts, a null for no value; None where the strict path must make it."""
    if any(name not in columns for name in template.names):
        return None
    inputs = {name: columns[name] for name in template.names}
    if len(template.parts) * sum(int(lengths_of(one).sum()) for one in inputs.values()) > BODY_BYTES_MAX:
        return None  # texts that rows share, written out for each of them
    first = inputs[template.names[0]]
    try:
        if len(inputs) == 1 and pt.is_dictionary(first.type) and is_text(first.type):
            made = _made(template, {template.names[0]: first.dictionary}, null_words)
            return None if made is None else pa.DictionaryArray.from_arrays(first.indices, made)
        return _made(template, inputs, null_words)
    except pa.ArrowException:  # bytes that are no letters, a date that is none
        return None


def _made(template: Template, inputs: Mapping[str, Any], null_words: tuple[str, ...]) -> Any:
    texts = {name: _written(column, null_words) for name, column in inputs.items()}
    if any(text is None for text in texts.values()):
        return None
    parts: list[Any] = []
    for part in template.parts:
        made = texts[part.name] if part.name else pa.scalar(part.text)
        for step in part.steps:
            made = _step(step, made)
        parts.append(made)
    joined = pc.binary_join_element_wise(*parts, "", null_handling="emit_null") if len(parts) > 1 else parts[0]
    return _without(joined, [""])


def _written(column: Any, null_words: tuple[str, ...]) -> Any:
    """Return a column as its values are written; None where Arrow writes them otherwise."""
    type_ = column.type
    if pt.is_dictionary(type_) and is_text(type_):
        column, type_ = column.dictionary_decode(), type_.value_type
    if is_text(type_):
        return _without(column.cast(pa.string()), ["", *null_words])
    if pt.is_integer(type_) or pt.is_boolean(type_) or pt.is_date32(type_) or pt.is_time(type_):
        return column.cast(pa.string())
    return None


def _without(column: Any, words: list[str]) -> Any:
    """Return a column with nulls in place of some texts."""
    found = pc.is_in(column, value_set=pa.array(words, pa.string()))
    return pc.if_else(found, pa.scalar(None, pa.string()), column)


def _step(step: Step, column: Any) -> Any:
    if step.function == "lower":
        return pc.ascii_lower(column)
    if step.function == "right":
        count = step.numbers[0]
        return pc.utf8_slice_codeunits(column, -count if count else 0, None if count else 0)
    first, count = (step.numbers[0] - 1, step.numbers[1]) if step.function == "mid" else (0, step.numbers[0])
    return pc.utf8_slice_codeunits(column, first, first + count)

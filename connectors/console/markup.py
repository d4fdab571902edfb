"""HTML as values: elements made by `tag`, and the one function through which every other text comes into a page.

    tag("a", rule_name, href="/console")        <a href="/console">the name, escaped</a>

A `Markup` is HTML already and only this module makes one; whatever else is put into an element or an attribute is shown
as it is, with every character visible and none of them read as HTML.
"""

from collections.abc import Iterable
from html import escape

from state.visible import visible

CHARS_MAX = 20_000
"""Of one text in a page."""
_EMPTY = frozenset({"input", "link", "meta", "br", "img"})

Child = object
"""A Markup, a text, a number, None for nothing, or several of them."""


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def shown(text: object) -> Markup:
    """Return any text as HTML that shows it."""
    if isinstance(text, Markup):
        return text
    return Markup(escape(visible(str(text), CHARS_MAX)))


def tag(element: str, /, *children: Child, **attributes: object) -> Markup:
    """Return an element. `class_` and `aria_label` are written as HTML has them; None and False leave one out."""
    written = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if element in _EMPTY:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{joined(children)}</{element}>")


def joined(children: Iterable[Child]) -> Markup:
    """Return several children one after the other."""
    return Markup("".join(_each(child) for child in children))


def _each(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, str | int | float):
        return shown(child)
    if isinstance(child, Iterable):
        return joined(child)
    raise TypeError(f"{type(child).__name__} is no child of an element")


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{shown(value)}"'

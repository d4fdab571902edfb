"""A compiled book on its way from one process to another: what its predecessor has not, in pieces.

    book = load_text(sources, before)
    for message in of_book(book, before): send(message)         # an outline, then pieces of a few items
    for message in of_program(compile_book(book)): send(message)

    unpacking = Unpacking(before)
    while unpacking.made is None: unpacking.take(receive())     # holds the interpreter for half a millisecond

The receiver has the same `before` and goes on using its objects: a rule that did not change is the same object in both
books, and so is the schema, by which decoders know that nothing changed for them. Messages are pickles, made and read
by the two ends of one engine only; they never come from a file or a network.

Why not one pickle of the book: `python -m perf.bench_transfer` with 1,000 rules, medians, on two cores at load 11:

                              CPU ms   longest hold of the interpreter, ms
    one rule changed, whole     20       6.3
    one rule changed, pieces     1.3     0.5
    every rule changed, whole   25       6.6
    every rule changed, pieces  24       2.6

Nor is plain `pickle.dumps` enough: it refuses read-only mappings, and read-only arrays come back writable, for which
kernels would be compiled once more.
"""

import io
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from rules.model import Book

PIECE_ITEMS = 32
"""Rules, features, tests or plans of one piece: so many are unpacked in about half a millisecond."""

_KEYS: dict[str, Callable[[Any], object]] = {
    "features": attrgetter("name"),
    "rules": attrgetter("id"),
    "tests": attrgetter("file", "line"),
}
"""The long tuples of a `Book`, and by what one of their items is found in the book before."""
_PLANS = "plans"


@dataclass(frozen=True, slots=True)
class _Outline:
    """What a book has beside its long tuples, where it differs; `kept` int32[items]: index in `before`, -1 for new."""

    changed: dict[str, Any]
    kept: dict[str, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some new items of a long tuple, in their order."""

    name: str
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Rest:
    """The fields of a `CompiledBook` but for its book and its plans; always the last message."""

    fields: dict[str, Any]


def of_book(book: Book, before: Book | None) -> Iterator[bytes]:
    """Yield the messages that make `book` of `before`."""
    changed: dict[str, Any] = {}
    kept: dict[str, NDArray[np.int32]] = {}
    fresh: list[tuple[str, list[Any]]] = []
    for name in (field.name for field in fields(Book)):
        value, old = getattr(book, name), getattr(before, name, None)
        if name in _KEYS:
            kept[name] = _kept(value, old or (), _KEYS[name])
            fresh.append((name, [item for item, at in zip(value, kept[name].tolist(), strict=True) if at < 0]))
        elif before is None or not _same(value, old):
            changed[name] = value
    yield packed(_Outline(changed, kept))
    for name, items in fresh:
        yield from _pieces(name, items)


def of_program(compiled: CompiledBook) -> Iterator[bytes]:
    """Yield the messages that make a `CompiledBook` of its book."""
    yield from _pieces(_PLANS, compiled.plans)
    rest = (field.name for field in fields(CompiledBook) if field.name not in {"book", _PLANS})
    yield packed(_Rest({name: getattr(compiled, name) for name in rest}))


class Unpacking:
    """Takes the messages of one book in their order; `made` is the book, or its fault, when the last one was taken."""

    def __init__(self, before: Book | None) -> None:
        self.made: CompiledBook | Exception | None = None
        self._before = before
        self._outline = _Outline({}, {})
        self._fresh: dict[str, list[Any]] = {_PLANS: [], **{name: [] for name in _KEYS}}

    def take(self, message: bytes) -> None:
        """Take the next message."""
        part = pickle.loads(message)  # noqa: S301 made by `packed` at the other end
        match part:
            case _Outline():
                self._outline = part
            case _Piece(name, items):
                self._fresh[name].extend(items)
            case _Rest(rest):
                self.made = CompiledBook(book=self._book(), plans=tuple(self._fresh[_PLANS]), **rest)
            case Exception():
                self.made = part
            case _:
                raise TypeError(f"a message of type {type(part).__name__} is no part of a book")

    def _book(self) -> Book:
        values: dict[str, Any] = {field.name: getattr(self._before, field.name, None) for field in fields(Book)}
        values.update(self._outline.changed)
        for name, kept in self._outline.kept.items():
            old, fresh = values[name] or (), iter(self._fresh[name])
            values[name] = tuple(old[at] if at >= 0 else next(fresh) for at in kept.tolist())
        return Book(**values)


def of_fault(fault: Exception) -> bytes:
    """Return the message that ends a book in a fault."""
    return packed(fault)


def _kept(items: tuple[Any, ...], old: tuple[Any, ...], key: Callable[[Any], object]) -> NDArray[np.int32]:
    places = {key(item): at for at, item in enumerate(old)}
    found = (places.get(key(item), -1) for item in items)
    equal = (at if at >= 0 and _same(item, old[at]) else -1 for item, at in zip(items, found, strict=True))
    return np.fromiter(equal, np.int32, len(items))


def _same(one: Any, other: Any) -> bool:
    return one is other or (not isinstance(one, np.ndarray) and bool(one == other))


def _pieces(name: str, items: tuple[Any, ...] | list[Any]) -> Iterator[bytes]:
    for start in range(0, len(items), PIECE_ITEMS):
        yield packed(_Piece(name, tuple(items[start : start + PIECE_ITEMS])))


_FIELDS: dict[type, tuple[str, ...]] = {}


def _slots(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass with slots, none for other classes."""
    if kind not in _FIELDS:
        slotted = is_dataclass(kind) and "__slots__" in vars(kind)
        _FIELDS[kind] = tuple(field.name for field in fields(kind)) if slotted else ()
    return _FIELDS[kind]


class _Pickler(pickle.Pickler):
    """Knows the two kinds of values in a book that pickle does not keep as they are."""

    def reducer_override(self, value: Any) -> Any:
        """Keep a mapping's and an array's being read-only: machine code is made for one or the other.

        A dataclass with slots is made by its class, which is three times as quick as how it would unpickle itself.
        """
        if type(value) is MappingProxyType:
            return _view, (dict(value),)
        names = _slots(type(value))
        if names:
            return type(value), tuple(getattr(value, name) for name in names)
        if type(value) is np.ndarray and not value.flags.writeable:
            return _read_only, (value.copy(order="K"),)
        return NotImplemented


def _view(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def packed(part: object) -> bytes:
    """Return a part of a book as bytes."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(part)
    return buffer.getvalue()

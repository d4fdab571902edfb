"""Where everything of a TOML file stands, by tree-sitter: asked for at the first fault, and bounded then, too.

    Extents(text).extent(path)       first and last-plus-one character of the value at a path
    character_offsets(source)        where each character of a string's value stands in its source

`rules.toml` makes places of them. Nothing here knows what a rule is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import tree_sitter
import tree_sitter_toml

__all__ = ["Extents", "Path", "character_offsets"]

Path = tuple[str | int, ...]

NODES_MAX = 300_000
DEPTH_MAX = 200
_ESCAPES = {"b": 1, "t": 1, "n": 1, "f": 1, "r": 1, '"': 1, "\\": 1, "u": 5, "U": 9}
_NOT_VALUES = frozenset({"[", "]", ",", "{", "}", "comment", "line_comment", "="})


class Extents:
    """Extents, in characters of the text, of keys and values, by path.

    Of the first `NODES_MAX` nodes and `DEPTH_MAX` levels: what lies beyond has the extent of what is around it.
    """

    def __init__(self, text: str) -> None:
        self.data = text.encode()
        self.keys: dict[Path, tree_sitter.Node] = {}
        self.values: dict[Path, tree_sitter.Node] = {}
        self.counts: dict[Path, int] = {}
        self._left = NODES_MAX
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        self.tree = parser.parse(self.data)
        self._walk_tables()

    def extent(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """First and last-plus-one character of the value (or key) at `path` or, failing that, of what is around it."""
        if not key and path in self.values:
            return self._characters(self.values[path])
        while path:
            node = self.keys.get(path) or self.values.get(path)
            if node is not None:
                return self._characters(node)
            path = path[:-1]
        return 0, 1

    def line(self, path: Path) -> int:
        """The line of the key at a path, or of what is around it, counted from 1."""
        while path:
            node = self.keys.get(path) or self.values.get(path)
            if node is not None:
                return node.start_point[0] + 1
            path = path[:-1]
        return 1

    def _characters(self, node: tree_sitter.Node) -> tuple[int, int]:
        start = len(self.data[: node.start_byte].decode())
        return start, start + len(self.data[node.start_byte : node.end_byte].decode())

    def _children(self, node: tree_sitter.Node) -> list[tree_sitter.Node]:
        """What is in a node; nothing where that is too much to be looked at."""
        self._left -= node.child_count
        return node.children if self._left > 0 else []

    def _walk_tables(self) -> None:
        for node in self._children(self.tree.root_node):
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                children = self._children(node)
                header = next((child for child in children if child.type.endswith("key")), None)
                if header is None:
                    continue
                path = self._resolve(_key_path(header), opens=node.type == "table_array_element")
                for depth in range(1, len(path) + 1):
                    self.keys.setdefault(path[:depth], header)
                for child in children:
                    if child.type == "pair":
                        self._pair(child, path)

    def _resolve(self, names: tuple[str, ...], *, opens: bool) -> Path:
        """The path of a header: every array of tables on the way stands for its last element."""
        path: Path = ()
        for depth, name in enumerate(names):
            path = (*path, name)
            if opens and depth == len(names) - 1:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        return path

    def _pair(self, node: tree_sitter.Node, parent: Path) -> None:
        children = self._children(node)
        if not children:
            return
        key = children[0]
        names = _key_path(key)
        for depth in range(1, len(names)):
            self.keys.setdefault((*parent, *names[:depth]), key)
        path: Path = (*parent, *names)
        self.keys[path] = key
        value = next((child for child in children[1:] if child.type not in _NOT_VALUES), None)
        if value is not None:
            self._value(value, path)

    def _value(self, node: tree_sitter.Node, path: Path) -> None:
        self.values[path] = node
        if len(path) > DEPTH_MAX:
            return
        if node.type == "array":
            items = [child for child in self._children(node) if child.type not in _NOT_VALUES]
            for index, child in enumerate(items):
                self._value(child, (*path, index))
        elif node.type == "inline_table":
            for child in self._children(node):
                if child.type == "pair":
                    self._pair(child, path)


def _key_path(node: tree_sitter.Node) -> tuple[str, ...]:
    if node.type == "dotted_key":
        return tuple(name for child in node.children if child.type.endswith("key") for name in _key_path(child))
    text = (node.text or b"").decode()
    if node.type == "quoted_key":
        return (next(iter(tomllib.loads(f"{text} = 0")), text),)
    return (text,)


def character_offsets(source: str) -> Iterator[tuple[int, int]]:
    """For each character of a TOML string's value, where its source begins and ends, counted from the first quote."""
    quote = source[:1]
    if quote not in ("'", '"'):
        return
    long = source[:3] == quote * 3 and len(source) >= 6
    at, stop = (3, len(source) - 3) if long else (1, len(source) - 1)
    if long:
        at += 2 if source.startswith("\r\n", at) else source.startswith("\n", at)
    while at < stop:
        size = 1
        if quote == '"' and source[at] == "\\":
            folded = re.compile(r"\\[ \t]*\r?\n\s*").match(source, at, stop)
            if folded:
                at = folded.end()
                continue
            size += _ESCAPES.get(source[at + 1 : at + 2], 1)
        elif source.startswith("\r\n", at):
            yield at, at + 2
            at += 2
            continue
        yield at, at + size
        at += size

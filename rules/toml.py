"""A TOML file of the book: its values, and for every value the place where it stands.

Values come from `tomllib` (`rules.bounds.parsed`); places come from tree-sitter, which is asked only when a fault is
reported. A file is cut at its `[[rule]]` and `[[test]]` lines and every block is parsed, and remembered, by its own
text: after one rule is edited, one block is parsed again. Cutting cannot change what a file means, because a cut
inside a string or an array leaves a piece that does not parse; then the file is parsed whole.

Parsed values are shared between readings and must not be changed. Nothing here knows what a rule is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rules.bounds import BLOCK_KEYS_MAX, HEAD_KEYS_MAX, beyond, count_keys, crowded, parsed
from rules.codes import Code
from rules.diagnostics import Diagnostic, Place
from rules.extents import Extents, Path, character_offsets
from rules.memory import remembered

__all__ = ["Block", "Document", "Path", "TextOrigin", "read_document"]

Table = Mapping[str, Any]

REPEATED = ("rule", "test")
EXCERPT_CHARS_MAX = 120

_HEADER = re.compile(r"^[ \t]*(\[\[?)[ \t]*([A-Za-z0-9_-]+)[ \t]*(\]\])?", re.MULTILINE)
_SIMPLE_HEADER = re.compile(r"[ \t]*\[\[[ \t]*[a-z]+[ \t]*\]\][ \t]*")
_SIMPLE_TEXT = re.compile(r'"([^"\\\x00-\x08\x0a-\x1f\x7f]*)"')
_SIMPLE_LINE = re.compile(
    r"""[ \t]*(?:
        ([A-Za-z0-9_-]+)(?:\.([A-Za-z0-9_-]+))?[ \t]*=[ \t]*    # a key of one or two parts
        (?:"([^"\\\x00-\x08\x0a-\x1f\x7f]*)"                  # a text without escapes
        |(true|false|-?(?:0|[1-9][0-9]{0,17}))                 # a truth or a whole number
        |(\[[ \t]*(?:"[^"\\\x00-\x08\x0a-\x1f\x7f]*"[ \t]*(?:,[ \t]*"[^"\\\x00-\x08\x0a-\x1f\x7f]*"[ \t]*)*,?[ \t]*)?\])
        )[ \t]*)?(?:\#[^\x00-\x08\x0a-\x1f\x7f]*)?(?:\n|\Z)""",
    re.VERBOSE,
)
_TRUTHS = {"true": True, "false": False}
_WHERE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One `[[rule]]` or `[[test]]`, equal to another of the same `key`, wherever they stand.

    `key` is the block's text; `line` is 0 where it must be asked of `Document.place`. `data` is a table unless the file
    says `rule = 5` or the like.
    """

    key: str
    data: Any
    line: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class Document:
    """One file of the book. `head` holds everything but rules and tests; `faults` says why there is nothing."""

    file: str
    text: str
    head: Table
    rules: tuple[Block, ...]
    tests: tuple[Block, ...]
    faults: tuple[Diagnostic, ...] = ()

    @cached_property
    def spans(self) -> Extents:
        """Where everything stands; made at the first fault."""
        return Extents(self.text)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value, or of its key; of the nearest thing around it where it is not written out."""
        return self._place(*self.spans.extent(path, key=key))

    def line(self, path: Path) -> int:
        """The line of the key at a path, found without its text."""
        return self.spans.line(path)

    def origin(self, path: Path) -> TextOrigin:
        """How to find characters of the string at `path`."""
        return TextOrigin(self, path)

    def _place(self, start: int, end: int) -> Place:
        """The place of characters `start` to `end` of the file, cut at the end of its first line."""
        begin = self.text.rfind("\n", 0, start) + 1
        stop = self.text.find("\n", start)
        excerpt = self.text[begin : stop if stop >= 0 else None].removesuffix("\r")
        width = max(1, min(end, begin + len(excerpt)) - start)
        return Place(self.file, self.text.count("\n", 0, start) + 1, start - begin + 1, width, excerpt)


@dataclass(frozen=True, slots=True)
class TextOrigin:
    """Maps characters of a string value to the file, through quotes, escapes and line ends."""

    document: Document
    path: Path

    def place(self, start: int, end: int) -> Place:
        """The place of the characters `start` to `end` (exclusive) of the string."""
        at, stop = self.document.spans.extent(self.path)
        offsets = list(character_offsets(self.document.text[at:stop]))
        if not offsets or start >= len(offsets):
            return self.document._place(max(at, stop - 1), stop)
        last = offsets[min(max(end, start + 1), len(offsets)) - 1]
        return self.document._place(at + offsets[start][0], at + last[1])


def read_document(file: str, text: str) -> Document:
    """The file's values; a file that is not TOML becomes a document with one fault and nothing else."""
    return _read(file, text)


@remembered
def _read(file: str, text: str) -> Document:
    found = beyond(text)
    if found is not None:
        return _refused(file, text, *found)
    document = _parse(file, text)
    count = count_keys(document.head)
    if count > HEAD_KEYS_MAX:
        return _refused(file, text, 0, f"keys={count} outside of rules and tests must be <= {HEAD_KEYS_MAX}")
    for word, blocks in (("rule", document.rules), ("test", document.tests)):
        full = crowded(block.data for block in blocks)
        if full is not None:
            at = text.find(blocks[full[0]].key) if blocks[full[0]].line else 0
            return _refused(file, text, at, f"keys={full[1]} of one {word} must be <= {BLOCK_KEYS_MAX}")
    return document


def _refused(file: str, text: str, at: int, message: str) -> Document:
    """A file beyond a bound: one fault, which begins at a character of it."""
    begin = text.rfind("\n", 0, at) + 1
    excerpt = text[begin : begin + EXCERPT_CHARS_MAX].partition("\n")[0]
    place = Place(file, text.count("\n", 0, at) + 1, at - begin + 1, 1, excerpt)
    return Document(file, text, {}, (), (), (Diagnostic(Code.NOT_TOML, message, place, "here"),))


def _parse(file: str, text: str) -> Document:
    cut = _cut(text)
    if cut is not None:
        head, rules, tests = cut
        return Document(file, text, head, rules, tests)
    try:
        whole = parsed(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError of its own
        return Document(file, text, {}, (), (), (_syntax_fault(file, text, str(error)),))
    head = {name: value for name, value in whole.items() if name not in REPEATED}
    return Document(file, text, head, _blocks(whole.get("rule", [])), _blocks(whole.get("test", [])))


def _cut(text: str) -> tuple[Table, tuple[Block, ...], tuple[Block, ...]] | None:
    """Head, rules and tests parsed block by block; None where the file must be parsed whole."""
    pieces = _pieces(text)
    if pieces is None:
        return None
    head_texts, block_texts = pieces
    try:
        for one in head_texts if len(head_texts) > 1 else []:
            tomllib.loads(one)  # a text that begins in one piece and ends in another would swallow what lies between
        head = parsed("".join(head_texts))
        blocks = [(word, Block(piece, _parse_block(word, piece), line)) for word, piece, line in block_texts]
    except (ValueError, RecursionError):
        return None
    if any(word in head for word in REPEATED):
        return None
    rules = tuple(block for word, block in blocks if word == "rule")
    return head, rules, tuple(block for word, block in blocks if word == "test")


def _pieces(text: str) -> tuple[list[str], list[tuple[str, str, int]]] | None:
    """The head, a text before, between and after the blocks, and word, text and line of each block.

    None where a block's table stands apart from it.
    """
    starts = [(match.start(), match[2], match[1] == "[[" and match[3] == "]]") for match in _HEADER.finditer(text)]
    head = [text[: starts[0][0]] if starts else text]
    blocks: list[tuple[str, list[str], int]] = []
    word, line = "", 1 + head[0].count("\n")
    for number, (start, name, opens) in enumerate(starts):
        piece = text[start : starts[number + 1][0] if number + 1 < len(starts) else None]
        if name not in REPEATED and word not in REPEATED:
            head[-1] += piece
        elif name not in REPEATED:
            head.append(piece)
        elif opens:
            blocks.append((name, [piece], line))
        elif name == word:
            blocks[-1][1].append(piece)
        else:
            return None
        word = name
        line += piece.count("\n")
    return head, [(name, "".join(parts), at) for name, parts, at in blocks]


class _NotOneBlockError(ValueError):
    """A piece of text holds more, or other, than one block."""


@remembered
def _parse_block(word: str, text: str) -> Table:
    simple = _parse_simple(text)
    if simple is not None:
        return simple
    found = parsed(text)
    if list(found) != [word] or len(found[word]) != 1:
        raise _NotOneBlockError
    table: Table = found[word][0]
    return table


def _parse_simple(text: str) -> Table | None:
    """A block of one-line texts, whole numbers, truths and arrays of texts, quicker than `tomllib`.

    None where there is anything else in the block: `tomllib` then has the only say. `read_document` over a book of
    20,000 rules (3.9 MB, `perf.books.sized`) takes 0.5 to 0.7 s of processor with it, 1.7 to 1.9 s without.
    """
    table: dict[str, Any] = {}
    header, _, body = text.partition("\n")
    if not _SIMPLE_HEADER.fullmatch(header):
        return None
    at = 0
    while at < len(body):
        match = _SIMPLE_LINE.match(body, at)
        if match is None:
            return None
        at = match.end()
        key, inner, plain, number, array = match.group(1, 2, 3, 4, 5)
        if key is None:
            continue
        home: Any = table
        if inner is not None:
            home, key = table.setdefault(key, {}), inner
        if not isinstance(home, dict) or key in home:
            return None
        if plain is not None:
            home[key] = plain
        elif array is not None:
            home[key] = _SIMPLE_TEXT.findall(array)
        else:
            home[key] = _TRUTHS[number] if number in _TRUTHS else int(number)
    return table


def _blocks(tables: Any) -> tuple[Block, ...]:
    """Blocks of a file parsed whole; anything but an array of tables is kept, for the shape to refuse."""
    return tuple(Block(repr(table), table) for table in (tables if isinstance(tables, list) else [tables]))


def _syntax_fault(file: str, text: str, message: str) -> Diagnostic:
    lines = text.split("\n")
    match = _WHERE.fullmatch(message)
    what = match[1] if match else message
    if match and match[2]:
        line, column = int(match[2]), int(match[3])
    else:
        line = max((number for number, one in enumerate(lines, 1) if one.strip()), default=1)
        column = len(lines[line - 1].rstrip()) + 1
    excerpt = lines[line - 1].removesuffix("\r") if line <= len(lines) else ""
    return Diagnostic(Code.NOT_TOML, f"this is not TOML: {what}", Place(file, line, column, 1, excerpt), "here")

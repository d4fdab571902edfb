"""From text to Python's syntax tree, held against a white list.

The text is read by `ast.parse` and never run. Line breaks count as spaces, so an expression may stand in a TOML string
of several lines. Every node outside the white list is a fault of its own, with the words that belong in its place;
bounds on length, nodes and depth keep a hostile book from exhausting the stack. What names mean is
decided by `rules.expressions.check`.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rules.codes import Code
from rules.diagnostics import Diagnostic, Origin, Place

__all__ = ["DEPTH_MAX", "LENGTH_MAX", "NODES_MAX", "Parsed", "parse", "two_texts"]

LENGTH_MAX = 8_000
NODES_MAX = 2_000
DEPTH_MAX = 60

_ONE_TEXT = re.compile(r"""[rRuU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\'{3}.*?\'{3}|"{3}.*?"{3})""", re.DOTALL)
_AREA = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<![\w.])areas\.([^\W_](?:[\w.-]*\w)?)""", re.DOTALL)
"""A text, or the name of an area, which is an ID and need not be a Python name."""
_ALLOWED = frozenset(
    {
        *(ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
        *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    }
)
_UNIT = re.compile(r"(?<![\w'\".])\d+(?:ms|[smhdw])\b")
_INSTEAD: dict[type[ast.AST], tuple[str, str]] = {
    ast.Is: ("`is`", "write `==`, or `known(x)` to ask whether x is there"),
    ast.IsNot: ("`is not`", "write `!=`, or `known(x)` to ask whether x is there"),
    ast.BitAnd: ("`&`", "write `and`"),
    ast.BitOr: ("`|`", "write `or`"),
    ast.Invert: ("`~`", "write `not`"),
    ast.Pow: ("`**`", "write the product out"),
    ast.IfExp: ("`if ... else`", "write two rules, or `default(x, y)`"),
    ast.Subscript: ("`[...]` after a value", ""),
    ast.Set: ("a set in braces", "write a list: `[...]`"),
    ast.JoinedStr: ("an f-string", "texts belong in the rule's templates"),
    ast.Lambda: ("`lambda`", ""),
    ast.NamedExpr: ("`:=`", "write `==` to compare"),
    ast.Starred: ("`*`", ""),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text whose every node is allowed; names and types are not yet looked at."""

    text: str
    origin: Origin
    body: ast.expr

    def place(self, node: ast.expr) -> Place:
        """Where a node stands in its file."""
        return self.origin.place(*_stretch(self.text, node))

    def words(self, node: ast.expr) -> str:
        """A node as its author wrote it."""
        start, end = _stretch(self.text, node)
        return self.text[start:end]


def parse(text: str, origin: Origin) -> Parsed | list[Diagnostic]:
    """Return the syntax tree of `text`, or everything that is wrong with it."""
    if len(text) > LENGTH_MAX:
        return [_too_large(origin, text, f"length={len(text)} characters must be <= {LENGTH_MAX}")]
    body = _body(text, origin)
    if isinstance(body, Diagnostic):
        return [body]
    parsed = Parsed(text, origin, body)
    faults: list[Diagnostic] = []
    nodes = 0
    level = [body]
    for _ in range(DEPTH_MAX):
        nodes += len(level)
        level = [child for node in level for child in _allowed_children(parsed, node, faults)]
        if not level:
            break
    else:
        return [_too_large(origin, text, f"depth must be <= {DEPTH_MAX}")]
    if nodes > NODES_MAX:
        return [_too_large(origin, text, f"nodes={nodes} must be <= {NODES_MAX}")]
    return faults or parsed


def two_texts(parsed: Parsed) -> list[Diagnostic]:
    """Texts that stand side by side, as in `'a' 'b'` and `'it\'\'s'`: Python reads them as one, an author meant two."""
    found = []
    for node in ast.walk(parsed.body):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not _ONE_TEXT.fullmatch(parsed.words(node))
        ):
            message = f"two texts stand side by side: {parsed.words(node)}"
            hint = 'write a comma between two texts; a quote inside one as in "it\'s"'
            found.append(Diagnostic(Code.EXPRESSION_SYNTAX, message, parsed.place(node), "", hint))
    return found


def _allowed_children(parsed: Parsed, node: ast.expr, faults: list[Diagnostic]) -> list[ast.expr]:
    """Judge one node; return what is below it, or nothing below a fault (no echoes)."""
    look = _BELOW.get(type(node))
    below = None if look is None else look(node)
    if below is not None:
        return below
    subject, hint, culprit = _fault_of(node)
    faults.append(
        Diagnostic(Code.EXPRESSION_FORBIDDEN, f"{subject} is not part of the language", parsed.place(culprit), "", hint)
    )
    return []


_BELOW: dict[type[ast.expr], Callable[[Any], list[ast.expr] | None]] = {
    ast.Name: lambda _: [],
    ast.Constant: lambda node: [] if isinstance(node.value, int | float | str) else None,
    ast.BoolOp: lambda node: node.values,
    ast.Compare: lambda node: [node.left, *node.comparators] if _ALLOWED.issuperset(map(type, node.ops)) else None,
    ast.BinOp: lambda node: [node.left, node.right] if type(node.op) in _ALLOWED else None,
    ast.UnaryOp: lambda node: [node.operand] if type(node.op) in _ALLOWED else None,
    ast.Call: lambda node: None if node.keywords or not isinstance(node.func, ast.Name) else node.args,
    ast.Attribute: lambda node: [] if isinstance(node.value, ast.Name) else None,
    ast.Tuple: lambda node: node.elts,
    ast.List: lambda node: node.elts,
}
"""The white list of nodes: what is below each, or None where the node itself has something forbidden."""


def _fault_of(node: ast.expr) -> tuple[str, str, ast.expr]:
    """What is forbidden about a node: subject, hint, and the node to point at."""
    inner: ast.AST = node
    match node:
        case ast.BinOp(op=op) | ast.UnaryOp(op=op):
            inner = op
        case ast.Compare(ops=ops):
            inner = next(op for op in ops if type(op) not in _ALLOWED)
        case ast.Call(keywords=[keyword, *_]):
            return "an argument with a name", "write the value alone", keyword.value
        case ast.Call(func=func):
            return "a call of anything but a named function", "", func
        case ast.Attribute():
            return "a dot after anything but a name", "", node
        case ast.Constant(value=value):
            return f"`{value!r}`", "`known(x)` asks whether x is there" if value is None else "", node
    subject, hint = _INSTEAD.get(type(inner), (f"`{type(inner).__name__}`", ""))
    return subject, hint, node


def _body(text: str, origin: Origin) -> ast.expr | Diagnostic:  # noqa: PLR0911 one return a kind of refusal
    """Let Python read the text; a refusal becomes one diagnostic with Python's place and our words."""
    flat = text.replace("\n", " ").replace("\r", " ").replace("\f", " ")
    if "areas." in flat:
        flat = _AREA.sub(_as_name, flat)
    lead = len(flat) - len(flat.lstrip(" \t"))
    if lead == len(flat):
        return Diagnostic(Code.EXPRESSION_SYNTAX, "the expression is empty", origin.place(0, len(text)))
    comment = _comment(flat) if "#" in flat else -1
    if comment >= 0:
        message = "a comment cannot stand inside an expression"
        return Diagnostic(Code.EXPRESSION_SYNTAX, message, origin.place(comment, len(text)))
    try:
        if "\\" not in flat:
            return _shifted(ast.parse(flat[lead:], mode="eval").body, lead)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _shifted(ast.parse(flat[lead:], mode="eval").body, lead)
    except SyntaxError as error:
        return _refusal(text, origin, error, lead)
    except (RecursionError, MemoryError):
        return _too_large(origin, text, f"depth must be <= {DEPTH_MAX}")
    except ValueError as error:
        return Diagnostic(Code.EXPRESSION_SYNTAX, f"not an expression: {error}", origin.place(0, len(text)))


def _as_name(match: re.Match[str]) -> str:
    """The name of an area as a Python name of the same length: the syntax needs one, the check reads the author's."""
    if match[1] is None:
        return match[0]
    name = match[1].replace("-", "_").replace(".", "_")
    return "areas." + ("_" + name[1:] if name[0] in "0123456789" else name)


def _shifted(body: ast.expr, lead: int) -> ast.expr:
    """Count columns from the start of the text again where leading spaces (one byte each) were taken away."""
    if lead:
        for node in ast.walk(body):
            if isinstance(node, ast.expr | ast.keyword):
                node.col_offset += lead
                node.end_col_offset = (node.end_col_offset or 0) + lead
    return body


def _refusal(text: str, origin: Origin, error: SyntaxError, lead: int) -> Diagnostic:
    start = min(max((error.offset or 1) - 1 + lead, 0), max(len(text) - 1, 0))
    end = max((error.end_offset or 0) - 1 + lead, start + 1)
    said = error.msg
    sign = text[start : start + 1]
    plain = unicodedata.normalize("NFKC", sign)
    quote = {"“": '"', "”": '"', "‘": "'", "’": "'", "。": "."}.get(sign, plain)
    hint = ""
    if not sign.isascii() and quote != sign:
        said, hint, end = f"`{sign}` is a full-width sign", f"write `{quote}`", start + 1
    elif sign == "=" or "==" in said or said.startswith("cannot assign"):
        hint = "write `==` to compare"
    elif unit := _UNIT.search(text):
        hint = f"a duration is a text: write '{unit[0]}'"
    elif "&&" in text or "||" in text:
        hint = "write `and`, `or`"
    return Diagnostic(Code.EXPRESSION_SYNTAX, f"not an expression: {said}", origin.place(start, end), "", hint)


def _too_large(origin: Origin, text: str, bound: str) -> Diagnostic:
    return Diagnostic(Code.EXPRESSION_TOO_LARGE, f"the expression is too large: {bound}", origin.place(0, len(text)))


def _comment(text: str) -> int:
    """Where a `#` stands outside quotes, or -1."""
    quote = ""
    escaped = False
    for at, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#":
            return at
    return -1


def _stretch(text: str, node: ast.expr) -> tuple[int, int]:
    """Start and end of a node in characters; `ast` counts bytes of UTF-8."""
    start, end = node.col_offset, node.end_col_offset or node.col_offset + 1
    if not text.isascii():
        raw = text.encode()
        start, end = len(raw[:start].decode(errors="replace")), len(raw[:end].decode(errors="replace"))
    return start, end

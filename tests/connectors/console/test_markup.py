"""HTML of the console: whatever a text is, a page shows it and reads nothing in it."""

import ast
import string
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import connectors.console
from connectors.console.markup import tag
from connectors.console.words import CHINESE
from state.visible import visible


class Seen(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
def test_any_text_in_an_element_or_an_attribute_is_shown_and_is_no_html(inside: str, beside: str) -> None:
    seen = Seen()
    seen.feed(tag("p", tag("b", inside), title=beside))
    seen.close()

    assert seen.tags == ["p", "b"]
    assert seen.text == visible(inside)
    assert seen.attributes == [("title", visible(beside))]


def test_zero_is_a_value_and_none_is_none() -> None:
    assert tag("div", None, 0, ["a", [1]], tabindex=0, hidden=False, class_=None, open=True) == (
        '<div tabindex="0" open>0a1</div>'
    )


def test_every_text_of_the_console_has_a_chinese_one_with_the_same_gaps() -> None:
    said: set[str] = set()
    for path in Path(connectors.console.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("t", "look.t", "self.t"):
                said |= {str(one.value) for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)}

    assert len(said) > 80
    assert said - CHINESE.keys() == set()
    for text, chinese in CHINESE.items():
        gaps = [{gap for _, gap, _, _ in string.Formatter().parse(one) if gap} for one in (text, chinese)]
        assert gaps[0] == gaps[1], text

"""Small books for tests of loading: the base of the diagnostics, and the text of the test beside it.

What such a book becomes is not looked at here.
"""

from pathlib import Path

from rules.load import load_text
from rules.model import Book

BASE = (Path(__file__).parents[1] / "diagnostics" / "_base.toml").read_text()
RULE = """
[[rule]]
id = "{id}"
on = "call"
when = "{when}"
channels = ["desk"]
"""


def book(text: str, before: Book | None = None) -> Book:
    """Load a text beside the base, after another book where there was one."""
    return load_text({"_base.toml": BASE, "more.toml": text}, before)

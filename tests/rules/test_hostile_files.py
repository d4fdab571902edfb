"""A file of the book that is made to cost time or memory is one fault with its bound."""

import time

import pytest

from rules.toml import HEAD_KEYS_MAX, KEY_PARTS_MAX, read_document

LONG = ".".join(["a"] * 100_000)


@pytest.mark.parametrize("text", [f"{LONG} = 1", f"[{LONG}]", f"x = {{ {LONG} = 1 }}", f"[[rule]]\n{LONG} = 1"])
def test_a_key_of_a_hundred_thousand_parts_is_one_fault_at_once(text: str) -> None:
    began = time.process_time()
    (fault,) = read_document("a.toml", text).faults

    assert str(KEY_PARTS_MAX) in fault.message
    assert len(fault.place.excerpt) < 200
    assert time.process_time() - began < 2


def test_more_keys_than_a_book_can_use_are_one_fault() -> None:
    (fault,) = read_document("a.toml", "".join(f"k{n} = 1\n" for n in range(HEAD_KEYS_MAX + 1))).faults

    assert f"keys={HEAD_KEYS_MAX + 1}" in fault.message


def test_a_text_with_many_dots_is_no_key() -> None:
    document = read_document("a.toml", f'x = "{"a. " * 200}"\ny = "{"." * 200}"\n')

    assert (document.faults, set(document.head)) == ((), {"x", "y"})

"""The book that a worker starts with: a bad folder is no reason not to serve the active one."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.book.compiled import compile_texts
from engine.runtimes.cluster.services import WorkerServices
from rules.diagnostics import BookErrors


def worker(folder: Path, active: object) -> Any:
    """What `_first_book` needs of a worker."""
    return SimpleNamespace(
        config=SimpleNamespace(book=SimpleNamespace(folder=folder)),
        shelf=SimpleNamespace(compile=compile_texts),
        control_topic=SimpleNamespace(active=active),
        book_fault="",
        _active=lambda: active,
    )


@pytest.mark.parametrize("hostile", ["no TOML", "a pipe", "nothing"])
async def test_a_bad_folder_at_a_start_leaves_the_active_book_serving_and_says_why(
    hostile: str, tmp_path: Path
) -> None:
    if hostile == "a pipe":
        os.mkfifo(tmp_path / "book.toml")
    elif hostile == "no TOML":
        (tmp_path / "book.toml").write_text("[[rule")
    one = worker(tmp_path, object())

    assert await WorkerServices._first_book(one) is one.control_topic.active
    assert "fault in the book" in one.book_fault


async def test_without_an_active_book_a_bad_folder_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "book.toml").write_text("[[rule")

    with pytest.raises(BookErrors):
        await WorkerServices._first_book(worker(tmp_path, None))

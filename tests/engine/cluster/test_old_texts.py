"""Texts of a cluster that began with format 1 are read where their topic exists, and asked for nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Self

import pytest

from engine.runtimes.cluster.shared import texts as module
from engine.runtimes.cluster.shared.texts import OldTexts, text_key
from state.hashing import hash_text
from tests.engine.cluster.test_settings import cluster


class Topic:
    """The topic's one partition; the second record has the key of another text."""

    def __init__(self, config: object, topic: str, partition: int) -> None:
        assert (topic, partition) == ("opportune.texts", 0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def to_end(self) -> AsyncIterator[list[Any]]:
        for key, value in ((b"t1", b"t1"), (b"other", b"text"), ("日".encode(), "日".encode())):
            yield [SimpleNamespace(key=text_key(hash_text(key)), value=value, offset=7, timestamp=0)]


@pytest.mark.parametrize("there", [True, False])
def test_texts_are_read_where_their_topic_exists(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    asked: list[str] = []

    async def exists(_: object, name: str) -> bool:
        asked.append(name)
        return there

    monkeypatch.setattr(module, "exists", exists)
    monkeypatch.setattr(module, "Tail", Topic)
    texts = OldTexts(cluster())
    asyncio.run(texts.load())

    found = [texts.text(hash_text(text)) for text in (b"t1", "日".encode(), b"text", b"other")]
    assert asked == ["opportune.texts"]
    assert found == ([b"t1", "日".encode(), None, None] if there else [None] * 4)

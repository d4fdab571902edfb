"""Keys of Redis that hold what nobody of us wrote."""

from collections.abc import Awaitable

import pytest
from redis.exceptions import ResponseError

from connectors.desk.config import RedisConfig
from connectors.desk.model import Panel
from connectors.desk.queue import QueueLostError
from connectors.desk.redis import RedisQueue, panel_of


@pytest.mark.parametrize("version", [b"xx", b"", b"-1", b"9" * 400, b"\xff", b"1e9"])
@pytest.mark.parametrize("text", [b"garbage", b"", b"[]", b"null", b"[" * 10_000, b"\xff\xfe", b"{}"])
def test_a_panel_of_garbage_under_a_version_of_garbage_counts_as_empty(version: bytes, text: bytes) -> None:
    panel = panel_of("counter-3", version, text)

    assert (panel.terminal, panel.version, panel.visit) == ("counter-3", 0, None)


def test_a_panel_that_says_it_is_another_terminal_s_counts_as_empty() -> None:
    other = Panel(terminal="counter-4", version=7, changed_ms=5)
    panel = panel_of("counter-3", b"7", other.model_dump_json().encode())

    assert (panel.terminal, panel.version, panel.visit) == ("counter-3", 7, None)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"", b"\x1b[2J\n", b"x" * 900_000])
async def test_a_pointer_of_garbage_leads_nowhere_and_no_sweep_fails(
    name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = RedisQueue(1_000, 1_000, RedisConfig())

    async def ask(_: Awaitable[object], **__: object) -> object:
        return [b"run", 1, *found]

    monkeypatch.setattr(queue, "_run", b"run")
    monkeypatch.setattr(queue, "ask", lambda question, **_: _closing(question, ask))
    found: list[object] = [name, None, None, None]

    assert await queue.find_panel("subscriber", 8613800000001) is None
    assert await queue.find("visit", "v-1") == ""
    found[:] = [name, b"counter-3"]
    assert await queue.due(0, 10) == ["counter-3"]
    await queue.stop()


async def _closing(question: Awaitable[object], ask: object) -> object:
    """Answer without asking a server."""
    if hasattr(question, "close"):
        question.close()
    return await ask(question)  # type: ignore[operator]  # a function of the test


async def test_a_redis_without_room_makes_every_call_wait_and_goes_on_when_there_is_some() -> None:
    queue = RedisQueue(1_000, 1_000, RedisConfig())

    async def refuse() -> None:
        raise ResponseError("OOM command not allowed when used memory > 'maxmemory'.")

    async def answer() -> list[object]:
        return [b"", 1, 1]

    with pytest.raises(QueueLostError, match="refuses: OOM"):
        await queue.ask(refuse(), writes=True)
    assert not queue.within_reach
    await queue._call(lambda **_: answer())
    assert queue.within_reach
    await queue.stop()

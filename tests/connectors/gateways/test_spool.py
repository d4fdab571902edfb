"""The spool: messages as lines of a file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import GatewayError, Message, MobileOriginated, Receipt, ReceiptState, State
from connectors.gateways.spool import Config, Gateway, codec
from connectors.gateways.spool.simulator import answer

NOW_MS = 1_225_760_400_000


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncIterator[tuple[Gateway, list[Any]]]:
    gateway = Gateway("spool", Config(kind="spool", folder=folder, poll_ms=10, **changes), lambda: NOW_MS)
    heard = []

    async def hear(said: Receipt | MobileOriginated) -> None:
        heard.append(said)

    await gateway.start(hear, hear)
    try:
        yield gateway, heard
    finally:
        await gateway.stop()


def lines(folder: Path, name: str = "out.ndjson") -> list[dict[str, int | str]]:
    return [orjson.loads(line) for line in (folder / name).read_bytes().splitlines()]


def text(number: int = 1, words: str = "尊敬的客户") -> Message:
    return Message(f"0-1-2-{number}", 8613800000000 + number, words, shelf_life_ms=1000)


async def test_a_message_is_accepted_when_its_line_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").touch()
    async with running(tmp_path) as (gateway, _):
        outcome = await gateway.send(text())
        assert (outcome.state, outcome.gateway_message_id) == (State.ACCEPTED, "0-1-2-1")
        assert lines(tmp_path) == [
            {
                "id": "0-1-2-1",
                "to": 8613800000001,
                "from": "",
                "text": "尊敬的客户",
                "class": "commercial",
                "shelf_life_ms": 1000,
                "at_ms": NOW_MS,
            }
        ]


async def test_without_a_file_of_answers_no_receipt_is_expected(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _):
        outcome = await gateway.send(text())
        assert (outcome.state, outcome.gateway_message_ids) == (State.ACCEPTED, ())


async def test_messages_keep_their_order_across_batches(tmp_path: Path) -> None:
    async with running(tmp_path, batch_max=3) as (gateway, _):
        await asyncio.gather(*(gateway.send(text(i)) for i in range(20)))
    assert [line["id"] for line in lines(tmp_path)] == [f"0-1-2-{i}" for i in range(20)]


async def test_a_half_line_left_by_a_crash_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").write_bytes(b'{"id":"a"}\n{"id":"b", "te')
    async with running(tmp_path) as (gateway, _):
        await gateway.send(text())
    assert [line["id"] for line in lines(tmp_path)] == ["a", "0-1-2-1"]


async def test_a_full_file_is_put_aside_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(tmp_path, file_bytes_max=4096) as (gateway, _):
            for i in range(40):
                await gateway.send(text(i))
    names = sorted(path.name for path in tmp_path.glob("out-*.ndjson"))  # noqa: ASYNC240 - nothing else runs here
    assert names == [f"out-{i:06d}.ndjson" for i in range(1, len(names) + 1)]
    assert sum(len(lines(tmp_path, name)) for name in [*names, "out.ndjson"]) == 80


async def test_a_full_disk_is_told_and_the_file_keeps_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as (gateway, _):
        await gateway.send(text(1))
        with monkeypatch.context() as patch:
            patch.setattr("os.write", full_disk)
            outcome = await gateway.send(text(2))
        assert (outcome.state, outcome.code) == (State.RETRY, "WRITE No space left on device")
        await gateway.send(text(3))
    assert [line["id"] for line in lines(tmp_path)] == ["0-1-2-1", "0-1-2-3"]


def full_disk(fd: int, data: bytes) -> None:
    raise OSError(28, "No space left on device")


async def test_receipts_and_replies_are_followed_also_over_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, heard):
        with (tmp_path / "in.ndjson").open("w") as file:
            file.write('{"receipt":"0-1-2-1","state":"delivered"}\nnonsense\n{"from":8613800000001,"text":"TD"}\n{"rec')
        await until(lambda: len(heard) == 2)
    assert heard == [
        Receipt("spool", "0-1-2-1", ReceiptState.DELIVERED, "", NOW_MS),
        MobileOriginated("spool", 8613800000001, "", "TD", NOW_MS),
    ]
    with (tmp_path / "in.ndjson").open("a") as file:
        file.write('eipt":"0-1-2-2","state":"undelivered","code":"11"}\n')
    async with running(tmp_path) as (_, heard):
        await until(lambda: heard)
    assert heard == [Receipt("spool", "0-1-2-2", ReceiptState.UNDELIVERED, "11", NOW_MS)]


async def test_a_receipt_that_the_log_could_not_take_comes_again(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_text('{"receipt":"0-1-2-1","state":"delivered"}\n')
    heard = []

    async def refused_once(receipt: Receipt | MobileOriginated) -> None:
        heard.append(receipt)
        if len(heard) == 1:
            raise RuntimeError("the log is away")

    gateway = Gateway("spool", Config(kind="spool", folder=tmp_path, poll_ms=10), lambda: NOW_MS)
    await gateway.start(refused_once, refused_once)
    await until((tmp_path / "in.position").exists)
    await gateway.stop()

    assert len(heard) == 2


async def test_the_simulated_reader_answers_each_message_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, heard):
        await gateway.send(text(1))
        position = answer(tmp_path, 0)
        await gateway.send(Message("x", 99800, "t"))
        answer(tmp_path, position)
        await until(lambda: len(heard) == 2)
    assert [(r.gateway_message_id, r.state.value) for r in heard] == [("0-1-2-1", "delivered"), ("x", "undelivered")]


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match=r"gateway spool: folder .*file/x: Not a directory"):
        async with running(tmp_path / "file" / "x"):
            pass


@given(st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr)))
def test_any_line_is_read_or_refused(line: bytes | str) -> None:
    try:
        codec.decode("spool", line if isinstance(line, bytes) else line.encode(), 0)
    except codec.SpoolLineError:
        return


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"[]", "must be an object"),
        (b'{"receipt":"a","state":"gone"}', "state='gone' must be one of delivered, undelivered"),
        (b'{"from":-1,"text":"TD"}', "from must be a number > 0"),
    ],
)
def test_a_refused_line_says_field_value_and_bound(line: bytes, fault: str) -> None:
    with pytest.raises(codec.SpoolLineError, match=fault):
        codec.decode("spool", line, 0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for belongs to the other side
            await asyncio.sleep(0.005)


async def test_after_a_restart_the_file_says_which_messages_it_has(tmp_path: Path) -> None:
    async with running(tmp_path, file_bytes_max=4096) as (gateway, _):
        for number in range(40):
            await gateway.send(text(number))
    with (tmp_path / "out.ndjson").open("ab") as file:
        file.write(codec.encode(text(50), NOW_MS)[:-9])

    gateway = Gateway("spool", Config(kind="spool", folder=tmp_path), lambda: NOW_MS)
    found = gateway.recall(["0-1-2-38", "0-1-2-39", "0-1-2-50", "0-1-2-60"])
    assert found.keys() == {"0-1-2-38", "0-1-2-39"}
    assert {outcome.state for outcome in found.values()} == {State.ACCEPTED}


def test_a_spool_without_a_file_has_no_message(tmp_path: Path) -> None:
    assert Gateway("spool", Config(kind="spool", folder=tmp_path), lambda: NOW_MS).recall(["0-1-2-1"]) == {}

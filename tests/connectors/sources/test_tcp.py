"""Lines over TCP arrive whole, in order, and none is dropped while there is no room."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from connectors.sources.mapping import Mapping
from connectors.sources.tcp import client
from connectors.sources.tcp.client import TcpSource
from connectors.sources.tcp.config import TcpConfig
from tests.connectors.sources.intake import KeptIntake

Started = Callable[..., Any]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    sources: list[TcpSource] = []

    async def start(intake: KeptIntake, **settings: Any) -> TcpSource:
        source = TcpSource(TcpConfig(name="tcp", port=0, tick_ms=1, **settings), intake)
        await source.start()
        sources.append(source)
        return source

    yield start
    for source in sources:
        await source.stop()


async def until(met: Callable[[], bool]) -> None:
    for _ in range(500):
        if met():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("did not happen within 2.5 s")


async def test_lines_arrive_whole_however_they_are_cut_on_the_way(started: Started) -> None:
    intake = KeptIntake()
    source = await started(intake)
    _, writer = await asyncio.open_connection("127.0.0.1", source.port)
    for piece in (b'{"a', b'":1}\n{"b":', b"2}", b"\n", b'{"c":3}\n'):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.004)
    await until(lambda: intake.text == b'{"a":1}\n{"b":2}\n{"c":3}\n')
    writer.close()

    assert all(chunk.data[: chunk.length].tobytes().endswith(b"\n") for chunk in intake.chunks)
    assert [chunk.line for chunk in intake.chunks] == sorted({chunk.line for chunk in intake.chunks})
    assert all(chunk.dedupe and chunk.key == "" for chunk in intake.chunks)


async def test_a_last_line_without_its_end_counts_when_the_peer_closed_properly(started: Started) -> None:
    intake = KeptIntake()
    source = await started(intake)
    _, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"1\n2")
    writer.close()

    await until(lambda: intake.text == b"1\n2\n")


async def test_half_a_line_of_a_broken_connection_is_thrown_away_and_counted(started: Started) -> None:
    intake = KeptIntake()
    source = await started(intake)
    loop = asyncio.get_running_loop()
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", source.port))
        await loop.sock_sendall(peer, b"1\n2345")
        await until(lambda: intake.text == b"1\n")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    await until(lambda: source.status()["bytes_lost"] == 4)
    assert intake.text == b"1\n"


async def test_nothing_is_dropped_while_there_is_no_room(started: Started) -> None:
    intake = KeptIntake()
    source = await started(intake, buffer_bytes=4096, mapping=Mapping(line_bytes_max=64))
    intake.full = True
    _, writer = await asyncio.open_connection("127.0.0.1", source.port)
    body = b"".join(b"%d\n" % number for number in range(40_000))
    writer.write(body)
    await asyncio.sleep(0.1)
    assert intake.chunks == []

    intake.full = False

    await until(lambda: intake.text == body)
    writer.close()


async def test_a_line_beyond_the_bound_is_cut_once_and_the_next_one_is_whole(started: Started) -> None:
    intake = KeptIntake()
    source = await started(intake, buffer_bytes=4096, mapping=Mapping(line_bytes_max=64))
    _, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"1\n" + b"x" * 60_000)
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(b"y" * 5_000 + b"\n2\n")
    await until(lambda: intake.text.endswith(b"\n2\n"))
    writer.close()

    assert intake.text == b"1\n" + b"x" * 65 + b"\n2\n"


async def test_lines_are_acknowledged_only_when_durable(started: Started) -> None:
    intake = KeptIntake()
    intake.held = True
    source = await started(intake, acknowledge=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"1\n2\n")
    await until(lambda: len(intake.waiting) == 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)

    intake.waiting[0].set_result(None)
    assert await reader.readline() == b"2\n"
    intake.held = False
    writer.write(b"3\n")

    assert await reader.readline() == b"3\n"
    writer.close()


async def test_a_sender_that_has_said_all_still_hears_what_is_durable(started: Started) -> None:
    intake = KeptIntake()
    intake.held = True
    source = await started(intake, acknowledge=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"1\n2")
    writer.write_eof()
    await until(lambda: len(intake.waiting) == 1)
    await asyncio.sleep(0.05)
    assert source.status()["connections"] == 1
    intake.waiting[0].set_result(None)

    assert await asyncio.wait_for(reader.read(), 3) == b"2\n"
    await until(lambda: source.status()["connections"] == 0)
    writer.close()


@pytest.mark.parametrize("acknowledge", [False, True])
async def test_a_sender_that_says_nothing_and_its_end_is_not_kept(started: Started, acknowledge: bool) -> None:
    source = await started(KeptIntake(), acknowledge=acknowledge)
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write_eof()

    assert await asyncio.wait_for(reader.read(), 3) == b""
    await until(lambda: source.status()["connections"] == 0)
    writer.close()


async def test_a_sender_that_reads_no_acknowledgement_is_hung_up_on_and_its_lines_are_kept(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "UNREAD_BYTES_MAX", 1_000)
    intake = KeptIntake()
    source = await started(intake, acknowledge=True)
    sender = socket.create_connection(("127.0.0.1", source.port))
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await until(lambda: bool(source._connections))
    (connection,) = source._connections
    assert connection.transport is not None
    connection.transport.write(bytes(16 << 20))
    sender.sendall(b"1\n")
    await until(lambda: source.status()["connections"] == 0)

    assert intake.text == b"1\n"
    sender.close()


async def test_a_sender_is_hung_up_on_when_its_lines_cannot_be_kept(started: Started) -> None:
    intake = KeptIntake()
    intake.fault = OSError("disk full")
    source = await started(intake)
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"1\n")

    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_more_connections_than_allowed_wait_until_one_leaves_and_lose_nothing(started: Started) -> None:
    intake = KeptIntake()
    source = await started(intake, connections_max=1)
    _, first = await asyncio.open_connection("127.0.0.1", source.port)
    first.write(b"1\n")
    _, second = await asyncio.open_connection("127.0.0.1", source.port)
    second.write(b"2\n")
    await asyncio.sleep(0.2)
    held = (intake.text, source.status()["connections"])
    first.close()
    await asyncio.sleep(0.2)
    second.close()

    assert held == (b"1\n", 1)
    assert intake.text == b"1\n2\n"
    assert source.status()["accepting_paused"] >= 1


async def test_a_connection_that_brings_nothing_for_long_is_closed(started: Started) -> None:
    source = await started(KeptIntake(), idle_s=1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", source.port)

    assert await asyncio.wait_for(reader.read(1), 5) == b""
    assert source.status()["connections_idle"] == 1
    writer.close()


async def test_what_has_come_is_handed_over_before_a_stop(started: Started) -> None:
    intake = KeptIntake()
    source = TcpSource(TcpConfig(name="tcp", port=0, tick_ms=1000), intake)
    await source.start()
    _, writer = await asyncio.open_connection("127.0.0.1", source.port)
    writer.write(b"1\n")
    await until(lambda: source._timer is not None)

    await source.stop()

    assert intake.text == b"1\n"
    writer.close()


async def test_sockets_that_bring_little_are_read_once_a_tick_and_nothing_is_lost_at_the_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intake, reads = KeptIntake(), 0
    source = TcpSource(TcpConfig(name="tcp", port=0, tick_ms=40), intake)
    wake = source.wake

    def counted(*, hasty: bool = False) -> None:
        nonlocal reads
        reads += 1
        wake(hasty=hasty)

    monkeypatch.setattr(source, "wake", counted)
    await source.start()
    writers = [(await asyncio.open_connection("127.0.0.1", source.port))[1] for _ in range(2)]
    sent = [b"", b""]
    for number in range(120):
        line = b"%d\n" % number
        sent[number % 2] += line
        writers[number % 2].write(line)
        await asyncio.sleep(0.004)
    await source.stop()

    texts = intake.text.split()
    assert sorted(texts, key=int) == [b"%d" % number for number in range(120)]
    for text in sent:
        assert [line for line in texts if line in text.split()] == text.split()
    assert reads < 60  # 120 where each packet is read by itself
    for writer in writers:
        writer.close()


async def test_what_is_much_does_not_wait_for_the_tick() -> None:
    intake = KeptIntake()
    source = TcpSource(TcpConfig(name="tcp", port=0, tick_ms=1000), intake)
    await source.start()
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection("127.0.0.1", source.port)
    began_s = loop.time()
    writer.write(b"123456789\n" * 20_000)
    await until(lambda: len(intake.text) >= 3 * client.HASTY_BYTES)

    assert loop.time() - began_s < 0.9
    await source.stop()
    writer.close()

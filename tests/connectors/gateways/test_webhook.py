"""The webhook gateway against a web server of another process."""

import asyncio
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from connectors.contract import GatewayError, Message, Outcome, State
from connectors.gateways.webhook import Config, Gateway, codec
from connectors.gateways.webhook.simulator import Simulator

SERVER = Path(__file__).with_name("hook_server.py")
NOW_S = 1_225_760_400
TEXT = Message("0-17-3-5f2a", 8613800000001, "加拨12593更优惠", "10086", 600_000)


class Server:
    """The other side: its lines are requests."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-u", str(SERVER), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line().removeprefix("port "))

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def request(self) -> dict[str, Any]:
        """The next request that came."""
        value: dict[str, Any] = json.loads(self._line())
        return value

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def serve() -> Any:
    servers: list[Server] = []

    def start(*arguments: object) -> Server:
        servers.append(Server(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch, url: str, **changes: Any) -> AsyncIterator[Gateway]:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    settings = {"kind": "webhook", "url": url, "secret": {"env": "HOOK_SECRET"}, "pause_ms_min": 50}
    gateway = Gateway("hook", Config.model_validate(settings | changes), lambda: 0, lambda: NOW_S)

    async def nothing(_: Any) -> None:
        raise AssertionError("a webhook hears nothing")

    await gateway.start(nothing, nothing)
    try:
        yield gateway
    finally:
        await gateway.stop()


async def test_a_message_is_one_signed_request_whose_key_is_the_decision(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    server = serve(202)
    async with running(monkeypatch, f"http://127.0.0.1:{server.port}/x?y=1") as gateway:
        assert await gateway.send(TEXT) == Outcome(State.ACCEPTED, "", ("0-17-3-5f2a",))
        alert = Message("0-18-0-5f2a", 0, "spends", klass="service", about=8613800000001)
        assert (await gateway.send(alert)).state is State.ACCEPTED
    first, second = server.request(), server.request()
    digest = hmac.new(b"s3cret", f"{NOW_S}.{first['body']}".encode(), hashlib.sha256).hexdigest()
    assert first["headers"]["opportune-signature"] == f"t={NOW_S},v1={digest}"
    assert first["headers"]["idempotency-key"] == "0-17-3-5f2a"
    assert json.loads(first["body"]) == {
        "id": "0-17-3-5f2a", "to": 8613800000001, "about": None, "from": "10086", "text": "加拨12593更优惠",
        "class": "commercial", "shelf_life_ms": 600_000,
    }  # fmt: skip
    assert (json.loads(second["body"])["to"], json.loads(second["body"])["about"]) == (None, 8613800000001)


@pytest.mark.parametrize(
    ("status", "state", "wish_ms"),
    [
        (200, State.ACCEPTED, None),
        (302, State.PERMANENT, None),
        (400, State.PERMANENT, None),
        (404, State.PERMANENT, None),
        (408, State.RETRY, None),
        (429, State.RETRY, None),
        (500, State.UNKNOWN, None),
        (502, State.UNKNOWN, None),
        (503, State.RETRY, 1_000),
    ],
)
async def test_an_answer_says_whether_it_is_posted_again(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server], status: int, state: State, wish_ms: int | None
) -> None:
    server = serve(status)
    async with running(monkeypatch, f"http://localhost:{server.port}/") as gateway:
        outcome = await gateway.send(TEXT)
        assert (outcome.state, outcome.retry_after_ms) == (state, wish_ms)
        assert gateway.up


async def test_without_an_answer_the_outcome_is_unknown_and_with_nobody_there_nothing_was_taken(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    server = serve(200, "--slow", 5)
    async with running(monkeypatch, f"http://127.0.0.1:{server.port}/", answer_ms_max=200) as gateway:
        assert (await gateway.send(TEXT)).state is State.UNKNOWN
        assert gateway.repeatable
        assert (gateway.up, gateway.room()) == (False, 0)
        await asyncio.sleep(0.06)
        assert (gateway.up, gateway.room()) == (True, 1)
        server.stop()
        assert (await gateway.send(TEXT)).state in (State.LINK_DOWN, State.UNKNOWN)
        await asyncio.sleep(0.2)
        assert (await gateway.send(TEXT)).state is State.LINK_DOWN


async def test_no_more_requests_than_allowed_are_on_their_way(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    server = serve(200, "--slow", 0.2)
    async with running(monkeypatch, f"http://127.0.0.1:{server.port}/", in_flight_max=3) as gateway:
        assert gateway.room() == 3
        sends = [asyncio.create_task(gateway.send(TEXT)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (gateway.room(), gateway.status()["in_flight"]) == (0, 3)
        assert {one.state for one in await asyncio.gather(*sends)} == {State.ACCEPTED}
        assert gateway.room() == 3


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate of `localhost`."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    return key, cert


async def test_a_certificate_that_is_not_trusted_is_refused(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server], tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not installed")
    key, cert = certificate(tmp_path)
    server = serve(200, "--tls", cert, key)
    async with running(monkeypatch, f"https://localhost:{server.port}/") as gateway:
        assert (await gateway.send(TEXT)).state is State.LINK_DOWN
    async with running(monkeypatch, f"https://localhost:{server.port}/", ca_file=cert) as gateway:
        assert (await gateway.send(TEXT)).state is State.ACCEPTED
    async with running(monkeypatch, f"https://127.0.0.1:{server.port}/", ca_file=cert) as gateway:
        assert (await gateway.send(TEXT)).state is State.LINK_DOWN, "the name must be the certificate's"


@pytest.mark.parametrize(
    "url", ["http://hook.example.com/", "ftp://127.0.0.1/", "https://", "https://me:pw@hook.example.com/", "x"]
)
def test_an_address_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        Config.model_validate({"kind": "webhook", "url": url, "secret": {"env": "S"}})


async def test_a_missing_secret_and_missing_certificates_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GatewayError, match="ca_file=/nowhere"):
        async with running(monkeypatch, "https://hook.example.com/", ca_file="/nowhere"):
            pass
    with pytest.raises(GatewayError, match="NO_SUCH_SECRET"):
        async with running(monkeypatch, "https://hook.example.com/", secret={"env": "NO_SUCH_SECRET"}):
            pass


@pytest.mark.parametrize(
    ("signature", "taken"),
    [
        (codec.headers_of(TEXT, b"{}", b"s", NOW_S)[codec.SIGNATURE], True),
        (codec.headers_of(TEXT, b"{}", b"s", NOW_S - 301)[codec.SIGNATURE], False),
        (codec.headers_of(TEXT, b"{ }", b"s", NOW_S)[codec.SIGNATURE], False),
        (codec.headers_of(TEXT, b"{}", b"t", NOW_S)[codec.SIGNATURE], False),
        ("", False),
        ("t=,v1=", False),
        ("t=99999999999999999999,v1=é", False),
    ],
)
def test_the_other_side_takes_only_what_is_signed_and_fresh(signature: str, taken: bool) -> None:
    assert codec.is_signed(b"{}", signature, b"s", NOW_S) is taken


async def test_the_simulator_acts_once_for_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    runner = web.AppRunner(Simulator(b"s3cret", taken.append).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setattr("connectors.gateways.webhook.simulator.time.time", lambda: NOW_S)
    async with running(monkeypatch, f"http://127.0.0.1:{runner.addresses[0][1]}/") as gateway:
        assert [(await gateway.send(TEXT)).state for _ in range(2)] == [State.ACCEPTED] * 2
    await runner.cleanup()
    assert len(taken) == 1

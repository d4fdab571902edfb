"""Secrets that are empty, short, guessed at, written in the wrong place or sent to the wrong peer."""

import asyncio
import hashlib
import hmac
import http.server
import itertools
import json
import ssl
import stat
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connectors.access import GUARD, REFUSALS_MAX, Guard, bears, from_here
from connectors.desk.config import DeskConfig
from connectors.desk.session import Sessions
from connectors.secret import Secret, SecretError
from engine.serve.terminal_key import FILE, terminal_key
from engine.settings.config import Config
from engine.settings.reading import ConfigErrors, parse_config
from engine.settings.secrets import check_secrets, secrets_of
from tests.engine.conftest import Make
from tests.engine.engines import wait_for

SECTIONS = ("http", "desk", "sources", "gateways", "cluster")
SETTINGS = {
    "http.token": '[http]\ntoken = { env = "S" }\n',
    "desk.token": '[desk]\ntoken = { env = "S" }\n',
    "desk.terminal_key": '[desk]\nterminal_key = { env = "S" }\n',
    "sources.http.0.token": '[[sources.http]]\ntoken = { env = "S" }\n',
    "desk.redis.password": '[desk]\nqueue = "redis"\nredis = { password = { env = "S" } }\n',
    "cluster.password": '[cluster]\nsasl = "PLAIN"\nuser = "u"\npassword = { env = "S" }\n',
    "gateways.smsc.password": '[gateways.smsc]\nkind = "smpp"\nhost = "h"\nsystem_id = "s"\npassword = { env = "S" }\n',
}
REMOTE = '[http]\nhost = "0.0.0.0"\n'


def config_of(text: str, more: str = "") -> Config:
    """Return the configuration; `more` adds to a section [http] that may stand in `text`."""
    if "[http]" in text and more:
        return parse_config(text.replace("[http]\n", more))
    return parse_config(text + more)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("value", ["", "   ", "\n"])
def test_an_empty_secret_refuses_to_start_and_names_its_setting(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", value)

    with pytest.raises(SecretError, match="is empty") as fault:
        check_secrets(config_of(SETTINGS[setting]), SECTIONS)
    assert str(fault.value) == f"{setting}: environment variable S is empty"


@pytest.mark.parametrize("setting", [name for name in SETTINGS if "password" not in name])
def test_a_token_of_15_bytes_refuses_to_start_where_other_machines_reach_the_front(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", "x" * 15)
    check_secrets(config_of(SETTINGS[setting]), SECTIONS)

    with pytest.raises(SecretError, match="holds 15 bytes, must be >= 16") as fault:
        check_secrets(config_of(SETTINGS[setting], REMOTE), SECTIONS)
    assert str(fault.value).startswith(f"{setting}: ")
    monkeypatch.setenv("S", "x" * 16)
    check_secrets(config_of(SETTINGS[setting], REMOTE), SECTIONS)


@pytest.mark.parametrize("setting", [name for name in SETTINGS if name.endswith(".token")])
@pytest.mark.parametrize("value", ["x" * 16 + "\nX-Evil: 1", " " + "x" * 16, "x" * 16 + "\t", "\x1b" + "x" * 16])
def test_a_token_that_no_header_carries_refuses_to_start_without_being_repeated(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", value)

    with pytest.raises(SecretError, match="no header carries") as fault:
        check_secrets(config_of(SETTINGS[setting]), SECTIONS)
    assert "xxxx" not in str(fault.value)


def test_every_secret_of_a_configuration_is_found_by_its_path() -> None:
    for setting, text in SETTINGS.items():
        assert [path for path, _ in secrets_of(config_of(text))] == [setting]


@pytest.mark.parametrize("octets", [b"", b"\n", b"\xff\xfe", None])
def test_a_secret_file_that_is_empty_no_text_or_missing_is_refused_in_one_line(
    octets: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    if octets is not None:
        path.write_bytes(octets)

    with pytest.raises(SecretError) as fault:
        Secret(file=path).read()
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_an_engine_with_an_empty_token_does_not_start_and_says_so_in_one_line(make: Make) -> None:
    engine = make(more='[http]\nport = 0\ntoken = { env = "FRONT_TOKEN" }\n')
    engine.env["FRONT_TOKEN"] = ""
    engine.start(ready=False)
    assert engine.process is not None

    assert engine.process.wait() == 1
    assert engine.process.err == "opportune run: http.token: environment variable FRONT_TOKEN is empty\n"


@pytest.fixture
async def doors() -> web.Application:
    app = web.Application()
    Guard(delay_s=0.2).add_to(app)

    async def guarded(request: web.Request) -> web.Response:
        return web.Response(status=200 if bears(request, b"right") else 401)

    async def unset(request: web.Request) -> web.Response:
        return web.Response(status=200 if bears(request, b"") else 401)

    async def local(request: web.Request) -> web.Response:
        return web.Response(status=200 if from_here(request) else 401)

    async def tls(request: web.Request) -> web.Response:
        return web.json_response(request.app[GUARD].behind_tls(request))

    app.router.add_get("/guarded", guarded)
    app.router.add_get("/unset", unset)
    app.router.add_get("/local", local)
    app.router.add_get("/tls", tls)
    return app


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer  \t", "Basic Og=="])
async def test_an_empty_bearer_is_never_equal_to_an_empty_token(doors: web.Application, header: str | None) -> None:
    async with TestClient(TestServer(doors)) as client:
        headers = {} if header is None else {"Authorization": header}
        assert (await client.get("/unset", headers=headers)).status == 401
        assert (await client.get("/guarded", headers=headers)).status == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_a_caller_that_a_proxy_on_this_machine_speaks_for_is_not_this_machine(
    doors: web.Application, header: str
) -> None:
    async with TestClient(TestServer(doors)) as client:
        assert (await client.get("/local")).status == 200
        assert (await client.get("/local", headers={header: "10.0.0.9"})).status == 401


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "http://evil"])
async def test_an_origin_that_is_no_address_is_refused_and_not_a_fault(doors: web.Application, origin: str) -> None:
    async with TestClient(TestServer(doors)) as client:
        assert (await client.get("/local", headers={"Origin": origin})).status == 401


async def test_guesses_at_a_token_are_late_counted_and_few_at_a_time() -> None:
    counted: list[str] = []
    app = web.Application()
    Guard(counted.append, delay_s=0.3).add_to(app)

    async def guarded(request: web.Request) -> web.Response:
        return web.Response(status=200 if bears(request, b"right") else 401)

    app.router.add_get("/guarded", guarded)
    async with TestClient(TestServer(app)) as client:
        began = time.monotonic()

        async def guess(number: int) -> int:
            return (await client.get("/guarded", headers={"Authorization": f"Bearer {number}"})).status

        answers = await asyncio.gather(*(guess(number) for number in range(50)))
        assert time.monotonic() - began >= 0.3
        assert answers.count(401) == REFUSALS_MAX == len(counted)
        assert answers.count(429) == 50 - REFUSALS_MAX
        assert set(counted) == {"/guarded"}
        assert (await client.get("/guarded", headers={"Authorization": "Bearer right"})).status == 200


async def test_x_forwarded_proto_is_believed_from_a_trusted_proxy_alone() -> None:
    for proxies, believed in (((), False), (("127.0.0.0/8",), True), (("10.0.0.0/8",), False)):
        app = web.Application()
        Guard(proxies=proxies).add_to(app)

        async def tls(request: web.Request) -> web.Response:
            return web.json_response(request.app[GUARD].behind_tls(request))

        app.router.add_get("/tls", tls)
        async with TestClient(TestServer(app)) as client:
            reply = await client.get("/tls", headers={"X-Forwarded-Proto": "https"})
            assert await reply.json() is believed


def test_a_terminal_token_says_nothing_that_a_list_of_system_tokens_could_be_held_against(tmp_path: Path) -> None:
    config = DeskConfig(token=Secret(env="T"))
    key = terminal_key(config, tmp_path)
    token = "admin1234"
    terminal = Sessions(token, key, 60_000).terminal_token("counter-3")
    guesses = (hmac.digest(guess.encode(), json.dumps(["terminal", "counter-3"]).encode(), hashlib.sha256).hex()[:32]
               for guess in itertools.chain(["admin1234"], map(str, range(1000))))  # fmt: skip

    assert terminal not in set(guesses)
    assert terminal == Sessions("another", key, 60_000).terminal_token("counter-3")
    assert terminal_key(config, tmp_path) == key
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_terminal_key_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"")

    with pytest.raises(SecretError, match="holds 0 bytes, must be 32"):
        terminal_key(DeskConfig(token=Secret(env="T")), tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2secret@127.0.0.1:6379/0",
        "redis://user:hunter2secret@host/0",
        "redis://host/0?password=hunter2secret",
        "http://:hunter2secret@host",
        "hunter2secret@host",
    ],
)
def test_a_password_in_a_redis_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigErrors) as fault:
        parse_config(f'[desk]\nredis = {{ url = "{url}" }}\n')
    assert "desk.redis.url" in str(fault.value)
    assert "hunter2secret" not in str(fault.value)


@pytest.mark.parametrize("setting", ["http.token", "desk.token", "cluster.password", "desk.redis.password"])
def test_a_secret_written_where_its_place_belongs_is_refused_without_repeating_it(setting: str) -> None:
    section, _, name = setting.rpartition(".")
    for value in ('"hunter2secret"', '["hunter2secret"]', '{ env = ["hunter2secret"] }'):
        with pytest.raises(ConfigErrors) as fault:
            parse_config(f"[{section}]\n{name} = {value}\n")
        assert "hunter2secret" not in str(fault.value), value


class _Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(str(self.headers))  # type: ignore[attr-defined]  # ours
        self.send_error(502)

    do_POST = do_CONNECT = do_GET  # noqa: N815 the base names them

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_control_token_does_not_go_to_a_proxy_of_the_environment_and_status_needs_none(make: Make) -> None:
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    proxy.seen = []  # type: ignore[attr-defined]  # ours
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    engine = make(more='[http]\nport = 0\ntoken = { env = "FRONT_TOKEN" }\n')
    engine.env["FRONT_TOKEN"] = "密码-right-right-right"
    engine.start()
    engine.env |= dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), f"http://127.0.0.1:{proxy.server_port}")

    assert engine.command("pause", "rule", "long-care").exit == 0
    engine.env["FRONT_TOKEN"] = ""
    assert engine.command("status", "--once").exit == 0
    refused = engine.command("resume", "rule", "long-care")
    assert (refused.exit, refused.err.count("\n")) == (1, 1)
    assert proxy.seen == []  # type: ignore[attr-defined]  # ours
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of a name that is not this machine's, and its key."""
    paths = tmp_path / "front.pem", tmp_path / "front.key"
    words = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=f"]
    made = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(["openssl", "req", *words, *made], check=True, capture_output=True)
    return paths


def test_the_front_speaks_tls_by_setting_and_our_commands_trust_its_certificate(
    make: Make, certificate: tuple[Path, Path]
) -> None:
    files = f'certificate_file = "{certificate[0]}"\nkey_file = "{certificate[1]}"\n'
    engine = make(more=f"[http]\nport = 0\n{files}")
    engine.start(ready=False)
    wait_for((engine.data / "http.json").exists, "the address")
    port = json.loads((engine.data / "http.json").read_bytes())["port"]

    assert engine.command("status", "--once").exit == 0
    assert engine.command("pause", "rule", "long-care").exit == 0
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.check_hostname = False
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(f"https://127.0.0.1:{port}/health") as reply:
        assert reply.status == 200
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"https://127.0.0.1:{port}/health")


def test_a_tls_key_that_does_not_serve_is_one_line_that_names_the_settings(
    make: Make, certificate: tuple[Path, Path]
) -> None:
    certificate[1].write_text("garbage\x1b[2J")
    files = f'certificate_file = "{certificate[0]}"\nkey_file = "{certificate[1]}"\n'
    engine = make(more=f"[http]\nport = 0\n{files}").start(ready=False)
    assert engine.process is not None

    assert engine.process.wait() == 1
    last = engine.process.err.splitlines()[-1]
    assert last.startswith("opportune run: http.certificate_file=")
    assert "http.key_file=" in last

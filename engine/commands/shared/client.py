"""Ask the engine that runs on a data directory: its address stands in `http.json` there.

Nothing goes by a proxy of the environment, and only what changes something carries the control token.
"""

import urllib.error
import urllib.request
from typing import Any

import orjson

from connectors.tls import own_context
from engine.commands.shared.error import CommandError
from engine.flow.datadir import DataDir
from engine.settings.config import Config

NAME_HEADER = "Opportune-Engine"
ANOTHER_ENGINE = 421
WAIT_S = 10


def ask(config: Config, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the JSON answer of the running engine; with a body it is a POST.

    Raises:
        CommandError: when no engine runs, or it refuses.
    """
    base, name = address(config)
    request = urllib.request.Request(base + path, headers={NAME_HEADER: name})  # noqa: S310 the scheme is ours
    if body is not None:
        request.data = orjson.dumps(body)
        request.add_header("Content-Type", "application/json")
        if config.http.token is not None:
            token = f"Bearer {config.http.token.read()}"
            request.add_header("Authorization", token.encode().decode("latin-1"))  # which is how it is sent
    try:
        with _opener(config).open(request, timeout=WAIT_S) as answer:
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as fault:
        if fault.code == ANOTHER_ENGINE:
            raise CommandError(f"no engine runs on {config.data.directory}") from fault
        raise CommandError(f"the engine refused: {_reason(fault)}") from fault
    except (urllib.error.URLError, OSError) as fault:
        raise CommandError(f"no engine answers at {base}: {fault}") from fault


def _opener(config: Config) -> urllib.request.OpenerDirector:
    """Return what asks: without proxies, trusting the front's own certificate."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if config.http.certificate_file is not None:
        handlers.append(urllib.request.HTTPSHandler(context=own_context(config.http.certificate_file)))
    return urllib.request.build_opener(*handlers)


def running(config: Config) -> bool:
    """Return whether an engine answers for the data directory."""
    try:
        ask(config, "/health")
    except CommandError:
        return False
    return True


def address(config: Config) -> tuple[str, str]:
    """Return base URL and name of the engine on the data directory; CommandError when none has been started."""
    try:
        record = orjson.loads(DataDir(config.data.directory).address.read_bytes())
        host, port, name = record["host"], record["port"], record["engine"]
        scheme = "https" if record.get("tls") else "http"
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise CommandError(f"no engine runs on {config.data.directory}") from fault
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}", name


def _reason(fault: urllib.error.HTTPError) -> str:
    try:
        return str(orjson.loads(fault.read())["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{fault.code} {fault.reason}"

"""Trials: a text to a number of the operator's own, through the running engine's gateways.

Nothing of a trial is a decision: no cap, quota, window or report knows of it, no receipt is asked for, and nothing of
it is in the log. It goes by the engine and not by a connection of its own, because a message centre gives receipts and
replies to any connection of an account: one that came for a moment would take opt-outs away from the engine. Only
numbers in `dispatch.test_numbers` are written to, whoever asks. Every trial is a line of `trials.ndjson` in the data
directory before it goes, and another one with what the gateway said.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from connectors.contract import Gateway, Message
from engine.runtimes.sending import make_policy
from engine.serve.controls import RequestError
from engine.serve.face import Runtime
from engine.serve.front import Front
from engine.settings.config import Config
from state.numbers import NumberError

WAIT_S = 8.0


class TrialBody(BaseModel):
    """A text of a rule for a test number."""

    model_config = ConfigDict(strict=True)

    rule: Annotated[str, Field(max_length=64)]
    channel: str
    number: int | str
    text: Annotated[str, Field(min_length=1, max_length=2_000)]


class Trials:
    """Sends trials, one at a time.

    Args:
        config: checked settings.
        runtime: knows the active book.
        gateways: by name.
        path: where trials are written down.
        now_ms: the clock.
    """

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        gateways: Mapping[str, Gateway],
        path: Path,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._gateways = gateways
        self._path = path
        self._now_ms = now_ms
        self._plan = config.numbers.plan()
        self._turn = asyncio.Lock()

    async def send(self, body: TrialBody) -> Mapping[str, Any]:
        """Send a text; return what the gateway said. RequestError where it is for nobody who may get one."""
        number = self._number(body.number)
        gateway, source = self._gateway(body.channel)
        identity = f"trial-{secrets.token_hex(8)}"
        message = Message(identity, number, body.text, source, None, "service", wanted_receipt=False)
        told = {"rule": body.rule, "channel": body.channel, "number": number, "text": body.text}
        async with self._turn:
            await self._note({"trial": identity, "at_ms": self._now_ms(), "gateway": gateway.name, **told})
            try:
                outcome = await asyncio.wait_for(gateway.send(message), WAIT_S)
                said = {"state": outcome.state.value, "code": outcome.code}
            except TimeoutError:
                said = {"state": "unknown", "code": "TIMEOUT"}
            await self._note({"trial": identity, "at_ms": self._now_ms(), **said})
        return {"trial": identity, "gateway": gateway.name, **said}

    def _number(self, given: int | str) -> int:
        try:
            allowed = {self._plan.subscriber(one) for one in self._config.dispatch.test_numbers}
            number = self._plan.subscriber(given)
        except NumberError as fault:
            raise RequestError(f"number: {fault}") from fault
        if number not in allowed:
            raise RequestError(f"number={number} must be one of dispatch.test_numbers, which has {len(allowed)}")
        return number

    def _gateway(self, name: str) -> tuple[Gateway, str]:
        """Return the first gateway of a channel that is up, and the channel's address."""
        book = self._runtime.book
        channel = book.channels.get(name)
        if channel is None or channel.kind != "sms":
            raise RequestError(f"channel={name!r} must be a channel of texts in the book that is active")
        policy = make_policy(self._config, book).channels.get(name)
        for one in policy.route if policy is not None else ():
            if one in self._gateways and self._gateways[one].up and policy is not None:
                return self._gateways[one], policy.source_address
        raise RequestError(f"channel={name!r} has no gateway that is up")

    async def _note(self, record: Mapping[str, Any]) -> None:
        await asyncio.to_thread(_append, self._path, orjson.dumps(record) + b"\n")


def add_trials(
    front: Front,
    config: Config,
    runtime: Runtime,
    gateways: Mapping[str, Gateway],
    path: Path,
    now_ms: Callable[[], int],
) -> None:
    """Take trials over HTTP, of whoever may write."""
    front.write("/trial", TrialBody, Trials(config, runtime, gateways, path, now_ms).send)


def _append(path: Path, line: bytes) -> None:
    """Append a line, durable; it holds a text and a number, so it is for the owner and to read for the group."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(file, line)
        os.fsync(file)
    finally:
        os.close(file)

"""A dispatcher among stand-ins: gateways that answer by a script, a log that may be away, a disk in memory.

The loop, the doors and the outbox are the real ones. What must hold is said by the tests that import this.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from connectors.contract import Message, MobileOriginated, Outcome, Receipt, State
from engine.dispatch import ChannelPolicy, Decided, Dispatcher, LocalOutbox, Policy, Report
from state.decisions import OutcomeState
from tests.fakes.disk import SimulatedDisk

NOW_MS = 1_225_760_400_000
POLICY = Policy({"sms": ChannelPolicy(("one",), source_address="10086", retry_ms_min=10, retry_ms_max=20)})


class ScriptedGateway:
    """Answers as `script` says; keeps what it was sent."""

    def __init__(
        self,
        name: str = "one",
        script: Callable[[Message], Any] = lambda message: Outcome(State.ACCEPTED, "", (f"id {message.decision_id}",)),
    ) -> None:
        self.name, self.script = name, script
        self.sent: list[Message] = []
        self.up, self.free = True, 1000

    def room(self) -> int:
        return self.free

    async def start(
        self, on_receipt: Callable[[Receipt], Awaitable[None]], on_mo: Callable[[MobileOriginated], Awaitable[None]]
    ) -> None:
        self.receipt, self.reply = on_receipt, on_mo

    async def send(self, message: Message) -> Outcome:
        self.sent.append(message)
        outcome = self.script(message)
        answer: Outcome = await outcome if asyncio.iscoroutine(outcome) else outcome
        return answer

    async def stop(self) -> None:
        return None

    def status(self) -> dict[str, int | str]:
        return {}


class Log:
    """Where outcomes go; away when told so."""

    def __init__(self) -> None:
        self.said: list[Report] = []
        self.members: list[tuple[int, str, bool]] = []
        self.contacts: dict[str, int | None] = {}
        self.replies: list[MobileOriginated] = []
        self.answers: list[str] = []
        self.away = False
        self.keeps_replies = True
        self.position = 50

    async def outcomes(self, said: list[Report], contact_ms: list[int | None]) -> None:
        if self.away:
            raise OSError("log away")
        self.said.extend(said)
        self.contacts.update({one.decision_id: at_ms for one, at_ms in zip(said, contact_ms, strict=True)})

    async def member(self, subscriber: int, name: str, *, member: bool) -> tuple[int, int]:
        if self.away:
            raise OSError("log away")
        self.members.append((subscriber, name, member))
        return 0, self.position

    async def reply(self, reply: MobileOriginated, decision_id: str) -> bool:
        self.replies.append(reply)
        self.answers.append(decision_id)
        return self.keeps_replies

    def states(self) -> list[tuple[str, OutcomeState]]:
        return [(report.decision_id, report.state) for report in self.said]


def decided(number: int, **changes: Any) -> Decided:
    what = Decided(
        f"0-{number}-0-7", 8613800000000 + number, "a", "care", "sms", "o", "text", "commercial", NOW_MS, 600_000, 0
    )
    return what._replace(**changes)


class World:
    """One dispatcher and what surrounds it."""

    def __init__(
        self,
        policy: Policy = POLICY,
        disk: SimulatedDisk | None = None,
        gateways: Mapping[str, Any] | None = None,
        log: Log | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.gateways: Mapping[str, Any] = gateways or {"one": ScriptedGateway()}
        self.log = log or Log()
        feedback: Any = self.log
        self.disk = disk or SimulatedDisk()
        self.clock = clock or (lambda: NOW_MS)
        self.outbox = LocalOutbox(Path("/outbox"), self.disk, segment_bytes=1 << 20)
        self.dispatcher = Dispatcher(policy, self.gateways, None, feedback, self.clock, self.outbox)

    @property
    def gateway(self) -> Any:
        return self.gateways["one"]


@asynccontextmanager
async def running(**parts: Any) -> AsyncIterator[World]:
    world = World(**parts)
    await world.dispatcher.start()
    try:
        yield world
    finally:
        await world.dispatcher.stop(1.0)


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for belongs to another task
            await asyncio.sleep(0.002)

"""An assignment that cannot be taken ends the worker: Faust would go on without its partitions."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError

from engine.runtimes.cluster import app as module
from engine.settings.config import Config


class Signal:
    def __init__(self) -> None:
        self.handlers: list[Callable[..., Any]] = []

    def connect(self, handler: Callable[..., object], **_: object) -> None:
        self.handlers.append(handler)


class App:
    """What a worker asks of Faust."""

    def __init__(self, services: SimpleNamespace) -> None:
        self.services = services
        self.on_partitions_assigned, self.on_partitions_revoked = Signal(), Signal()
        self.on_rebalance_complete, self.on_before_shutdown = Signal(), Signal()
        self.assignor = SimpleNamespace(assigned_standbys=set)
        self.consumer = SimpleNamespace(assignment=set)

    def topic(self, *_: object, **__: object) -> None:
        pass

    def agent(self, *_: object, **__: object) -> Callable[[Any], Any]:
        return lambda agent: agent


@pytest.mark.parametrize("agent", ["decide", "dispatch"])
async def test_a_fault_of_an_assignment_ends_the_worker(agent: str) -> None:
    fault = IllegalStateError("partition is not assigned")
    failed: list[BaseException] = []

    async def assigned(*_: object) -> None:
        raise fault

    services: Any = SimpleNamespace(**{agent: SimpleNamespace(assigned=assigned)}, fail=failed.append)
    app: Any = App(services)
    if agent == "decide":
        module._add_decide(app, Config())
    else:
        module._add_dispatch(app, services, Config())
    for handler in app.on_rebalance_complete.handlers:
        await handler(app)

    assert failed == [fault]


@pytest.mark.parametrize("agent", ["decide", "dispatch"])
async def test_what_the_group_gives_and_takes_is_known_though_it_is_never_opened(agent: str) -> None:
    async def revoked() -> None:
        pass

    part = SimpleNamespace(given=set(), revoked=revoked)
    services: Any = SimpleNamespace(**{agent: part})
    app: Any = App(services)
    if agent == "decide":
        module._add_decide(app, Config())
    else:
        module._add_dispatch(app, services, Config())
    topic = {"decide": "opportune.log", "dispatch": "opportune.decisions"}[agent]
    places = [SimpleNamespace(topic=topic, partition=6), SimpleNamespace(topic="another", partition=1)]

    for handler in app.on_partitions_assigned.handlers:
        await handler(app, places)
    assert part.given == {6}

    for handler in app.on_partitions_revoked.handlers:
        await handler(app, places)
    assert part.given == set()

"""The Faust app of a worker: consumer group of `log`, assignor and supervisor, no more; a second group for dispatch.

It is made with what was measured: no web server of its own (it is open to everybody), no tables (its standbys are
places for copies of ours: `standby`), topics not declared by it (`opportune topics` does), and a session timeout that
finds a dead worker soon. Our service starts before its consumer and stops after it. On SIGTERM the streams stop first,
then partitions are closed with all their pages written, and only then the group is left: the next owner has nothing to
redo.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import faust

from connectors.kafka.client import FETCH_BYTES, METADATA_MS, access
from engine.book.loader import Loader
from engine.runtimes.cluster.services import WorkerServices
from engine.runtimes.cluster.shared.topics import Names, worker_name
from engine.settings.config import Config

CRASH_S = 10.0
HEARTBEATS = 20
"""In a session: a worker hears that another one has died with the answer to its next."""


class GroupApp(faust.App):  # type: ignore[misc]  # faust is not followed: its annotations do not check
    """A Faust app: one consumer group."""

    async def crash(self, reason: BaseException) -> None:
        """End, at the latest in `CRASH_S`: a crashed app of Faust may wait for its own consumer forever."""
        end = threading.Timer(CRASH_S, os._exit, (1,))
        end.daemon = True
        end.start()
        await super().crash(reason)


class ClusterApp(GroupApp):
    """The app of a worker: what lives below starts first and stops last, what stands beside starts last."""

    services: WorkerServices
    beside: GroupApp | None = None

    def on_init_dependencies(self) -> Iterable[Any]:
        """Return our service before Faust's own, and the dispatchers' group after it."""
        beside: list[Any] = [self.beside] if self.beside is not None else []
        for one in (self.services, *beside):
            one.beacon.reattach(self.beacon)
        return [self.services, *super().on_init_dependencies(), *beside]


def make_app(config: Config, loader: Loader) -> ClusterApp:
    """Return the Faust app of a worker; nothing is connected yet."""
    app = ClusterApp(Names(config.cluster.prefix).decide, **_settings(config, "decide"))
    app.services = WorkerServices(config, loader)
    if "decide" in config.cluster.agents:
        _add_decide(app, config)
    else:
        app.producer_only = True
    if "dispatch" in config.cluster.agents:
        app.beside = GroupApp(Names(config.cluster.prefix).dispatch, **_settings(config, "dispatch"))
        _add_dispatch(app.beside, app.services, config)
    return app


def _settings(config: Config, group: str) -> dict[str, Any]:
    """Return how a group is consumed."""
    cluster = config.cluster
    words = access(cluster)
    timeout_s = cluster.session_timeout_ms / 1000
    return {
        "broker_client_id": worker_name(config),
        "broker": [f"kafka://{address}" for address in cluster.bootstrap],
        "broker_credentials": _credentials(words),
        "datadir": str(config.data.directory / "faust" / group),
        "store": "memory://",
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": cluster.standby_copies if group == "decide" else 0,
        "broker_session_timeout": timeout_s,
        "broker_heartbeat_interval": timeout_s / HEARTBEATS,
        "broker_request_timeout": max(30.0, timeout_s + 1),
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": FETCH_BYTES,
        "consumer_metadata_max_age_ms": METADATA_MS,
        "stream_wait_empty": False,
        "worker_redirect_stdouts": False,
    }


def _add_decide(app: ClusterApp, config: Config) -> None:
    name = Names(config.cluster.prefix).log
    topic = app.topic(name, key_serializer="raw", value_serializer="raw")
    services = app.services

    async def decide(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            try:
                assert services.decide is not None
                await services.decide.take(message.partition, message)
            except Exception as fault:  # noqa: BLE001 Faust would acknowledge the frame and go on
                services.fail(fault)
                await asyncio.Event().wait()

    async def assigned() -> None:
        assert services.decide is not None
        standby = {place.partition for place in app.assignor.assigned_standbys() if place.topic == name}
        await services.decide.assigned(_assigned(app, name), standby)

    async def given(_: Any, places: Iterable[Any], **__: Any) -> None:
        if services.decide is not None:
            services.decide.given = _numbers(places, name)

    async def revoked(*_: Any, **__: Any) -> None:
        if services.decide is not None:
            services.decide.given = set()
            await services.decide.revoked()

    async def finish(*_: Any, **__: Any) -> None:
        await services.finish()

    app.agent(topic, name="decide")(decide)
    app.on_partitions_assigned.connect(given, weak=False)
    app.on_rebalance_complete.connect(_or_end(services, assigned), weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_before_shutdown.connect(finish, weak=False)


def _add_dispatch(app: GroupApp, services: WorkerServices, config: Config) -> None:
    """Let Faust assign partitions of decisions; `engine.runtimes.cluster.dispatch.sending_partition` reads them."""
    name = Names(config.cluster.prefix).decisions
    topic = app.topic(name, key_serializer="raw", value_serializer="raw")

    async def dispatch(stream: Any) -> None:
        async for event in stream.noack().events():
            app.consumer.pause_partitions([event.message.tp])

    async def assigned() -> None:
        assert services.dispatch is not None
        await services.dispatch.assigned(_assigned(app, name))

    async def given(_: Any, places: Iterable[Any], **__: Any) -> None:
        if services.dispatch is not None:
            services.dispatch.given = _numbers(places, name)

    async def revoked(*_: Any, **__: Any) -> None:
        if services.dispatch is not None:
            services.dispatch.given = set()
            await services.dispatch.revoked()

    app.agent(topic, name="dispatch")(dispatch)
    app.on_partitions_assigned.connect(given, weak=False)
    app.on_rebalance_complete.connect(_or_end(services, assigned), weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_before_shutdown.connect(revoked, weak=False)


def _assigned(app: GroupApp, topic: str) -> set[int]:
    """Return the partitions of a topic that are ours now."""
    return _numbers(app.consumer.assignment(), topic)


def _numbers(places: Iterable[Any], topic: str) -> set[int]:
    return {place.partition for place in places if place.topic == topic}


def _or_end(services: WorkerServices, assigned: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return a handler of assignments whose fault ends the worker."""

    async def guarded(*_: Any, **__: Any) -> None:
        try:
            await assigned()
        except Exception as fault:  # noqa: BLE001 Faust would log it and go on without the partitions
            services.fail(fault)

    return guarded


def _credentials(words: Mapping[str, Any]) -> Any:
    """Return how Faust logs in."""
    if "sasl_mechanism" in words:
        return faust.SASLCredentials(
            username=words["sasl_plain_username"],
            password=words["sasl_plain_password"],
            ssl_context=words.get("ssl_context"),
            mechanism=words["sasl_mechanism"],
        )
    return words.get("ssl_context")

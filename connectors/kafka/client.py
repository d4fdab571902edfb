"""Clients of Kafka as this project uses them: what is always the same is said here once.

Producers wait for all replicas and are idempotent, so records of one producer stand in a partition in the order in
which they were sent, each once, or the producer fails. aiokafka does not close what failed to start: `started` does.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from connectors.kafka import BrokerError
from connectors.kafka.config import KafkaConfig

BATCH_BYTES = 1 << 20
"""Largest batch of records, below what brokers accept by default."""
FETCH_BYTES = 4 << 20
METADATA_MS = 5_000
"""How often a consumer asks which partitions its topics have. A group leader that could not ask at its start, because a
broker was away, assigns no partitions until then; aiokafka by itself asks every five minutes."""


def tls_context(config: KafkaConfig) -> ssl.SSLContext | None:
    """Return the TLS settings; None where the connection is plain."""
    if not config.tls:
        return None
    context = ssl.create_default_context(cafile=config.ca_file or None)
    if config.certificate_file:
        context.load_cert_chain(config.certificate_file, config.key_file)
    return context


def access(config: KafkaConfig) -> dict[str, Any]:
    """Return how to connect, as every client of aiokafka takes it; reads the password."""
    words: dict[str, Any] = {"bootstrap_servers": list(config.bootstrap)}
    context = tls_context(config)
    if context is not None:
        words["ssl_context"] = context
    if config.sasl:
        assert config.password is not None
        words["sasl_mechanism"] = config.sasl
        words["sasl_plain_username"] = config.user
        words["sasl_plain_password"] = config.password.read()
    words["security_protocol"] = ("SASL_" if config.sasl else "") + ("SSL" if config.tls else "PLAINTEXT")
    return words


def producer(config: KafkaConfig, *, transactional_id: str | None = None, **words: Any) -> AIOKafkaProducer:
    """Return a producer that is not started; a `transactional_id` fences earlier ones of the same name at its start."""
    settings = {"acks": "all", "enable_idempotence": True, "max_batch_size": BATCH_BYTES, "request_timeout_ms": 30_000}
    settings["max_request_size"] = 2 * BATCH_BYTES
    if transactional_id is not None:
        settings["transactional_id"] = transactional_id
    return AIOKafkaProducer(**access(config), **(settings | words))


def consumer(config: KafkaConfig, **words: Any) -> AIOKafkaConsumer:
    """Return a consumer that is not started and commits nothing by itself."""
    settings = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "max_partition_fetch_bytes": FETCH_BYTES,
        "fetch_max_bytes": 4 * FETCH_BYTES,
        "max_poll_records": None,
        "metadata_max_age_ms": METADATA_MS,
    }
    return AIOKafkaConsumer(**access(config), **(settings | words))


def admin(config: KafkaConfig) -> AIOKafkaAdminClient:
    """Return an administrator's client that is not started."""
    return AIOKafkaAdminClient(**access(config))


@contextmanager
def broker_errors(what: str) -> Iterator[None]:
    """Raise a fault of aiokafka inside as BrokerError, which names `what`."""
    try:
        yield
    except KafkaError as fault:
        raise BrokerError(f"{what}: {fault}") from fault


async def started(client: Any, config: KafkaConfig) -> Any:
    """Start a client and return it; BrokerError, with the client closed, when that fails."""
    try:
        await client.start()
    except KafkaError as fault:
        close = getattr(client, "stop", None) or client.close
        await close()
        where = ", ".join(config.bootstrap)
        words = "no broker answers" if isinstance(fault, KafkaConnectionError) else str(fault)
        raise BrokerError(f"Kafka at {where}: {words}") from fault
    return client

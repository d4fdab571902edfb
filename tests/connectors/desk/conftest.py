"""Both keepers of panels, so that one suite judges both."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from connectors.desk.config import RedisConfig
from connectors.desk.queue import MemoryQueue, Queue
from connectors.desk.redis import RedisQueue
from tests.connectors.desk.world import until_settled
from tests.parts.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    """An empty queue: in memory, and in a real Redis under a prefix of its own."""
    if request.param == "memory":
        made: Queue = MemoryQueue(300_000, 2_000)
    else:
        server: RedisServer = request.getfixturevalue("redis_for_all")
        config = RedisConfig(
            url=server.url, prefix=f"test:{uuid.uuid4().hex}", terminals_per_reader=2, settle_ms=20, recall_ms=0
        )
        made = RedisQueue(300_000, 2_000, config)
    await made.start()
    if isinstance(made, RedisQueue):
        await until_settled(made)
    yield made
    await made.stop()

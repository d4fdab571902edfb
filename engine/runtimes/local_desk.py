"""The desk of an embedded engine: panels in files of the data directory, or in Redis."""

from collections.abc import Awaitable, Callable

from connectors.desk.config import DeskConfig
from connectors.desk.desk import Desk
from connectors.desk.model import Answer, Card, Customer, Visit
from connectors.desk.queue import MemoryQueue, Queue
from connectors.desk.store import PanelStore
from engine.flow.core import Core


def make_desk(
    config: DeskConfig,
    core: Core,
    visited: Callable[[Visit], Awaitable[Customer | None]],
    answered: Callable[[Card, Answer], Awaitable[None]],
    now_ms: Callable[[], int],
) -> Desk:
    """Return a desk that is not started; visits and answers are confirmed once `visited` and `answered` return."""
    queue: Queue
    if config.queue == "redis":
        from connectors.desk.redis import RedisQueue  # noqa: PLC0415 loaded where Redis is used

        queue = RedisQueue(config.visit_idle_ms, config.retry_ms, config.redis)
    else:
        queue = MemoryQueue(config.visit_idle_ms, config.retry_ms, PanelStore(core.datadir.desk, core.disk))
    return Desk(queue, visited, answered, config, now_ms)

"""The desk of a worker: the clerks' page on its front, panels in Redis, visits and answers into the log.

Every worker with `desk.queue = "redis"` has one, whatever its agents are. A terminal may be connected to one worker,
its visit opened at a second, its card decided by a third and offered by a fourth; all meet in Redis, and what counts
is confirmed only when Kafka has it.

    routes ─► Desk ─► Redis                     visits, cards, answers, sign-ins
                └──► DeskReporter ─► log             visits and answers; 503 while the brokers do not answer
    fold of the owner ─► TopicArrivals ─► Redis customers' facts, and visits that raw topics brought
"""

from collections.abc import Awaitable, Callable

from connectors.desk.config import DeskConfig
from connectors.desk.desk import Desk
from connectors.desk.redis import RedisQueue
from engine.counter.desk_reporter import DeskReporter
from engine.flow.clock import WallClock


def has_counters(config: DeskConfig) -> bool:
    """Whether a worker serves the desk: in a cluster panels must be where every worker finds them."""
    return config.enabled and config.queue == "redis"


def make_desk(
    config: DeskConfig,
    desk_reporter: DeskReporter,
    opted_out: Callable[[int], Awaitable[None]],
    forgotten: Callable[[], object],
) -> Desk:
    """Return a desk that is not started.

    `opted_out` puts a customer who says so on the list of opt-outs; `forgotten` is called when Redis was started again.
    """
    queue = RedisQueue(config.visit_idle_ms, config.retry_ms, config.redis)
    queue.listeners.append(forgotten)
    return Desk(queue, desk_reporter.visit, desk_reporter.answer, config, WallClock().now_ms, on_opt_out=opted_out)

"""An outage of a broker in the log: one line when it begins, one when it is over.

aiokafka writes a line for every failed try of every client, several a second each; a worker has some twenty clients.
Here the lines that speak of a broker that does not answer are taken together: the first one of a broker is passed on,
with what the client said; the rest are counted until none has come for `QUIET_S`. Lines that name no broker belong to
the outage that is on. Everything else passes as it is, and at level DEBUG nothing is held back.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

QUIET_S = 5.0
"""Clients try again about once a second; one that is silent for so long has been answered."""

_OF_A_BROKER = {
    "Unable connect to node with id": 0,
    "Unable to request metadata from node": 0,
    "Failed fetch messages from": 0,
    "Failed fetch offsets from": 0,
    "Cannot send %r to": 1,
    "Error sending %s to node": 1,
    "Marking the coordinator dead": 0,
    "broker %d does not give records": 0,
}
"""How a line begins that names a broker, and which of its values does."""
_OF_ANY = (
    'Unable connect to "',
    'Unable to request metadata from "',
    "Unable to update metadata from",
    "Could not send %r",
    "Got error produce response",
    "FindCoordinator Request failed",
    "Group Coordinator Request failed",
    "Heartbeat send request failed",
    "Heartbeat failed for group %s: coordinator",
    "LeaveGroup request failed",
    "OffsetCommit failed for group %s due to a coordinator",
    "Attempt to fetch offsets for partition",
)

log = logging.getLogger("opportune.kafka")


@dataclass(slots=True)
class _Outage:
    began_s: float
    last_s: float
    held_back: int = 0


class Outages(logging.Handler):
    """The handler of aiokafka's loggers in a worker; see the module.

    Args:
        clock_s: monotonic seconds.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock_s = clock_s
        self._outages: dict[str, _Outage] = {}
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, or count it."""
        broker = broker_of(record)
        if broker is None or log.isEnabledFor(logging.DEBUG):
            log.handle(record)
            return
        now_s = self._clock_s()
        with self._guard:
            outage = self._outages.get(broker) or (next(iter(self._outages.values()), None) if not broker else None)
            if outage is not None:
                outage.last_s = now_s
                outage.held_back += 1
                return
            self._outages[broker] = _Outage(now_s, now_s)
        name = f"broker {broker}" if broker else "Kafka"
        log.error("%s does not answer, clients try again; more of this is held back: %s", name, record.getMessage())

    def poll(self) -> None:
        """Log which outages are over."""
        now_s = self._clock_s()
        # Logged after the lock is released: the log may be ours too, and would ask for it again.
        with self._guard:
            over = [(name, one) for name, one in self._outages.items() if now_s - one.last_s >= QUIET_S]
            for name, _ in over:
                del self._outages[name]
        for name, one in over:
            log.warning(
                "%s answers again after %.0f s; %d lines were held back",
                f"broker {name}" if name else "Kafka", one.last_s - one.began_s, one.held_back,
            )  # fmt: skip

    def watch(self) -> None:
        """Poll every second, in a thread of its own, for as long as the process lives."""

        def run() -> None:
            while True:
                time.sleep(1.0)
                self.poll()

        threading.Thread(target=run, name="outages", daemon=True).start()


def broker_of(record: logging.LogRecord) -> str | None:
    """Return the broker that a line says does not answer, "" where it names none; None for any other line."""
    text = str(record.msg)
    for begin, index in _OF_A_BROKER.items():
        if text.startswith(begin):
            values = record.args if isinstance(record.args, tuple) else ()
            return str(values[index]) if index < len(values) else ""
    return "" if text.startswith(_OF_ANY) else None


def hold_back_outages() -> Outages:
    """Take over what clients log in this process, aiokafka's and ours, and watch for the ends of outages."""
    outages = Outages()
    for name in ("aiokafka", "opportune.kafka.fetch"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.addHandler(outages)
    outages.watch()
    return outages

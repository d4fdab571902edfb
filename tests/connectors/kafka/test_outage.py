"""A broker that is away is told once, and once more when it is back, however many clients try how often."""

import logging
from collections.abc import Iterator

import pytest

from connectors.kafka.outage import QUIET_S, Outages


class Lines(logging.Handler):
    """What a worker's log shows."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@pytest.fixture
def world() -> Iterator[tuple[list[float], Outages, logging.Logger, Lines]]:
    clock, shown = [100.0], Lines()
    outages = Outages(lambda: clock[0])
    client, ours = logging.getLogger("aiokafka.client.test"), logging.getLogger("opportune.kafka")
    client.addHandler(outages)
    ours.addHandler(shown)
    yield clock, outages, client, shown
    ours.removeHandler(shown)
    client.removeHandler(outages)


def test_an_outage_is_one_line_and_its_end_another(world: tuple[list[float], Outages, logging.Logger, Lines]) -> None:
    clock, outages, client, shown = world
    for _ in range(30):
        for _ in range(20):
            client.error("Unable connect to node with id %s: %s", 1, "refused")
            client.error("Failed fetch messages from %s: %s", 1, "refused")
            client.warning("Got error produce response: %s", "timeout")
        clock[0] += 1
        outages.poll()
    clock[0] += QUIET_S
    outages.poll()
    outages.poll()

    assert shown.told == [
        "broker 1 does not answer, clients try again; more of this is held back: "
        "Unable connect to node with id 1: refused",
        "broker 1 answers again after 29 s; 1799 lines were held back",
    ]


def test_each_broker_has_its_own_outage_and_a_second_one_is_told_again(
    world: tuple[list[float], Outages, logging.Logger, Lines],
) -> None:
    clock, outages, client, shown = world
    client.warning("Cannot send %r to %s: %r", dict, 2, "closed")
    client.error("Unable connect to node with id %s: %s", 3, "refused")
    clock[0] += QUIET_S
    outages.poll()
    client.error("Unable connect to node with id %s: %s", 3, "refused")

    assert [one[:16] for one in shown.told] == ["broker 2 does no", "broker 3 does no", "broker 2 answers",
                                                  "broker 3 answers", "broker 3 does no"]  # fmt: skip


def test_other_lines_pass_as_they_are(world: tuple[list[float], Outages, logging.Logger, Lines]) -> None:
    _, _, client, shown = world
    client.warning("Heartbeat failed for group %s because it is rebalancing", "g")
    client.warning("Topic %s is not authorized for this client", "log")

    assert shown.told == [
        "Heartbeat failed for group g because it is rebalancing",
        "Topic log is not authorized for this client",
    ]

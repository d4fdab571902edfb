"""What was published before a partition was taken up reaches whoever takes it up; its outbox says where to begin."""

from types import SimpleNamespace

import orjson
import pytest

from connectors.contract import ReceiptState
from engine.config import Config
from engine.runtimes.cluster import exchange as module
from engine.runtimes.cluster.exchange import Exchange

SAID = [orjson.dumps({"receipt": ["smsc", f"m{number}", ReceiptState.DELIVERED.value, "", 0]}) for number in range(4)]


class TailStandIn:
    """The topic `receipts`, of which the first record is deleted."""

    def __init__(self, *_):
        self.at = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def first(self):
        return 1

    def seek(self, offset):
        self.at = offset

    async def to_end(self):
        yield [SimpleNamespace(value=value) for value in SAID[self.at :]]


class Listener:
    """A partition that awaits every receipt."""

    def __init__(self):
        self.heard = []
        self.core = SimpleNamespace(receipts=SimpleNamespace(awaits=lambda _: True))

    def noted(self, receipt):
        self.heard.append(receipt.gateway_message_id)


@pytest.mark.parametrize(("start", "heard"), [(0, ["m1", "m2", "m3"]), (3, ["m3"]), (4, [])])
async def test_who_takes_a_partition_up_hears_what_was_published_since(monkeypatch, start, heard):
    monkeypatch.setattr(module, "Tail", TailStandIn)
    exchange, listener = Exchange(Config(), None, None, None), Listener()
    exchange.position = len(SAID)
    await exchange.join(0, listener, start)

    assert listener.heard == heard
    assert exchange.listeners == {0: listener}

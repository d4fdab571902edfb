"""What was published before a partition was taken up reaches whoever takes it up; its outbox says where to begin."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from connectors.contract import Receipt, ReceiptState
from engine.runtimes.cluster.dispatch import exchange as module
from engine.runtimes.cluster.dispatch.exchange import Exchange
from engine.settings.config import Config
from tests.engine.cluster.standins import NOT_USED, TailStandIn

SAID = [orjson.dumps({"receipt": ["smsc", f"m{number}", ReceiptState.DELIVERED.value, "", 0]}) for number in range(4)]


class Listener:
    """A partition that awaits every receipt."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.core = SimpleNamespace(receipts=SimpleNamespace(awaits=lambda _: True))

    def note_receipt(self, receipt: Receipt) -> None:
        self.heard.append(receipt.gateway_message_id)


@pytest.mark.parametrize(("start", "heard"), [(0, ["m1", "m2", "m3"]), (3, ["m3"]), (4, [])])
async def test_who_takes_a_partition_up_hears_what_was_published_since(
    monkeypatch: pytest.MonkeyPatch, start: int, heard: list[str]
) -> None:
    monkeypatch.setattr(TailStandIn, "values", SAID)
    monkeypatch.setattr(TailStandIn, "kept_from", 1)
    monkeypatch.setattr(module, "Tail", TailStandIn)
    exchange = Exchange(Config(), NOT_USED, NOT_USED, NOT_USED)
    listener: Any = Listener()
    exchange.position = len(SAID)
    await exchange.join(0, listener, start)

    assert listener.heard == heard
    assert exchange.listeners == {0: listener}

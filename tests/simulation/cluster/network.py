"""The network after the gateways: what it takes, answers and says later; it outlives every worker.

`taken` and `doubtful` are the truth that the judges hold the workers' words against.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from connectors.contract import Message, Outcome, Receipt, ReceiptState, State
from tests.simulation.cluster.loop import LIFE, Life
from tests.simulation.cluster.net import Net

if TYPE_CHECKING:
    from tests.simulation.cluster.node import Node

AGAIN_S = 0.5


class Network:
    """Everything outside the workers."""

    def __init__(self, net: Net, fault_share: float) -> None:
        self._net = net
        self._chance = net.chance
        self.fault_share = fault_share
        self.taken: set[str] = set()
        self.doubtful: set[str] = set()
        self.nodes: list[Node] = []
        self.judge: Callable[[str, Message], None] = lambda *_: None
        self.closed: Callable[[str], None] = lambda _: None
        self.receipts: list[Receipt] = []
        self._flying: list[Life | None] = []
        self._count = 0

    def flying_of(self, node: "Node") -> bool:
        """Whether a text of a worker is on its way."""
        return node.life in self._flying

    async def send(self, gateway: str, message: Message) -> Outcome:
        """Take a text to the network and bring its answer back."""
        life = LIFE.get()
        future: asyncio.Future[Outcome] = self._net.loop.create_future()
        self._flying.append(life)

        def arrive() -> None:
            self._flying.remove(life)
            self.judge(gateway, message)
            outcome = self._outcome(gateway, message.decision_id)
            self._net.later(self._delay_s(), lambda: None if future.done() else future.set_result(outcome))

        self._net.later(self._delay_s(), arrive)
        return await future

    def _delay_s(self) -> float:
        return self._chance.choice((0.001, 0.01, 0.05, 0.3))

    def _outcome(self, gateway: str, decision: str) -> Outcome:
        self._count += 1
        chance, number = self._chance, self._count
        if chance.random() >= self.fault_share:
            self.taken.add(decision)
            self.closed(decision)
            self._expect_receipt(gateway, f"{gateway}{number}")
            return Outcome(State.ACCEPTED, "", (f"{gateway}{number}",))
        state = chance.choice((State.RETRY, State.REROUTE, State.PERMANENT, State.LINK_DOWN, State.UNKNOWN))
        if state is State.UNKNOWN:
            self.doubtful.add(decision)
            self.closed(decision)
            if chance.random() < 0.5:
                self.taken.add(decision)
        return Outcome(state, "0x58")

    # ---- receipts

    def _expect_receipt(self, gateway: str, message_id: str) -> None:
        if self._chance.random() < 0.5:
            state = self._chance.choice((ReceiptState.DELIVERED, ReceiptState.DELIVERED, ReceiptState.REJECTED))
            receipt = Receipt(gateway, message_id, state, "", self._net.wall_ms())
            self.receipts.append(receipt)
            self._net.later(self._chance.choice((0.0, 0.02, 0.5)), lambda: self._bring(receipt))

    def _bring(self, receipt: Receipt) -> None:
        """Bring a receipt to any worker, again until one has acknowledged it."""
        if receipt not in self.receipts or self._net.over:
            return
        nodes = [one for one in self.nodes if one.runs and receipt.gateway in one.gateways]
        if nodes:
            node = self._chance.choice(nodes)
            node.do(partial(self._hand_over, node.gateways[receipt.gateway].on_receipt, receipt))
        self._net.later(AGAIN_S, lambda: self._bring(receipt))

    async def _hand_over(self, on_receipt: Any, receipt: Receipt) -> None:
        try:
            await on_receipt(receipt)
        except Exception:  # noqa: BLE001 it is brought again
            self._net.broker.counted["a receipt was not taken"] += 1
            return
        if receipt in self.receipts:
            self.receipts.remove(receipt)

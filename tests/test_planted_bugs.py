"""Bugs on purpose in a kernel of features, in SMPP and in the desk's model: their tests find each.

A test that no bug fails proves nothing. The bugs of the engine as a whole are in `tests.simulation.plants`.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.planted import run_planted

FAILED = 1
"""Exit status of pytest when tests ran and some failed; others say that they could not run."""
_ORACLE = ("tests/oracle/test_books.py",)
_SMPP = tuple(
    f"tests/connectors/gateways/test_smpp_{part}.py" for part in ("codec", "coding", "receipts", "deliveries")
)
_DESK = ("tests/connectors/desk/test_model.py", "tests/connectors/desk/test_desk.py")


@dataclass(frozen=True)
class Plant:
    """A bug: what stands in a module, and what is put in its place; `tests` must find it."""

    module: str
    right: str
    wrong: str
    tests: tuple[str, ...]


PLANTS = {
    # features: a kernel with a bug is compiled, which takes minutes
    "a late event moves the latest match back": Plant(
        "state.features.kinds.since", "if updates and now > at:", "if updates:", _ORACLE
    ),
    # SMPP
    "parts are put together as they come": Plant(
        "connectors.gateways.smpp.segments", "for number in sorted(pieces))", "for number in pieces)", _SMPP
    ),
    "a parameter takes one octet too few": Plant(
        "connectors.gateways.smpp.codec",
        "value = body[at : at + length]",
        'value = body[at : at + length - 1] + b"\\0"',
        _SMPP,
    ),
    "a rejected text counts as delivered": Plant(
        "connectors.gateways.smpp.receipts",
        '("REJEC", ReceiptState.REJECTED)',
        '("REJEC", ReceiptState.DELIVERED)',
        _SMPP,
    ),
    "packed septets begin at no whole one after a header": Plant(
        "connectors.gateways.smpp.coding", "-header_octets * 8 % 7", "0", _SMPP
    ),
    # the desk's model
    "an answer to a card that has ended counts": Plant(
        "connectors.desk.changes",
        "    if card.state is not CardState.LIVE:\n        return panel, ruled",
        "    if False:\n        return panel, ruled",
        _DESK,
    ),
    "cards that go along with a move stay where they were, too": Plant(
        "connectors.desk.changes",
        "tuple(card for card in source.cards if card not in own)",
        "source.cards",
        _DESK,
    ),
    "a visit that ends takes its cards along": Plant(
        "connectors.desk.changes",
        "left = (*panel.left, *panel.live)",
        "left = panel.left",
        _DESK,
    ),
}
"""Bugs by what they do."""


@pytest.mark.parametrize("bug", PLANTS)
def test_a_planted_bug_fails_the_tests_of_its_module(bug: str, tmp_path: Path) -> None:
    plant = PLANTS[bug]

    status, output = run_planted(plant.module, plant.right, plant.wrong, plant.tests, tmp_path)

    assert status == FAILED, f"{bug}: pytest ended with {status}\n{output[-2000:]}"

"""Gates as one kernel: a chain in which each asks, and where it lets pass, the next one."""

from collections.abc import Callable
from typing import Any

from rules.gates.scene import Scene
from rules.gates.spec import Gate
from state.jit import part

Chain = Callable[[Any, Scene, int, int], tuple[int, int]]
"""(columns of each gate, scene, row, rule or pair) to (place of the gate that stops, 0 for none; its detail)."""


def chain_of(gates: tuple[Gate, ...], index: int = 0, *, again: bool = False) -> Chain:
    """Return a kernel that asks the gates from `index` on, until one stops; `again`: those that are asked again."""
    if index == len(gates):
        return _pass
    if again and not gates[index].again:
        return chain_of(gates, index + 1, again=True)
    gate, rest = gates[index], chain_of(gates, index + 1, again=again)
    stops = gate.stops_again if again and gate.stops_again is not None else gate.stops

    @part
    def ask(columns: Any, scene: Scene, row: int, of: int) -> tuple[int, int]:
        detail = stops(columns[index], scene, row, of)
        if detail >= 0:
            return index + 1, detail
        return rest(columns, scene, row, of)

    return ask


@part
def _pass(_columns: Any, _scene: Scene, _row: int, _of: int) -> tuple[int, int]:
    """Stop nothing: the end of a chain."""
    return 0, 0

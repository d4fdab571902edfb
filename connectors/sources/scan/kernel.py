"""Kernels over raw bytes: line ends, JSON lines, delimited lines."""

from state.jit import kernel
from state.raw import equal_mask64, ones


@kernel
def count_lines(address: int, length: int) -> int:
    """Count the line ends in `length` bytes; 64 bytes behind them must be readable."""
    count = 0
    at = 0
    while at + 64 <= length:
        count += ones(equal_mask64(address + at, 10))
        at += 64
    if at < length:
        count += ones(equal_mask64(address + at, 10) & ((1 << (length - at)) - 1))
    return count

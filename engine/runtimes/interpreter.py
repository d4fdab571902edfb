"""How a process shares the interpreter among its threads, and when it looks for garbage; both runtimes do it alike."""

import gc
import sys

SWITCH_INTERVAL_S = 0.0005
"""How soon a thread that computes in Python lets another one go on: kernels run without the interpreter and must have
it back soon, and a commit must not wait for a decode.
"""
GARBAGE_AFTER = 100_000
"""A turn makes tens of thousands of records and sends, none of them in a cycle: looking at them sooner only costs."""


def share() -> None:
    """Let threads have their turn soon."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def settle() -> None:
    """Leave all that is loaded out of later collections of garbage: each would stop every thread for some 90 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 100)

"""What does a book of 1,000 rules cost where it arrives, whole or in the pieces of `engine.book.transfer`?

A thread unpacks the book as the engine does; another one only waits for the interpreter, as the threads of the flow do.
Told are the CPU time of unpacking and the longest stretch of it, in CPU time of the unpacking thread, in which the
other one did not get the interpreter. So other work on the machine does not show.
"""

import argparse
import gc
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.book import transfer
from engine.book.compiled import CompiledBook, compile_texts
from engine.book.loader import PAUSE_S
from engine.runtimes.interpreter import share
from perf import books
from perf.report import RESULTS, keep, table
from rules.model import Book

RULES = 1_000
ROUNDS = 15
FILE = "rules-00000.toml"


def unpack(messages: Sequence[bytes], before: Book) -> None:
    """Unpack as `engine.book.loader` does."""
    unpacking = transfer.Unpacking(before)
    for message in messages:
        unpacking.take(message)
        time.sleep(PAUSE_S)


def cost(call: Callable[[], object]) -> tuple[float, float]:
    """Return CPU milliseconds of a call in a thread, and of the longest stretch that kept another thread waiting."""
    spent_s: list[float] = []
    clocks: list[int] = []
    ready, done, read = threading.Event(), threading.Event(), threading.Event()

    def run() -> None:
        clocks.append(time.pthread_getcpuclockid(threading.get_ident()))
        ready.set()
        time.sleep(0.01)
        began_s = time.thread_time()
        call()
        spent_s.append(time.thread_time() - began_s)
        done.set()
        read.wait()  # its clock goes with the thread

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    (clock,) = clocks
    last_s, longest_s = time.clock_gettime(clock), 0.0
    while not done.is_set():
        now_s = time.clock_gettime(clock)
        last_s, longest_s = now_s, max(longest_s, now_s - last_s)
    read.set()
    thread.join()
    return spent_s[0] * 1000, longest_s * 1000


def measure(compiled: CompiledBook, before: Book, rounds: int) -> dict[str, dict[str, float]]:
    """Return what a book costs in one message that holds all of it, and in pieces."""
    whole = transfer.packed(compiled)
    pieces = [*transfer.of_book(compiled.book, before), *transfer.of_program(compiled)]
    ways: dict[str, tuple[Sequence[bytes], Callable[[], object]]] = {
        "whole": ([whole], lambda: pickle.loads(whole)),
        "pieces": (pieces, lambda: unpack(pieces, before)),
    }
    return {way: _median(messages, [cost(call) for _ in range(rounds)]) for way, (messages, call) in ways.items()}


def _median(messages: Sequence[bytes], costs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    cpu_ms, held_ms = (sorted(column)[len(costs) // 2] for column in zip(*costs, strict=True))
    size = sum(map(len, messages))
    return {"messages": len(messages), "bytes": size, "cpu_ms": round(cpu_ms, 2), "held_ms": round(held_ms, 2)}


def main() -> None:
    """Measure a book with one changed rule, and one with all changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run in seconds, to see that it runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append the figures to")
    given = parser.parse_args()
    rules, rounds = (100, 3) if given.quick else (RULES, ROUNDS)
    share()
    before = books.sized(rules)
    base = compile_texts(before, None).book
    changed = {
        "one rule": {**before, FILE: books.sized(rules, 1, differ=1)[FILE]},
        "every rule": books.sized(rules, 1),
    }
    compiled = {kind: compile_texts(texts, base) for kind, texts in changed.items()}
    gc.collect()
    gc.freeze()
    found = {kind: measure(one, base, rounds) for kind, one in compiled.items()}
    rows = [(f"{kind} changed, {way}", *figures.values()) for kind in found for way, figures in found[kind].items()]
    print(table((f"{rules:,} rules", "messages", "bytes", "CPU ms", "longest hold ms"), rows))
    keep("transfer", {"rules": rules, "found": found}, path=given.results)


if __name__ == "__main__":
    main()

"""Benchmarks: one question a file, each a command; `perf/README.md` has the table of answers.

`lines` writes event files, `books` writes rule books, `product` runs the engine as the embedded runtime does but bare of
doors, `plain` is the same work as a plain Python program, `report` prints and keeps what was measured.
"""

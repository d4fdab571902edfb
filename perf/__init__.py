"""Benchmarks: one question a file, each a command; `perf/README.md` has the table of answers.

`lines` writes event files, `books` writes rule books, `product` runs the engine as the embedded runtime does but bare
of gateways and desk, `offered` sends events at a rate, `plain` is the same work as a plain Python program, `probes`
times functions, `measure` and `report` are what all benchmarks share.
"""

"""Backtest: recorded events once more, under the book that ran and under others, beside each other.

    log + journals ─► recorded ─► lane (one a book) ─► tally ─► side ─► table, CSV, NDJSON, page
                                    │   ▲
                          decisions └─► modelled ─► outcomes at the modelled time

Every book is a lane: the folds of all partitions in memory, on the log's clock. The lane of the book that ran takes the
log as it stands, so it decides what was decided live. Another book does so until it takes over. From then on it takes
no row that came of a decision it did not make (`derived`), and what it decided and the running book did not goes
through dispatch in memory (`modelled`), to gateways that accept at once.

Nothing is written into the data directory, and nothing is sent. An engine may run there meanwhile: the lanes read up to
where the logs ended when the backtest began. `run` gives each lane a process of its own.
"""

"""The nouns and their memory: events, subscribers, contacts, decisions, and the files that keep them.

Values: `schema` (types and fields), `batch` (events as columns), `texts`, `hashing`, `zone`, `decisions`.
Memory: `index` and `columns` (subscriber to slot, arrays by slot), `features` (one kind of rolling state a file),
`held_texts` (what their hashes say), `contacts`, `dedupe`; `strings` (the table of texts of format 1).
Disk: `disk` (files, real and simulated), `segments`, `frame`, `log`, `journal`, `packing` and `pages`, `store` (the
only module that knows RocksDB), `flusher` (memory to store and back).
Machine: `jit` and `raw`, which every kernel is made with; `listing` (kinds of anything, found by listing a folder).

Nothing here knows a rule, a source, a gateway or a clock; `rules`, `connectors` and `engine` build on it.
"""

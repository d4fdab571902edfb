"""A seeded operator's day: its subscribers, what they do, and how their events reach us.

Read in this order: `places` (cities, cells, handsets: plain tables), `population` (one column per trait of the
subscribers), `day` (columns of events in time order), `lines` (columns to NDJSON), `faults` (late, doubled and broken
lines), `send` (into files, a TCP socket or HTTP posts), `run` (one feed from plan to target). The options of
`opportune feed` are `engine.commands.feed`.

The same seed, sizes and date make the same bytes, on every machine. The wire names are those that the shipped
config.toml maps and the shipped book declares; a test holds the three together. Nothing here knows rules or state.
"""

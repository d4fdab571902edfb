"""Connectors: sources bring events in, gateways and the desk carry decisions out. Nothing is decided here.

`sources` has one folder a kind (files, http, kafka, tcp) beside what they share: the chunk, the mapping of fields, the
fast scanners and the strict path. `gateways` has one folder a kind (smpp, spool): these are the **sinks**, where a
decision leaves for a subscriber, and gateway is the one word for it. `desk` is the other way out, the clerk's page and
its queue; it is no sink, as its answers are part of the decision. Dead letters and outcomes leave by no connector: they
stay in the engine's log. `kafka` is what sources and the cluster share of that broker.

`contract` says what a gateway promises, `sources.contract` what a source does; `access` says which callers over HTTP
are let in; `secret` how a setting names a secret without holding it.

To add a gateway or a source, add one folder: see `gateways` and `sources`. A kind never imports another one, and
nothing here imports `rules`.
"""

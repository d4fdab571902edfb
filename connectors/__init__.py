"""The doors: sources bring events in, gateways and the desk carry decisions out. Nothing is decided here.

`sources` has one folder a kind (files, tcp, http) beside what they share: the chunk, the mapping of fields, the fast
scanners and the strict path behind them. `gateways` has one folder a kind (smpp, spool), each with the same files.
`desk` is the clerk's page and its queue. `contract` says what a gateway promises; `access` who may ask over HTTP;
`secret` is how a setting names a secret without holding it.

To add a gateway: a folder with config, codec, client and simulator, and its line in `gateways`. To add a source: a
folder with config and client, and its line in `engine.settings.config`. A door never imports another one, nor `rules`.
"""

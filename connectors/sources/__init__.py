"""The doors by which events come in, and the decoder that turns their bytes into columns.

`contract` says what a source hands over and what decoding gives back; `mapping` which field of a feed is which field
of the book; `decoder` puts the fast scanner (`scan.kernel`) before the strict path (`strict`). Each source is a
folder with the same files: `config` (its settings) and `client` (its life).

A new source is a new folder that makes `Chunk`s. Nothing here keeps state or decides anything.
"""

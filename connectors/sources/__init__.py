"""Sources: where events come in, and the decoder that turns their bytes into columns. One folder a kind, by listing.

    config     `Config`, a `connectors.sources.config.SourceConfig` whose `kind` is the folder's name
    client     the `Source` of `connectors.sources.contract`: pulled, pushing or served; it makes `Chunk`s of lines

A folder's package exports `Config` and `open_source(config, opening)`; its docstring is the kind's documentation. To
add a kind, add such a folder: the settings (`sources.KIND`) and the embedded runtime find it
(`tests/connectors/test_one_folder_a_source.py`). `kafka` is read by the cluster's workers as a group, see there.

Shared by all kinds: `contract` (what a source promises and what decoding gives back), `mapping` (which field of a feed
is which field of the book), `decoder` (the fast scanner in `scan` first, then the strict path in `strict`: lines as
names and values by `pairs`, times by `times`), `replay` (the folder from which lines are read again). Nothing here
keeps state or decides anything.
"""

from types import ModuleType

from state.listing import folders_in


def kinds() -> dict[str, ModuleType]:
    """Return the package of every kind of source, by the kind's name, in alphabetical order."""
    return {name: package for name, package in folders_in(__name__).items() if hasattr(package, "Config")}

"""Files in a watched directory, plain or gzip, read by position.

`config` the directory's settings, `names` which file is which, `lines` whole lines of one file, `client` the source.
"""

from connectors.sources.contract import Opening, Source
from connectors.sources.files.config import FilesConfig as Config

__all__ = ["Config", "open_source"]


def open_source(config: Config, opening: Opening) -> Source:
    """Return the directory's source, not started."""
    from connectors.sources.files.client import FilesSource  # noqa: PLC0415 the settings need no kernels

    return FilesSource(config, opening.positions, drain=opening.drain)

"""Events by HTTP POST, over a route of the engine's HTTP front.

`config` the route's settings, `client` the source.
"""

from connectors.sources.contract import Opening, Source
from connectors.sources.http.config import HttpConfig as Config

__all__ = ["Config", "open_source"]


def open_source(config: Config, opening: Opening) -> Source:
    """Return the route's source, not served yet."""
    from connectors.sources.http.client import HttpSource  # noqa: PLC0415 the settings need no kernels

    return HttpSource(config, opening.intake)

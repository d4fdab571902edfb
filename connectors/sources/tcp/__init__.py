"""Lines over TCP: a port on which any number of senders write events, one a line.

`config` the listener's settings, `client` the source.
"""

from connectors.sources.contract import Opening, Source
from connectors.sources.tcp.config import TcpConfig as Config

__all__ = ["Config", "open_source"]


def open_source(config: Config, opening: Opening) -> Source:
    """Return the listener, not started."""
    from connectors.sources.tcp.client import TcpSource  # noqa: PLC0415 the settings need no kernels

    return TcpSource(config, opening.intake)

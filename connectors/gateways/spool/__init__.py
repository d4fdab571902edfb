"""A spool: messages as lines of a file, the default gateway.

`config` the folder, `codec` the lines, `client` the gateway, `simulator` the other side.
"""

from connectors.gateways.spool.client import SpoolGateway as Gateway
from connectors.gateways.spool.config import SpoolConfig as Config

__all__ = ["Config", "Gateway"]

"""SMPP 3.4: texts through a message centre, receipts and replies back.

`config` the account, `codec` the bytes, `link` one connection, `client` the gateway, `submits` texts on their way,
`deliveries` what the centre brings (`receipts`, `coding` and `segments` read it), `simulator` a message centre.
"""

from connectors.gateways.smpp.client import SmppGateway as Gateway
from connectors.gateways.smpp.config import SmppConfig as Config

__all__ = ["Config", "Gateway"]

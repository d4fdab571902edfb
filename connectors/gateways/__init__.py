"""Doors to subscribers that take a text: one folder a kind, each with the same files.

    config     the settings, a pydantic model whose `kind` is the folder's name
    codec      bytes or lines to values and back, pure
    client     the `Gateway` of `connectors.contract`
    simulator  the other side, to demonstrate and test against: `python -m connectors.gateways.KIND.simulator`

A folder's package exports `Config` and `Gateway`. A new kind is a new folder and its line in this registry; nothing
else learns of it. `text` and `pace` serve every kind.
"""

from typing import Annotated

from pydantic import Field

from connectors.contract import Gateway, NowMs
from connectors.gateways import smpp, spool

GatewayConfig = Annotated[smpp.Config | spool.Config, Field(discriminator="kind")]
"""The settings of one gateway of any kind."""


def open_gateway(name: str, config: GatewayConfig, now_ms: NowMs) -> Gateway:
    """Return the gateway that `config` describes, not started."""
    if isinstance(config, smpp.Config):
        return smpp.Gateway(name, config, now_ms)
    return spool.Gateway(name, config, now_ms)

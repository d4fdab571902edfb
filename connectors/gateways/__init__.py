"""Gateways, the sinks of this product: what takes a text to a subscriber. One folder a kind, found by listing.

    config     `Config`, a `connectors.gateways.config.GatewayConfig` whose `kind` is the folder's name, with an example
    codec      bytes or lines to values and back, pure
    client     `Gateway(name, config, now_ms)`, the `Gateway` of `connectors.contract`
    simulator  the other side, to demonstrate and test against: `python -m connectors.gateways.KIND.simulator`

A folder's package exports `Config` and `Gateway`; its docstring is the kind's documentation. To add a kind, add such a
folder: the settings, both runtimes and `config.toml` (`make config`) find it
(`tests/connectors/test_one_folder_a_gateway.py`). `text` and `pace` serve every kind.
"""

from types import ModuleType
from typing import Annotated, Any, Union

from pydantic import Field

from connectors.contract import Gateway, GatewayError, NowMs
from connectors.gateways.config import GatewayConfig
from state.listing import folders_in


def kinds() -> dict[str, ModuleType]:
    """Return the package of every kind of gateway, by the kind's name, in alphabetical order."""
    return {name: package for name, package in folders_in(__name__).items() if hasattr(package, "Gateway")}


def settings_type() -> Any:
    """Return the type of one gateway's settings, whatever its kind: a union that pydantic tells apart by `kind`."""
    models = tuple(package.Config for package in kinds().values())
    return Annotated[Union[models], Field(discriminator="kind")]  # noqa: UP007 - the members are found, not written


def open_gateway(name: str, config: GatewayConfig, now_ms: NowMs) -> Gateway:
    """Return the gateway that `config` describes, not started; GatewayError when no folder has its kind."""
    known = kinds()
    if config.kind not in known:
        raise GatewayError(f"gateway {name}: kind={config.kind!r} must be one of {', '.join(known)}")
    gateway: Gateway = known[config.kind].Gateway(name, config, now_ms)
    return gateway

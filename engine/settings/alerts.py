"""Where alerts go: to a number of their own, or as lines and requests, and never to the subscriber they are about."""

from collections.abc import Iterator

from connectors.contract import GatewayError
from engine.settings.config import ChannelConfig, Config
from rules.model import Book


def alert_route(config: Config, channel: ChannelConfig) -> Iterator[str]:
    """Yield the gateways of an alert channel that have somebody to send its alerts to."""
    for name in (channel.gateway, *channel.reroute):
        if channel.destination or not config.gateways[name].addresses_numbers:
            yield name


def lost_alerts(config: Config, book: Book) -> Iterator[tuple[str, str]]:
    """Yield (channel, fault) of every alert channel with a gateway that would not know whom to send its alerts to."""
    for name, channel in config.channels.items():
        if name in book.channels and book.channels[name].kind == "alert":
            routed = set(alert_route(config, channel))
            lost = [one for one in (channel.gateway, *channel.reroute) if one not in routed]
            if lost:
                kind = config.gateways[lost[0]].kind
                yield (
                    name,
                    f"channels.{name}.destination is missing: gateway {lost[0]!r} is of kind {kind!r} and sends to "
                    f"numbers, and an alert never goes to the subscriber that it is about",
                )


def check_alerts(config: Config, book: Book) -> None:
    """Raise GatewayError, with the first fault, when a gateway would not know whom to send alerts to."""
    for _, fault in lost_alerts(config, book):
        raise GatewayError(fault)

"""How dispatch behaves, as plain values; `policy_of` makes it from the configuration.

What needs the book (which channels are the desk's) is passed in. Nothing here reads files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from engine.dispatch.optout import OptOutWords
from engine.settings.config import Config
from engine.settings.send_windows import SendWindow
from rules.catalogue import OPT_OUT_LIST

DESK = "desk"
"""Name of the desk among the doors; no gateway may have it."""


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """How one channel is sent. `route` names doors, the preferred one first; times in milliseconds; quota None: any."""

    route: tuple[str, ...]
    source_address: str = ""
    windows: tuple[SendWindow, ...] = ()
    quota_per_day: int | None = None
    rate_per_s: float = inf
    attempts_max: int = 5
    retry_ms_min: int = 2_000
    retry_ms_max: int = 300_000
    destination: str = ""
    """Where an alert goes: it is told about its subscriber, never to it. Empty for what goes to its subscriber."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How everything is sent."""

    channels: Mapping[str, ChannelPolicy]
    zone: str = "Asia/Shanghai"
    gateway_rates: Mapping[str, float] = field(default_factory=dict)
    campaign_quotas: Mapping[str, int] = field(default_factory=dict)
    queue_max: int = 100_000
    in_flight_max: int = 1_000
    resend_unknown_service: bool = False
    """Whether a service message whose outcome is unknown is sent again; a commercial one never is."""
    receipt_keep_ms: int = 72 * 3_600_000
    awaited_max: int = 500_000
    optout: OptOutWords = field(default_factory=OptOutWords)
    """Reads what replies ask for."""
    optout_confirmation: str = ""
    """The text that confirms an opt-out; empty for none."""

    @property
    def channel_rates(self) -> Mapping[str, float]:
        """Messages a second, by channel."""
        return {name: channel.rate_per_s for name, channel in self.channels.items()}


def policy_of(config: Config, zone: str, desk_channels: Iterable[str], lists: Iterable[str] = ()) -> Policy:
    """Return the policy of a configuration; channels of the desk need no settings.

    `lists` are those of the book: a list `optout.NAME` lets a reply leave the service NAME alone.
    """
    services = [name.removeprefix(f"{OPT_OUT_LIST}.") for name in lists if name.startswith(f"{OPT_OUT_LIST}.")]
    channels = {name: ChannelPolicy((DESK,)) for name in desk_channels}
    for name, channel in config.channels.items():
        if name not in channels:
            channels[name] = ChannelPolicy(
                (channel.gateway, *channel.reroute),
                channel.source_address,
                channel.windows,
                channel.quota_per_day or None,
                channel.rate_per_s,
                channel.attempts_max,
                channel.retry_ms_min,
                channel.retry_ms_max,
            )
    return Policy(
        channels,
        zone,
        {name: gateway.rate_per_s for name, gateway in config.gateways.items()},
        queue_max=config.dispatch.queue_max,
        in_flight_max=config.dispatch.in_flight_max,
        optout=OptOutWords(config.dispatch.optout_words, config.dispatch.optin_words, services),
        optout_confirmation=config.dispatch.optout_confirmation,
    )

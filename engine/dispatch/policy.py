"""How dispatch behaves, as plain values; `policy_of` makes it from the configuration.

What needs the book (which channels are the desk's) is passed in. Nothing here reads files.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from engine.dispatch.model import Decided
from engine.dispatch.optout import OptOutWords
from engine.dispatch.quiet import quiet_until_ms
from engine.settings.alerts import alert_route
from engine.settings.config import Config
from engine.settings.send_windows import SendWindow
from rules.catalogue import OPT_OUT_LIST
from rules.model import Quiet
from state.numbers import NO_PLAN, NumberPlan

NOTICE_RULE = "optout"
"""What stands for a rule in a text that no rule decided: one that confirms an opt-out."""
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
    alert: bool = False
    """Whether what goes here is about its subscriber, and never to it."""
    destination: int = 0
    """The number that alerts go to; 0 where they go as lines or requests."""


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
    book: str = ""
    """The version of the active book."""
    rules: Mapping[str, bool] | None = None
    """The rules of the active book, and whether each may send: enabled, and not in shadow. What waits by another ends.
    None: all may go."""
    words: Callable[[Decided], Decided] | None = None
    """Words a decision of an earlier book anew; None: all go as they were worded."""
    numbers: NumberPlan = NO_PLAN
    """How the numbers of those who reply are read."""
    quiet: Quiet | None = None
    """The quiet hours of the active book; None: it has none."""
    optout_confirmation: str = ""
    """The text that confirms an opt-out; empty for none."""

    def lost_rule(self, rule: str) -> str:
        """Return why nothing of a rule may go any more; empty where it may."""
        if self.rules is None or rule == NOTICE_RULE or self.rules.get(rule, False):
            return ""
        return "RULE_DISABLED" if rule in self.rules else "RULE_GONE"

    def quiet_until_ms(self, what: Decided, now_ms: int) -> int:
        """Return until when a text must wait for its subscriber's quiet hours to end; `now_ms` where it may go.

        Cards wait for nobody, and an alert does not go to its subject.
        """
        if self.quiet is None:
            return now_ms
        channel = self.channels.get(what.channel)
        if channel is None or channel.alert or channel.route == (DESK,):
            return now_ms
        return quiet_until_ms(self.quiet, what.facts, now_ms)

    @property
    def channel_rates(self) -> Mapping[str, float]:
        """Messages a second, by channel."""
        return {name: channel.rate_per_s for name, channel in self.channels.items()}


def policy_of(
    config: Config,
    zone: str,
    desk_channels: Iterable[str],
    lists: Iterable[str] = (),
    alert_channels: Collection[str] = (),
) -> Policy:
    """Return the policy of a configuration; channels of the desk need no settings.

    An alert channel without a destination goes by gateways alone that address no numbers; where it has none, it is left
    out, so its decisions are refunded: an alert never goes to its subject.
    `lists` are those of the book: a list `optout.NAME` lets a reply leave the service NAME alone.
    """
    services = [name.removeprefix(f"{OPT_OUT_LIST}.") for name in lists if name.startswith(f"{OPT_OUT_LIST}.")]
    channels = {name: ChannelPolicy((DESK,)) for name in desk_channels}
    for name, channel in config.channels.items():
        alert = name in alert_channels
        route = tuple(alert_route(config, channel) if alert else (channel.gateway, *channel.reroute))
        if name not in channels and route:
            channels[name] = ChannelPolicy(
                route,
                channel.source_address,
                channel.windows,
                channel.quota_per_day or None,
                channel.rate_per_s,
                channel.attempts_max,
                channel.retry_ms_min,
                channel.retry_ms_max,
                alert,
                int(channel.destination or 0) if alert else 0,
            )
    return Policy(
        channels,
        zone,
        {name: gateway.rate_per_s for name, gateway in config.gateways.items()},
        queue_max=config.dispatch.queue_max,
        in_flight_max=config.dispatch.in_flight_max,
        optout=OptOutWords(config.dispatch.optout_words, config.dispatch.optin_words, services),
        numbers=config.numbers.plan(),
        optout_confirmation=config.dispatch.optout_confirmation,
    )

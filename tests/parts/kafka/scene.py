"""What the chaos plays with: its book, its settings, and who is who.

Three groups of subscribers never meet. Those of the **feed** (`perf.lines`) are told by `sms`, which refunds nothing:
they must be decided exactly as one machine alone decides them. Those with **tickets** are told by `few`, which has a
quota and a short shelf life, and by `slow`, which has a rate; some of their numbers are refused. Refunds free their
caps whenever they come, so only caps and ends can be judged. **Visitors** come to a counter and get a card each.
"""

from dataclasses import dataclass
from pathlib import Path

from perf import books
from rules.load import load_text
from tests.parts.kafka.judge import DAY_MS, HOUR_MS, SMALL_BOOK, CapTerms, Groups
from tests.parts.kafka.judge_ends import Terms
from tests.parts.smsc.centre import channel_settings, gateway_settings

QUOTA, SLOW_PER_S, SMS_PER_S, FEW_PER_S, WINDOW = 160, 10, 200, 50, 10
IN_DOUBT_MAX = WINDOW + (SLOW_PER_S + SMS_PER_S + FEW_PER_S) // 10
"""What one dispatcher that stops leaves UNKNOWN at most: a window of texts without an answer, and, answered but not yet
committed as answered, what its rates let go at once: a tenth of a second's."""
SOURCES = {"sms": "10086", "slow": "10087", "few": "10088"}

BOOK = {
    "book.toml": books.small()["book.toml"],
    "chaos.toml": """
campaign = "chaos"
[channels.few]
kind = "sms"
[channels.slow]
kind = "sms"
[channels.desk]
per_event_max = 3
[offers.few]
title = "few"
[offers.slow]
title = "slow"
[offers.desk]
title = "desk"
[events.ticket]
fields = { kind = "string!", number = "int!" }
"""
    + "".join(
        f"""
[[rule]]
id = "on-{name}"
on = "ticket"
when = "kind == '{name}'"
offer = "{name}"
channels = ["{name}"]
cap = ["2 per 1d"]
{life}
reason = "ticket"
text.{name} = "ticket {{number}}"
"""
        for name, life in (("few", 'shelf_life = "8s"'), ("slow", ""))
    )
    + """
[[rule]]
id = "on-visit"
on = "visit"
when = "open"
offer = "desk"
channels = ["desk"]
cap = ["1 per 7d"]
shelf_life = "20s"
reason = "visit"
""",
}
DESK = """
[desk]
queue = "redis"
card_life_ms = 20000
heartbeat_ms = 1000
retry_ms = 500
sweep_ms = 250
[desk.redis]
url = "{redis}"
timeout_ms = 500
settle_ms = 1000
recall_ms = 120000
"""
TICKET_CAPS = (CapTerms("tickets: 3 per day", 3, 0), CapTerms("tickets: rule: 2 per 1d", 2, DAY_MS, each_rule=True))
CARD_CAPS = (CapTerms("cards: rule: 1 per 7d", 1, 168 * HOUR_MS, each_rule=True),)


@dataclass(frozen=True, slots=True)
class Rules:
    """The book's rules by their numbers in the records: texts of the feed's, channels of the tickets', the visit's.

    `ticket_fact` is the place of a ticket's number among its facts.
    """

    feed: dict[int, str]
    tickets: dict[int, str]
    visit: int
    ticket_fact: int

    @property
    def groups(self) -> Groups:
        """How the judge counts them."""
        return Groups(
            feed=frozenset(self.feed),
            feed_caps=SMALL_BOOK,
            tickets=frozenset(self.tickets),
            ticket_fact=self.ticket_fact,
            caps={frozenset(self.tickets): TICKET_CAPS, frozenset({self.visit}): CARD_CAPS},
        )


def rules() -> Rules:
    """Return the rules; a ticket rule has the name of its channel, one of the feed its text."""
    by_name = {one.id: one for one in load_text(BOOK).rules}
    feed = {one.stable_id: f"text {int(name[1:])}" for name, one in by_name.items() if name[1:].isdigit()}
    tickets = {by_name[f"on-{name}"].stable_id: name for name in ("few", "slow")}
    (fact,) = {[fact.name for fact in by_name[f"on-{name}"].facts].index("number") for name in ("few", "slow")}
    return Rules(feed, tickets, by_name["on-visit"].stable_id, fact)


def terms(unknown_max: int) -> Terms:
    """Return what texts are bound by."""
    rates = {SOURCES[name]: rate for name, rate in (("sms", SMS_PER_S), ("slow", SLOW_PER_S), ("few", FEW_PER_S))}
    return Terms({SOURCES["few"]: QUOTA}, rates, unknown_max)


def settings(folder: Path, smsc_port: int, redis_url: str) -> str:
    """Return the settings of dispatch and desk; leaves the centre's password in `folder`, where workers run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "smsc-password").write_text("secret", encoding="utf-8")
    rates = {"sms": SMS_PER_S, "slow": SLOW_PER_S, "few": FEW_PER_S}
    channels = (
        channel_settings(name, SOURCES[name], rate, QUOTA if name == "few" else 0) for name, rate in rates.items()
    )
    gateway = gateway_settings(smsc_port, '{ file = "smsc-password" }', WINDOW)
    return "".join((gateway, *channels, DESK.format(redis=redis_url)))

"""Rule books for benchmarks, as TOML text: small (8 features, 8 rules), large (20 and 100), and of any size.

About one event in a hundred is a candidate in each. Thresholds were chosen for `perf.lines`.
"""

HEAD = """
campaign = "perf"

[book]
zone = "Asia/Shanghai"
max_age = "30000d"
cap = ["3 per day"]

[channels.sms]
kind = "sms"
cap = ["2 per 1h"]

[campaigns.perf]
cap = ["6 per 7d"]

[areas.fair]
cells = [{cells}]

[events.call]
fields = {{ kind = "string!", seconds = "int!", direction = "string", cell = "string", city = "string" }}
[events.data]
fields = {{ kbytes = "int!", seconds = "int", apn = "string", app = "string", cell = "string" }}
[events.move]
fields = {{ cell = "string!", city = "string", cause = "string", rat = "string", level = "int" }}
[events.charge]
fields = {{ amount_fen = "int!", sp = "string", service = "string", balance = "float", settled = "bool" }}
"""

OFFERS = 8
"""Of which the small book's rules have one each, since one offer does not go again while it waits."""
FAIR = tuple(f"28001-{10_000 + cell}" for cell in range(100))

SMALL_FEATURES = """
[features.calls_hour]
count = "call"
over = "1h"
[features.long_calls]
count = "call"
where = "kind == 'long_distance'"
over = "ever"
[features.seconds_hour]
sum = "call.seconds"
over = "1h"
[features.kbytes_10m]
sum = "data.kbytes"
over = "10m"
[features.kbytes_today]
sum = "data.kbytes"
over = "today"
[features.cell_before]
previous = "move.cell"
[features.fees_hour]
sum = "charge.amount_fen"
over = "1h"
[features.since_charge]
since = "charge"
"""

MORE_FEATURES = """
[features.longest]
max = "call.seconds"
over = "1d"
[features.shortest]
min = "call.seconds"
over = "1d"
[features.first_city]
first = "call.city"
[features.cities]
distinct = "call.city"
over = "1d"
[features.mt_calls]
count = "call"
where = "direction == 'mt'"
over = "2h"
[features.wap]
sum = "data.kbytes"
where = "apn == 'cmwap'"
over = "1d"
[features.data_largest]
max = "data.kbytes"
over = "this month"
[features.apps]
distinct = "data.app"
over = "1h"
[features.last_cause]
last = "move.cause"
[features.moves_10m]
count = "move"
over = "10m"
[features.since_move]
since = "move"
[features.balance_least]
min = "charge.balance"
over = "7d"
"""

SMALL_RULES = (
    ("call", "kind == 'long_distance' and long_calls == 2"),
    ("call", "calls_hour >= 3 and seconds > 200"),
    ("data", "kbytes > 3000 and kbytes_10m > 4000"),
    ("data", "apn == 'cmwap' and kbytes_today > 6000"),
    ("move", "in_area(cell, 'fair') and known(cell_before) and not in_area(cell_before, 'fair')"),
    ("move", "cause == 'roam' and calls_hour >= 4"),
    ("charge", "amount_fen > 2000 and fees_hour >= 6000"),
    ("charge", "since_charge < '1m' and amount_fen > 900"),
)

MORE_RULES = (
    ("call", "seconds > {a} and calls_hour >= 6"),
    ("call", "kind == 'roam' and seconds_hour > {b}"),
    ("data", "kbytes > {c} and kbytes_10m > 5000"),
    ("data", "app == 'video' and wap > {d}"),
    ("move", "cell == '28001-{e}' and moves_10m >= 1"),
    ("move", "level > {f} and since_move < '30s'"),
    ("charge", "amount_fen > {g} and fees_hour >= 5000"),
    ("charge", "service == 'game' and balance_least < 1.0 and amount_fen > {g}"),
)


def small() -> dict[str, str]:
    """Return the book of 8 features and 8 rules."""
    return {"book.toml": _head() + SMALL_FEATURES + _rules(SMALL_RULES)}


def large() -> dict[str, str]:
    """Return the book of 20 features and 100 rules."""
    return {"book.toml": _head() + SMALL_FEATURES + MORE_FEATURES + _rules(SMALL_RULES + more_rules(92))}


def sized(rules: int, variant: int = 0, differ: int | None = None) -> dict[str, str]:
    """Return a book of 20 features and many rules, in files of 100 rules.

    Variants differ in a threshold of their first `differ` rules, by default of all.
    """
    texts = {"a.toml": _head() + SMALL_FEATURES + MORE_FEATURES}
    differ = rules if differ is None else differ
    all_rules = more_rules(rules, variant)[:differ] + more_rules(rules)[differ:]
    for start in range(0, rules, 100):
        texts[f"rules-{start:05d}.toml"] = 'campaign = "perf"\n' + _rules(all_rules[start : start + 100], start)
    return texts


def more_rules(count: int, variant: int = 0) -> tuple[tuple[str, str], ...]:
    """Return rules of two predicates, of which few hold."""
    made = []
    for number in range(count):
        on, when = MORE_RULES[number % len(MORE_RULES)]
        k = number // len(MORE_RULES)
        values = {
            "a": 500 + 10 * k + variant, "b": 4_000 + 20 * k + variant, "c": 5_000 + 50 * k + variant,
            "d": 30_000 + 100 * k + variant, "e": 10_000 + (37 * k + variant) % 20_000, "f": 400 + 5 * k + variant,
            "g": 5_000 + 50 * k + variant,
        }  # fmt: skip
        made.append((on, when.format(**values)))
    return tuple(made)


def _head() -> str:
    offers = "".join(f'[offers.o{number}]\ntitle = "offer {number}"\n' for number in range(OFFERS))
    return HEAD.format(cells=", ".join(f'"{cell}"' for cell in FAIR)) + offers


def _rules(rules: tuple[tuple[str, str], ...], first: int = 0) -> str:
    return "".join(
        f'[[rule]]\nid = "r{first + number:04d}"\non = "{on}"\nwhen = "{when}"\noffer = "o{number % OFFERS}"\n'
        f'channels = ["sms"]\n'
        f'priority = {99 - number % 100}\ncap = ["1 per 7d"]\nreason = "rule {number}"\ntext.sms = "text {number}"\n'
        for number, (on, when) in enumerate(rules, first)
    )

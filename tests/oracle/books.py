"""Made-up rule books and event streams: each feature, rule and event from a number of its own.

Numbers, not objects, are what Hypothesis draws, so a failing example shrinks by leaving out features, rules and events
that do not matter; the others stay as they were. A book is made as TOML text and read by the loader. Equal numbers make
equal features and rules, so two books made of overlapping numbers are a book and its reload.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.oracle.asked import questions, sequence_text
from tests.oracle.expressions import FILLERS, KEPT, LISTS, SERVICES, Names, Writer, quoted
from tests.oracle.placed import areas_text, settled_text, stay_text

INTS = (0, 1, -1, 2, 3, 7, 60, 600_000, -(1 << 63), (1 << 63) - 1, (1 << 53) + 1, 1 << 62, 1 << 32)
FLOATS = (0.0, -0.0, 1.5, -2.5, 1e308, -1e308, 5e-324, 3.0, 0.1, 1 / 3, 1e16, float((1 << 53) + 2))
CHANNELS = ("sms", "desk", "alert", "push")
CAMPAIGNS = ("care", "sale")
CATEGORIES = ("care", "sales")
OFFERS = ("bundle", "upgrade", "plain")
WINDOWS = ("1m", "7m", "10m", "30m", "1h", "12h", "18h", "1d", "7d", "30d", "today", "this month", "ever", "ever")
ASKING = [*["call"] * 8, *["visit"] * 3, "data", "data", "move", "profile", "list", "outcome", "answer"]
"""The events that rules are asked about."""
FIELDS = {
    "call": {
        "kind": "string",
        "seconds": "int",
        "amount": "float",
        "roaming": "bool",
        "begun": "time",
        "cell": "string",
    },
    "data": {"apn": "string", "kbytes": "int", "spent": "float", "heavy": "bool"},
    "move": {"place": "string", "left": "time"},
}
ATTRIBUTES = {"brand": "string", "level": "int", "score": "float", "gold": "bool", "joined": "time", "services": "set"}
BUILT_IN = {
    "list": {"list": "string", "member": "bool", "until": "time", "for_ms": "int"},
    "visit": {"terminal": "string", "visit": "string", "open": "bool"},
    "outcome": {
        "position": "int",
        "row": "int",
        "rule": "int",
        "state": "int",
        "gateway": "string",
        "contact_ms": "time",
    },
    "answer": {"card": "string", "answer": "string", "row": "int"},
    "due": {"armed": "time"},
}


@dataclass(frozen=True)
class Shape:
    """What a whole book is made of; see `book_text`."""

    zone: str
    head: int
    features: tuple[int, ...]
    rules: tuple[int, ...]
    values: tuple[int, ...] = ()
    lists: int = 3
    members: int = 4

    @property
    def spare(self) -> str:
        """The kind of the field `spare` of `call`, which a reload may change."""
        return ("int", "float", "string", "bool")[self.head % 4]

    @property
    def is_wide(self) -> bool:
        """Whether the book has more lists and services than a word has bits, which a reload may bring or take away."""
        return self.head % 4 == 0

    @property
    def has_ping(self) -> bool:
        """Whether the book has the event type `ping`, which a reload may bring or take away."""
        return self.head % 3 == 0


def fields_of(event: str) -> dict[str, str]:
    """The fields of an event type by the words of the grammar; none of no type."""
    if not event:
        return {}
    if event == "profile":
        return ATTRIBUTES
    return FIELDS.get(event) or BUILT_IN[event]


def shuffled(random: Random, named: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names in any order: what a book declares first gets the lower number."""
    return random.sample(list(named.items()), len(named))


def scope(
    event: str,
    features: Iterable[tuple[str, str]],
    has_lists: bool,
    values: Sequence[tuple[str, str]] = (),
    questions: tuple[str, ...] = (),
    *,
    knows_places: bool = False,
) -> Names:
    """The names that a rule (or, without features, a `where`) on an event type may use; without a type, a value."""
    by_kind: dict[str, list[str]] = {}
    own = {f"profile.{name}": kind for name, kind in ATTRIBUTES.items()} if event == "profile" else fields_of(event)
    for name, kind in (*own.items(), *ATTRIBUTES.items(), *features, *values):
        by_kind.setdefault(kind, []).append(name)
    if event == "call":
        by_kind["of any kind"] = ["spare"]
    if questions:
        told = [*(own if event not in ("due", "list") else ()), *ATTRIBUTES]
        questions = (*questions, *(f"changed({name})" for name in told))
    return Names(by_kind, has_lists, frozenset(name for name, _ in values), questions, knows_places)


def feature_text(seed: int, has_lists: bool) -> tuple[str, str, str]:
    """Name, kind of value and TOML of a feature."""
    random = Random(seed)
    name = f"f{seed}"
    if random.random() < 0.1:
        return settled_text(seed, random, fields_of, lambda event: Writer(random, scope(event, (), has_lists)))
    kind = random.choice(["count", "sum", "min", "max", "last", "previous", "first", "distinct", "since"])
    event = random.choice(["call", "call", "call", "data", "data", "move", "profile", "visit", "list", "outcome"])
    allowed = {"sum": ("int", "float"), "min": ("int", "float", "time"), "max": ("int", "float", "time")}
    wanted = allowed.get(
        kind, ("int", "float", "string", "bool", "time", "set" if kind in ("last", "previous", "first") else "")
    )
    fields = [(field, word) for field, word in fields_of(event).items() if word in wanted]
    if not fields and kind in allowed:
        event, fields = "call", [("seconds", "int")]
    if kind == "count" and event == "call":
        fields.append(("spare", "int"))
    bare = kind not in (*allowed, "distinct") and random.random() < 0.25
    field, word = ("", "time") if bare else random.choice(fields)
    lines = [f"[features.{name}]", f"{kind} = {quoted(f'{event}.{field}' if field else event)}"]
    if random.random() < 0.4:
        lines.append(f"where = {quoted(Writer(random, scope(event, (), has_lists)).condition(2))}")
    over = random.choice(WINDOWS)
    lines.append(f"over = {quoted(over)}")
    if over[0].isdigit() and random.random() < 0.7:
        lines.append(f"panes = {random.choice([1, 2, 3, 5, 12, 24, 30, 32])}")
    if kind != "since" and random.random() < 0.15:
        lines.append(f'since = "{random.choice(["30m", "1d", "9d", "2008-11-05", "1970-01-01"])}"')
    value = "int" if kind in ("count", "distinct") else "duration" if kind == "since" else word
    return name, value, "\n".join(lines) + "\n"


def values_of(
    seeds: Sequence[int], features: Sequence[tuple[str, str]], has_lists: bool, sequences: Sequence[str]
) -> tuple[list[tuple[str, str, str]], str]:
    """Name, kind and event type ("" for any) of each value, and the TOML of all; one may stand on those before it."""
    made: list[tuple[str, str, str]] = []
    lines = []
    for seed in seeds:
        random = Random(seed)
        event = random.choice(["call", "call", "data", "", ""])
        below = [(name, kind) for name, kind, on in made if on in ("", event)]
        asked = questions(seed, sequences=sequences)
        writer = Writer(random, scope(event, features, has_lists, below, asked, knows_places=True))
        kind = random.choice(["int", "float", "bool", "string", "time"])
        text = writer.of_kind(kind)
        lines += [f"[values.v{seed}]", f"is = {quoted(text)}"]
        if kind in ("int", "float") and random.random() < 0.3:
            lines.append(f"bands = {random.choice(['[0]', '[-1, 2, 60]', '[0.5, 3]', '[0, 1, 2, 3, 1000]'])}")
            kind = "int"
        made.append((f"v{seed}", kind, event))
    return made, "\n".join(lines) + "\n"


def caps_text(random: Random, most: int = 2) -> str:
    periods = ["7m", "30m", "1h", "1d", "30d", "day", "week", "month"]
    count = random.choice([0, 0, random.randint(1, most)])
    caps = [f"{random.choice([0, 1, 1, 2, 2, 3, 5])} per {random.choice(periods)}" for _ in range(count)]
    return f"cap = {json.dumps(caps)}\n"


def percent(random: Random) -> str:
    return random.choice(["0%", "0%", "0%", "0%", "2.5%", "40%", "75%"])


def head_text(shape: Shape) -> str:
    """All that a book declares besides features and rules."""
    random = Random(shape.head)
    parts = [
        f'[book]\nzone = "{shape.zone}"\ndecisions_per_event = {random.choice([1, 1, 1, 2, 3])}\n'
        f'holdout = "{percent(random)}"\nmax_age = "{random.choice(["1h", "366d", "366d"])}"\n'
    ]
    parts[0] += caps_text(random)
    events = {**FIELDS, "call": {**FIELDS["call"], "spare": shape.spare}, **({"ping": {}} if shape.has_ping else {})}
    for event, fields in shuffled(random, events):
        pairs = ", ".join(f'{name} = "{kind}"' for name, kind in shuffled(random, fields))
        limit = f"decisions_max = {random.randint(1, 4)}\n" if random.random() < 0.3 else ""
        parts.append(f"[events.{event}]\nfields = {{ {pairs} }}\n{limit}")
    fillers = FILLERS if shape.is_wide else ()
    sets = json.dumps((*fillers, *SERVICES[: shape.members]))
    words = {name: f'"{kind}"' if kind != "set" else f"{{ set = {sets} }}" for name, kind in ATTRIBUTES.items()}
    parts.append("[attributes]\n" + "\n".join(f"{name} = {word}" for name, word in shuffled(random, words)) + "\n")
    if shape.lists:
        parts += [f"[lists.{name}]\n" for name in fillers]
        parts.append(f'[lists.{KEPT}]\nexcludes = "{Random(shape.head).choice(["", "", "commercial", "all"])}"\n')
    for name in random.sample(LISTS[: shape.lists], shape.lists):
        parts.append(f'[lists.{name}]\nexcludes = "{random.choice(["", "", "commercial", "all"])}"\n')
    for name in CHANNELS:
        kind = "sms" if name == "push" else name
        limit = f"per_event_max = {random.randint(1, 3)}\n" if random.random() < 0.4 else ""
        parts.append(f'[channels.{name}]\nkind = "{kind}"\n{limit}{caps_text(random, 1)}')
    for name in CAMPAIGNS:
        arms = f"arms = {{ {_shares(Random(f'{name} {shape.head}'), 100)} }}\n"
        parts.append(f'[campaigns.{name}]\nholdout = "{percent(random)}"\n{arms}{caps_text(random, 1)}')
    for name in CATEGORIES:
        parts.append(f"[categories.{name}]\n{caps_text(random, 1)}")
    for name in OFFERS:
        needs, refuses = random.sample(SERVICES[:3], 2)
        lines = [f'title = "{name}"']
        for key in ("repeat", "declined_hides"):
            if random.random() < 0.4:
                lines.append(f'{key} = "{random.choice(["1m", "30m", "1d", "60d"])}"')
        if name != "plain":
            lines += [
                f"requires = {json.dumps([needs] * random.randint(0, 1))}",
                f"unless_holds = {json.dumps([refuses])}",
            ]
        parts.append(f"[offers.{name}]\n" + "\n".join(lines) + "\n")
    parts.append(areas_text(shape.head))
    return "\n".join(parts)


def plain_kinds(features: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Features with their kinds; a duration is a whole number."""
    return [(name, "int" if kind == "duration" else kind) for name, kind in features]


def rule_text(
    seed: int,
    features: Sequence[tuple[str, str]],
    has_lists: bool,
    values: Sequence[tuple[str, str, str]],
    sequences: Sequence[str],
) -> str:
    """TOML of a rule over the features, values and sequences that its book has."""
    random = Random(seed)
    if random.random() < 0.3:
        return later_text(seed, random, features, has_lists, sequences)
    event = random.choice(ASKING)
    named = [(name, kind) for name, kind, on in values if on in ("", event)]
    names = scope(
        event, plain_kinds(features), has_lists, named, questions(seed, f"r{seed}", sequences), knows_places=True
    )
    writer = Writer(random, names)
    channels = random.sample(CHANNELS, random.randint(1, 3))
    numbers = [*names.by_kind["int"], *names.by_kind["float"]]
    gaps = random.sample(sorted(writer.any_names()), k=min(2, len(writer.any_names())))
    lines = [
        "[[rule]]",
        f'id = "r{seed}"',
        f'on = "{event}"',
        f"when = {quoted(writer.condition(random.randint(0, 3)))}" if random.random() < 0.75 else 'when = "true"',
        f"channels = {json.dumps(channels)}",
        f"priority = {random.choice(['10', '50', '50', '60', quoted(random.choice(numbers))])}",
        f"reason = {quoted('because ' + ' '.join('{' + gap + '}' for gap in gaps))}",
        caps_text(random).strip(),
    ]
    words = random.choice(["", "|somebody"])
    text = quoted("text {" + gaps[0] + words + "}")
    lines += [f"text.{name} = {text}" for name in channels if name in ("sms", "push")]
    options = (
        (0.5, f'campaign = "{random.choice(CAMPAIGNS)}"'),
        (0.4, f'offer = "{random.choice(OFFERS)}"'),
        (0.3, f'class = "{random.choice(["commercial", "service"])}"'),
        (0.2, f'max_age = "{random.choice(["1m", "2h", "60d"])}"'),
        (0.3, f'holdout = "{percent(random)}"'),
        (0.2 if has_lists else 0.0, f'exclude = ["{LISTS[0]}"]'),
        (0.1, "enabled = false"),
        (0.4, f'category = "{random.choice(CATEGORIES)}"'),
    )
    lines += [line for share, line in options if random.random() < share]
    if has_lists and random.random() < 0.4:
        lines.append(f'keep = {{ list = "{KEPT}", for = "{random.choice(["1s", "10m", "1d", "60d"])}" }}')
    if has_lists and random.random() < 0.3:
        asked = random.choice([f"member('{KEPT}')", f"not member('{KEPT}')"])
        lines[3] = f"when = {quoted(f'({writer.condition(1)}) or {asked}' if random.random() < 0.3 else asked)}"
    return "\n".join(lines) + "\n"


def draws_text(seed: int, rule: str) -> str:
    """The rule with what it draws: a shadow, arms of its own, or one arm of its campaign."""
    random = Random(f"draws of {seed}")
    lines = ["shadow = true"] if random.random() < 0.2 else []
    kind = random.choice(["", "", "", "own", "one"])
    if kind == "own":
        gap = re.findall(r"because [^}]*}[^{]*{([\w.]+)}", rule)
        text = quoted(f"arm {{{gap[0]}}}" if gap else "arm")
        said = ", ".join(f"{name} = {text}" for name in ("sms", "push") if f"text.{name}" in rule)
        lines.append(f'arms = {{ {_shares(random)}, other = {{ share = "25%", text = {{ {said} }} }} }}')
    elif kind == "one" and "class =" not in rule:
        lines.append(f'class = "commercial"\narm = "{random.choice(["model", "random"])}"')
    return rule + "\n".join(lines) + "\n"


def _shares(random: Random, whole: int = 75) -> str:
    control, model = random.choice([(0, 25), (0, whole), (25, 25), (50, 0)])
    shares = {"model": model, "control": control, "random": whole - control - model}
    return ", ".join(f'{name} = "{share}%"' for name, share in shares.items() if share or name != "control")


def later_text(
    seed: int, random: Random, features: Sequence[tuple[str, str]], has_lists: bool, sequences: Sequence[str]
) -> str:
    """TOML of a rule with a deadline of any kind."""
    if random.random() < 0.7:
        return deadline_text(seed, random, features, has_lists, sequences)
    asked = questions(seed, f"r{seed}", sequences)
    names = scope("due", plain_kinds(features), has_lists, (), asked, knows_places=True)
    return stay_text(seed, random, Writer(random, names), caps_text(random))


def deadline_text(
    seed: int, random: Random, features: Sequence[tuple[str, str]], has_lists: bool, sequences: Sequence[str]
) -> str:
    """TOML of a rule about what does not happen, or not yet."""
    after = random.choice(["call", "call", "data", "move", "profile"])
    unless = random.choice([after, after, "call", "data", "move"])
    keys = [name for name, kind in fields_of(after).items() if kind in ("string", "int")] if unless == after else []
    key = random.choice(keys) if keys and random.random() < 0.6 else ""
    word = random.choice(["within", "for", "delay"])
    asked = questions(seed, f"r{seed}", sequences)
    names = scope("due", plain_kinds(features), has_lists, (), asked, knows_places=True)
    if key:
        names.by_kind[fields_of(after)[key]].append(key)
    lines = [
        "[[rule]]",
        f'id = "r{seed}"',
        f"after = {_trigger(random, after, has_lists, 0.4)}",
        f'{word} = "{random.choice(["1s", "90s", "10m", "1h", "30h", "9d"])}"',
        *([f"unless = {_trigger(random, unless, has_lists, 1.0)}"] if word == "within" else []),
        *([f'key = "{key}"\nkeys_max = {random.randint(1, 5)}'] if key else []),
        f"still = {quoted(Writer(random, names).condition(1))}" if random.random() < 0.4 else "",
        f"channels = {json.dumps(random.sample(['desk', 'alert'], random.randint(1, 2)))}",
        f'max_age = "{random.choice(["1h", "366d"])}"',
        f"reason = {quoted('since {armed}' + (f' of {{{key}}}' if key else ''))}",
        caps_text(random).strip(),
    ]
    return "\n".join(lines) + "\n"


def _trigger(random: Random, event: str, has_lists: bool, share: float) -> str:
    """An event that arms or ends, with a condition of its own where that is drawn."""
    if random.random() >= share:
        return quoted(event)
    where = Writer(random, scope(event, (), has_lists)).condition(1)
    return f"{{ event = {quoted(event)}, where = {quoted(where)} }}"


def book_text(shape: Shape) -> dict[str, str]:
    """The files of a book."""
    has_lists = shape.lists > 0
    features = [feature_text(seed, has_lists) for seed in dict.fromkeys(shape.features)]
    named = [(name, kind) for name, kind, _ in features]
    sequences = [
        sequence_text(seed, lambda random, event: Writer(random, scope(event, (), has_lists)), fields_of)
        for seed in dict.fromkeys(shape.features)
        if seed % 3 == 0
    ]
    names = [name for name, _ in sequences]
    values, values_toml = values_of(tuple(dict.fromkeys(shape.values)), plain_kinds(named), has_lists, names)
    rules = [draws_text(seed, rule_text(seed, named, has_lists, values, names)) for seed in dict.fromkeys(shape.rules)]
    return {
        "book.toml": head_text(shape),
        "features.toml": "\n".join(text for _, _, text in features),
        "sequences.toml": "\n".join(text for _, text in sequences),
        "values.toml": values_toml,
        "rules.toml": 'campaign = "care"\n' + "\n".join(rules),
    }

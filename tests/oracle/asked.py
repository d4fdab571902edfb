"""Made-up questions about what a book keeps for a call: contacts and answers by name, steps of sequences."""

from collections.abc import Callable, Sequence
from random import Random

from tests.oracle.expressions import Writer, quoted

SPANS = ("1m", "30m", "1d", "30d")
ANSWERS = ("accept", "decline", "later", "reply")


def told(random: Random, names: tuple[str, ...]) -> str:
    """A question about what became of the decisions of a name."""
    name = repr(random.choice(names))
    span = random.choice(["", f", {random.choice(SPANS)!r}"])
    if random.random() < 0.4:
        return f"answered({name}, {random.choice(ANSWERS)!r}{span})"
    return f"(contacted({name}{span}) {random.choice(['==', '>=', '<', '!='])} {random.choice([0, 0, 1, 2, 7, 8])})"


def questions(seed: int, rule: str = "", sequences: Sequence[str] = ()) -> tuple[str, ...]:
    """Some of them, for a rule of this id in a book with these sequences."""
    random = Random(seed)
    names = (
        "care",
        "sale",
        "bundle",
        "offer:upgrade",
        "campaign:care",
        "plain",
        *([f"rule:{rule}", rule] * 3 if rule else []),
    )
    asked = [told(random, names) for _ in range(2)]
    for name in sequences:
        compared = f"{random.choice(['==', '>=', '<'])} {random.choice([1, 1, 2, 3])}"
        asked.append(random.choice([f"completed('{name}')", f"(step('{name}') {compared})"]))
    return tuple(asked)


def sequence_text(
    seed: int, writer_of: Callable[[Random, str], Writer], fields_of: Callable[[str], dict[str, str]]
) -> tuple[str, str]:
    """Name and TOML of a sequence; a step may look at fields of those before it."""
    random = Random(seed)
    steps: list[str] = []
    named: list[tuple[str, dict[str, str]]] = []
    for number in range(random.randint(2, 4)):
        event = random.choice(["call", "call", "call", "data", "move", "profile"])
        parts = [writer_of(random, event).condition(1)] if random.random() < 0.35 else []
        own = {f"profile.{name}" if event == "profile" else name: word for name, word in fields_of(event).items()}
        pairs = [
            (mine, f"{step}.{theirs}", word)
            for step, its in named
            for theirs, other in its.items()
            for mine, word in own.items()
            if word == other != "set"
        ]
        if pairs and random.random() < 0.6:
            mine, theirs, word = random.choice(pairs)
            ops = ["==", "==", "!="] if word in ("string", "bool") else ["==", "!=", "<", "<=", ">", ">="]
            sides = random.choice([(mine, theirs), (theirs, mine)])
            parts.append(f"{sides[0]} {random.choice(ops)} {sides[1]}")
        where = f", where = {quoted(' and '.join(parts))}" if parts else ""
        name = f', name = "t{number}"' if random.random() < 0.8 else ""
        if name:
            named.append((f"t{number}", fields_of(event)))
        steps.append(f'{{ event = "{event}"{name}{where} }}')
    within = random.choice(["1s", "90s", "10m", "1h", "30h", "9d"])
    return f"s{seed}", f'[sequences.s{seed}]\nwithin = "{within}"\nsteps = [{", ".join(steps)}]\n'

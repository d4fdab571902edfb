"""Made-up questions about what a book keeps for a call: contacts and answers by name."""

from random import Random

SPANS = ("1m", "30m", "1d", "30d")
ANSWERS = ("accept", "decline", "later", "reply")


def told(random: Random, names: tuple[str, ...]) -> str:
    """A question about what became of the decisions of a name."""
    name = repr(random.choice(names))
    span = random.choice(["", f", {random.choice(SPANS)!r}"])
    if random.random() < 0.4:
        return f"answered({name}, {random.choice(ANSWERS)!r}{span})"
    return f"(contacted({name}{span}) {random.choice(['==', '>=', '<', '!='])} {random.choice([0, 0, 1, 2, 7, 8])})"


def questions(random: Random, rule: str = "") -> tuple[str, ...]:
    """Some of them, for a rule of this id."""
    names = (
        "care",
        "sale",
        "bundle",
        "offer:upgrade",
        "campaign:care",
        "plain",
        *([f"rule:{rule}", rule] * 3 if rule else []),
    )
    return tuple(told(random, names) for _ in range(3))

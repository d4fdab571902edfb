"""What made-up books say of places and of what settles: areas, rules about them, features."""

import json
from collections.abc import Callable
from random import Random

from tests.oracle.expressions import AREAS, Writer, quoted


def areas_text(seed: int) -> str:
    """TOML of the areas, their cells in any of the ways in which they may be said."""
    random, parts = Random(seed), []
    for name, cells in AREAS.items():
        rows = [{"cell": cell, "name": name} for cell in cells] + [{"cell": "g" * 40, "name": "elsewhere"}]
        table = [f"{{ {', '.join(f'{key} = {quoted(word)}' for key, word in row.items())} }}" for row in rows]
        said = (
            f"cells = {json.dumps(cells, ensure_ascii=False)}",
            f'table = "of-{name}"',
            f'table = "of-{name}"\nonly = {{ name = "{name}" }}',
        )
        seen = random.sample(["call.cell", "call.kind", "data.apn", "move.place", "profile.brand"], 3)
        fields = [
            one for at, one in enumerate(seen) if one.split(".")[0] not in [two.split(".")[0] for two in seen[:at]]
        ]
        leave = random.choice(["1s", "20s", "2m", "1h", "2d"])
        parts += [
            f'[areas.{name}]\n{random.choice(said)}\nseen = {json.dumps(fields)}\nleave_after = "{leave}"\n',
            f'[tables.of-{name}]\ncolumns = {{ cell = "string", name = "string" }}\nrows = [{", ".join(table)}]\n',
        ]
    return "\n".join(parts)


def settled_text(
    seed: int, random: Random, fields_of: Callable[[str], dict[str, str]], writer_of: Callable[[str], Writer]
) -> tuple[str, str, str]:
    """Name, kind of value and TOML of a feature that settles."""
    event = random.choice(["call", "call", "data", "profile"])
    field, word = random.choice([one for one in fields_of(event).items() if one[1] != "set"])
    name, kind = f"f{seed}", random.choice(["settled", "replaced"])
    lines = [f"[features.{name}]", f"{kind} = {quoted(f'{event}.{field}')}", f"sightings = {random.randint(1, 4)}"]
    if random.random() < 0.6:
        lines.append(f'held_for = "{random.choice(["1s", "20s", "10m", "1h", "9d"])}"')
    if random.random() < 0.3:
        lines.append(f"where = {quoted(writer_of(event).condition(1))}")
    if random.random() < 0.3:
        word = random.choice(["int", "float", "bool", "time"])
        lines.append(f"as = {quoted(writer_of(event).of_kind(word))}")
    return name, word, "\n".join(lines) + "\n"


def stay_text(seed: int, random: Random, writer: Writer, caps: str) -> str:
    """TOML of a rule about staying in an area, or leaving it."""
    area, span = random.choice(list(AREAS)), random.choice(["1s", "90s", "10m", "1h", "9d"])
    lines = [
        "[[rule]]",
        f'id = "r{seed}"',
        random.choice([f'stays = "{area}"\nfor = "{span}"', f'leaves = "{area}"']),
        f"still = {quoted(writer.condition(1))}" if random.random() < 0.3 else "",
        f"channels = {json.dumps(random.sample(['desk', 'alert'], random.randint(1, 2)))}",
        'max_age = "366d"',
        'reason = "since {armed}"',
        caps.strip(),
    ]
    return "\n".join(lines) + "\n"

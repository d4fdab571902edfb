"""Made-up expressions over the names of a book; what is random comes from a number."""

import json
from dataclasses import dataclass
from random import Random

from state.schema import Kind
from tests.rules.expressions.grammar import closed_over, local_times

TEXTS = ("a", "b", "c", "长途", "", "d e", "é", "g" * 40, "AB长c", "-12.5", "0061", "352099001761482", "00000000000000")
NEEDLES = ("", "a", "长", "途", "ab", "AB", "g" * 9, "é", "1")
SERVICES = ("12593", "ring", "news", "wap")
FILLERS = tuple(f"x{number}" for number in range(62))
"""Of a wide book, before the others: members that put those beyond the first word of their set."""
KEPT = "kept"
"""The list that rules keep; no feature asks for it."""
LISTS = ("vip", "silent", "staff", "l4", "l5", "l6", "l7", "l8", "l9")
AREAS = {"small": ("a", "长途"), "large": ("a", "b", "c", "d e", "é")}


@dataclass(frozen=True)
class Names:
    """Names that an expression may use, by kind; `questions` are whole conditions that it may use."""

    by_kind: dict[str, list[str]]
    has_lists: bool
    values: frozenset[str] = frozenset()
    questions: tuple[str, ...] = ()
    knows_places: bool = False


def quoted(text: str) -> str:
    """A text as TOML and JSON both write it."""
    return json.dumps(text, ensure_ascii=False)


class Writer:
    """Writes expressions over some names; what is random comes from `random`."""

    def __init__(self, random: Random, names: Names) -> None:
        self.random, self.names = random, names

    def condition(self, depth: int) -> str:
        if depth <= 0 or self.random.random() < 0.3:
            return self.atom()
        sub = self.condition(depth - 1)
        match self.random.randrange(8):
            case 0 | 1 | 2:
                return f"({sub} and {self.condition(depth - 1)})"
            case 3 | 4:
                return f"({sub} or {self.condition(depth - 1)})"
            case 5:
                return f"(not {sub})"
            case 6:
                return f"default({sub}, {self.random.choice(['true', 'false', self.condition(depth - 2)])})"
            case _:
                return f"({sub} {self.random.choice(['==', '!='])} {self.condition(depth - 2)})"

    def atom(self) -> str:
        random, order = self.random, self.random.choice(["==", "!=", "<", "<=", ">", ">="])
        if self.names.questions and random.random() < 0.15:
            return self.names.questions[int(random.random() * len(self.names.questions))]
        match random.randrange(17 if self.names.knows_places else 16):
            case 16:
                area = quoted(random.choice(list(AREAS)))
                asked = random.choice(["inside({})", "came_into({})", "(stayed({}) >= 60_000)", "known(stayed({}))"])
                return asked.format(area.replace('"', "'"))
            case 14:
                function = random.choice(["starts_with", "ends_with", "contains"])
                return f"{function}({self.part()}, {quoted(random.choice(NEEDLES))})"
            case 15:
                return f"choose({self.name('bool')}, {self.name('bool')}, {random.choice(['true', 'false'])})"
            case 0 | 1:
                return f"({self.name('int')} {order} {random.choice([0, 1, 2, 3, 60, 1000])})"
            case 2:
                return f"({self.number(2)} {order} {self.number(1)})"
            case 3:
                return f"({self.fraction(2)} {order} {self.fraction(1)})"
            case 4:
                return f"({self.time()} {order} {self.time()})"
            case 5 | 6:
                return f"({self.text()} {random.choice(['==', '!='])} {quoted(random.choice(TEXTS))})"
            case 7:
                words = ", ".join(map(quoted, random.sample(TEXTS, random.randint(1, 5))))
                return f"({self.text()} {random.choice(['in', 'not in'])} [{words}])"
            case 8:
                return f"({self.text()} {random.choice(['in', 'not in'])} areas.{random.choice(list(AREAS))})"
            case 9:
                member, whole = quoted(random.choice(SERVICES[:3])), self.name("set")
                return random.choice([f"holds({member})", f"({member} in {whole})", f"({member} not in {whole})"])
            case 10 if self.names.has_lists:
                return f"member({quoted(LISTS[0])})"
            case 11:
                return f"known({random.choice(self.any_names())})"
            case 12:
                return f"(0 < {self.name('int')} {random.choice(['<', '<='])} {self.number(1)})"
            case _:
                return self.name("bool")

    def any_names(self) -> list[str]:
        return [name for kind in sorted(self.names.by_kind) for name in self.names.by_kind[kind]]

    def name(self, kind: str) -> str:
        """A name of a kind; there is one of each among the attributes."""
        built_in = {"int": [f"{one}()" for one in local_times()], "time": ["at", "logged", "at"]}
        if self.random.random() < 0.1:
            return self.random.choice(built_in.get(kind, self.names.by_kind[kind]))
        return self.random.choice(self.names.by_kind[kind])

    def number(self, depth: int) -> str:
        if depth <= 0 or self.random.random() < 0.3:
            return self.name("int")
        left = self.number(depth - 1)
        match self.random.randrange(12):
            case 8:
                return f"length({self.part()})"
            case 11:
                return f"imei_tac({self.part()})"
            case 9:
                edges = sorted(self.random.sample([0, 1, 2, 3, 60, 1000, 600_000], self.random.randint(1, 4)))
                return f"band({left}, {', '.join(map(str, edges))})"
            case 10:
                return f"choose({self.atom()}, {left}, {self.name('int')})"
            case 0 | 1:
                right = self.random.choice([1, 2, 7, 1 << 40, self.number(depth - 1)])
                return f"({left} {self.random.choice('+-*')} {right})"
            case 2:
                right = self.random.choice([2, 7, -3, self.number(depth - 1)])
                return f"({left} {self.random.choice(['//', '%'])} {right})"
            case 3:
                return f"(-{left})"
            case 4 | 5:
                name, count = self.random.choice(closed_over(Kind.INT))
                return f"{name}({', '.join([left, *(self.number(depth - 1) for _ in range(count - 1))])})"
            case 6:
                return f"default({left}, {self.random.choice([0, 5, self.number(depth - 1)])})"
            case _:
                return f"({self.time()} - {self.time()})"

    def fraction(self, depth: int) -> str:
        if depth <= 0 or self.random.random() < 0.4:
            return self.name("float")
        left = self.fraction(depth - 1)
        match self.random.randrange(5):
            case 4:
                return f"number({self.part()})"
            case 0 | 1:
                right = self.random.choice(["0.5", "3", self.fraction(depth - 1)])
                return f"({left} {self.random.choice('+-*/')} {right})"
            case 2:
                return f"({self.number(1)} / {self.number(1)})"
            case _:
                name, count = self.random.choice(closed_over(Kind.FLOAT))
                return f"{name}({', '.join([left, *(self.number(1) for _ in range(count - 1))])})"

    def time(self) -> str:
        name = self.name("time")
        return self.random.choice(
            [name, name, f'({name} + "{self.random.choice(["10m", "1d", "250ms"])}")', f"max(at, {name})"]
        )

    def text(self) -> str:
        name = self.name("string")
        match self.random.randrange(10):
            case 0 | 1:
                return f"default({name}, {quoted(self.random.choice(TEXTS))})"
            case 2:
                return self.part()
            case 3:
                return f"choose({self.name('bool')}, {self.part()}, {quoted(self.random.choice(TEXTS))})"
        return name

    def of_kind(self, kind: str) -> str:
        """A value of a kind."""
        if kind == "string":
            return self.text()
        if kind == "time":
            return self.time()
        return {"int": self.number, "float": self.fraction, "bool": self.condition}[kind](2)

    def part(self) -> str:
        """A part of a field's or a feature's text."""
        found = self.random.choice([name for name in self.names.by_kind["string"] if name not in self.names.values])
        for _ in range(self.random.randint(0, 2)):
            count = self.random.choice([0, 1, 2, 30])
            parts = (
                f"left({found}, {count})",
                f"right({found}, {count})",
                f"mid({found}, 2, 1)",
                f"lower({found})",
                f"imei({found})",
            )
            found = self.random.choice(parts)
        return found

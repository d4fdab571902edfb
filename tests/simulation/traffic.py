"""Lines as networks send them, each with a number of its own, so that its fate can be followed.

Files grow and are read by position. A client sends lines without positions and sends again what was not acknowledged,
and now and then what was. Lines come late, out of order, from the near future, or broken in many ways.
"""

import random
from dataclasses import dataclass, field

import orjson

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
CITIES = ("Xiamen", "Fuzhou", "Quanzhou", "Longyan", "Putian")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `fate` is "row", "dead", or "either" where the book decides; `offset` stands in `key`, "" for none."""

    n: int
    kind: str
    subscriber: int
    raw: bytes
    fate: str
    key: str = ""
    offset: int = 0


@dataclass(slots=True)
class File:
    """A file that grows."""

    key: str
    data: bytearray = field(default_factory=bytearray)
    lines: list[Line] = field(default_factory=list)

    def lines_from(self, position: int, bytes_max: int) -> tuple[bytes, int]:
        """Return whole lines from `position`, at least one where there is one, and the number of the first."""
        end = position + bytes_max
        cut = self.data.rfind(b"\n", position, end) + 1
        if cut <= position:
            cut = self.data.find(b"\n", position) + 1 or len(self.data)
        return bytes(self.data[position:cut]), self.data.count(b"\n", 0, position) + 1


@dataclass(slots=True)
class Sent:
    """Lines that a client sent together, until the engine acknowledges them."""

    data: bytes
    lines: list[Line]
    acknowledged: bool = False


class Traffic:
    """Makes lines for some lively subscribers of a larger population."""

    def __init__(self, chance: random.Random, subscribers: list[int], lively: list[int]) -> None:
        self._chance = chance
        self.subscribers = subscribers
        self.lively = lively
        self.files = [File(f"day-{i}.json") for i in range(2)]
        self.sent: list[Sent] = []
        self.lines: dict[int, Line] = {}

    def load(self, now_ms: int) -> None:
        """Write the profiles of the whole population into the first file."""
        for subscriber in self.subscribers:
            values: dict[str, object] = {"name": f"N{subscriber % 1000}", "services": self._services()}
            self._to_file(self.files[0], self._line("profile", subscriber, now_ms, values, "row"))

    def write(self, now_ms: int) -> None:
        """Let a file grow by a few lines."""
        file = self._chance.choice(self.files)
        for _ in range(self._chance.randint(2, 20)):
            self._to_file(file, self._any(now_ms))
            if self._chance.random() < 0.03:
                file.data += self._chance.choice((b"\n", b"\r\n", b"  \n"))

    def send(self, now_ms: int) -> Sent:
        """Return lines of the client: new ones, or old ones again."""
        again = [sent for sent in self.sent[-6:] if self._chance.random() < 0.2]
        if again:
            return again[0]
        lines = [self._any(now_ms) for _ in range(self._chance.randint(1, 8))]
        twice = [line for line in lines if self._chance.random() < 0.1]
        sent = Sent(b"".join(line.raw + b"\n" for line in lines + twice), lines)
        for line in lines:
            self.lines[line.n] = line
        self.sent.append(sent)
        return sent

    def roll_call(self, now_ms: int) -> None:
        """Let every subscriber be heard of once, so that all wake up."""
        for subscriber in self.subscribers:
            self._to_file(self.files[0], self._line("profile", subscriber, now_ms, {}, "row"))

    def _to_file(self, file: File, line: Line) -> None:
        line = Line(line.n, line.kind, line.subscriber, line.raw, line.fate, file.key, len(file.data))
        file.data += line.raw + b"\n"
        file.lines.append(line)
        self.lines[line.n] = line

    def _any(self, now_ms: int) -> Line:
        chance = self._chance
        late = chance.choice(
            (0, 0, 0, 0, 500, 3_000, 3_000, 40_000, 5 * MINUTE_MS, HOUR_MS, 9 * HOUR_MS, -20 * MINUTE_MS)
        )
        kind = chance.choice(("call", "call", "call", "data", "data", "data", "move", "profile"))
        values = getattr(self, f"_{kind}")()
        line = self._line(
            kind, chance.choice(self.lively), now_ms - late, values, "either" if kind == "move" else "row"
        )
        if chance.random() < 0.07:
            return Line(line.n, kind, line.subscriber, self._broken(line.raw), "dead")
        return line

    def _line(self, kind: str, subscriber: int, at_ms: int, values: dict[str, object], fate: str) -> Line:
        n = len(self.lines) + 1
        self.lines[n] = Line(n, kind, subscriber, b"", fate)
        number = "pn" if kind == "profile" else "n"
        record = {"type": kind, "msisdn": str(subscriber), "time": at_ms, "id": f"e{n}", number: n, **values}
        return Line(n, kind, subscriber, orjson.dumps(record), fate)

    def _broken(self, raw: bytes) -> bytes:
        ways = (
            raw[: self._chance.randint(1, len(raw) - 1)],
            raw.replace(b'"type"', b'"typo"'),
            raw.replace(b'"msisdn":"', b'"msisdn":"x'),
            raw.replace(b'"time":', b'"time":"soon","at":'),
            raw.replace(b'"type":"', b'"type":"no-'),
            raw[:-1] + b',"name":"\xff\xfe"}',
            b"[" * 400 + raw,
            raw + raw,
            b"null",
            raw.replace(b'"n":', b'"n":99999999999999999999999').replace(b'"pn":', b'"pn":"many","x":'),
        )
        return self._chance.choice(ways)

    def _services(self) -> list[str]:
        return [name for name in ("gprs", "mms", "wap") if self._chance.random() < 0.3]

    def _call(self) -> dict[str, object]:
        chance = self._chance
        values: dict[str, object] = {
            "kind": chance.choice(("local", "long", "long")),
            "seconds": chance.randint(0, 200),
        }
        if chance.random() < 0.9:
            values["city"] = chance.choice(CITIES)
        if chance.random() < 0.5:
            values["cell"] = f"460-00-{chance.randint(1, 40)}"
        return values

    def _data(self) -> dict[str, object]:
        values: dict[str, object] = {"kbytes": self._chance.randint(0, 1000)}
        if self._chance.random() < 0.6:
            values["fee"] = self._chance.randint(0, 80) / 10 + 0.03
        return values

    def _move(self) -> dict[str, object]:
        return {"city": self._chance.choice(CITIES)}

    def _profile(self) -> dict[str, object]:
        return (
            {"services": self._services()}
            if self._chance.random() < 0.7
            else {"name": f"M{self._chance.randint(1, 9)}"}
        )

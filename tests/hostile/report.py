"""What a flood sent, and what the processes under it made of it."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

GROWTH_BYTES_MAX = 200 << 20


@dataclass
class Report:
    """Records sent and counted, by door; memory of the processes, at the start and at the end, by name."""

    sent: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    start_bytes: dict[str, int] = field(default_factory=dict)
    end_bytes: dict[str, int] = field(default_factory=dict)
    steps_s: dict[str, float] = field(default_factory=dict)
    """When each step was done, since the beginning."""

    @property
    def records(self) -> int:
        """How many were sent."""
        return self.sent.total()

    def check(self) -> None:
        """AssertionError unless every record is counted once and no process has grown beyond the bound."""
        assert self.counted == self.sent, str(self)
        for name, start in self.start_bytes.items():
            assert self.end_bytes[name] - start <= GROWTH_BYTES_MAX, f"{name}\n{self}"

    def __str__(self) -> str:
        """Return the figures as a line a door and a line a process."""
        lines = [f"{door:<10}{count:>12,} sent{self.counted[door]:>12,} counted" for door, count in self.sent.items()]
        for name, start in self.start_bytes.items():
            end = self.end_bytes.get(name, 0)
            lines.append(f"{name:<10}{start / 1e6:>9.0f} MB at the start{end / 1e6:>6.0f} at the end")
        steps = ", ".join(f"{word} {at_s:.1f} s" for word, at_s in self.steps_s.items())
        return "\n".join([*lines, f"{self.records:,} records: {steps}"])


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has now."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(row for row in text.splitlines() if row.startswith("VmRSS")).split()[1]) << 10

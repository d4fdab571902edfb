"""Sending: what may go, when, how often; and that it was durable before."""

from collections.abc import Iterator
from pathlib import Path

from engine.dispatch.model import Decided
from state.segments import Segmented
from tests.simulation.judges.holding import hold
from tests.simulation.judges.known import Known
from tests.simulation.life import Life


class SendingJudges(Known):
    """Holds what dispatch hands to the gateways against what was decided, ended and stopped."""

    def durable(self, life: Life, what: Decided) -> None:
        """A decision is about to be sent: its frame and its records must be such that no crash takes them away."""
        p, position = (int(part) for part in what.decision_id.split("-")[:2])
        partition = life.core.partitions[p]
        log, journal = partition.log, partition.journal
        entry = journal.position_of(position)
        for name, series, at in (("log", log, position), ("journal", journal, entry)):
            if at >= series.first_position:
                stands = at < series.next_position and self.machine.stays(*place_of(series, at))
                hold(stands, "what is sent is durable", f"{what.decision_id}: {name} of partition {p} at {at}")

    def handed_over(self, what: Decided, gateway: str, now_ms: int, day: int) -> None:
        """Dispatch hands a decision to a door."""
        name = what.decision_id
        hold(name in self.decided, "only decisions are sent", name)
        hold(name not in self.closed, "what may have been sent is not sent again", f"{name} to {gateway}")
        hold(not self.ends[name], "what has ended is not sent", f"{name}: {self.ends[name]}")
        hold(now_ms < what.expires_ms, "what is too old is not sent", f"{name}: {now_ms} {what.expires_ms}")
        hold("#" not in what.text, "texts can be read", f"{name}: {what.text}")
        self.sent_on[day, what.channel].add(name)
        quota = self.size.quota_per_day if what.channel == "sms" else 0
        lost = sum(one in self.network.taken or one in self.network.doubtful for one in self.sent_on[day, what.channel])
        hold(not quota or lost <= quota, "no quota is exceeded", f"{what.channel} day {day}: {lost}")
        self.counted["handed over"] += 1

    def not_stopped(self, what: Decided) -> None:
        """Nothing of a stopped scope is taken."""
        for scope in (("rule", what.rule), ("campaign", what.campaign), ("channel", what.channel)):
            hold(scope not in self.stopped, "what is stopped is not sent", f"{what.decision_id}: {scope}")

    def close(self, names: Iterator[str] | list[str]) -> None:
        """These may have reached somebody: never again, unless twice does no harm."""
        self.closed.update(name for name in names if not self._repeatable(name))


def place_of(series: Segmented, position: int) -> tuple[Path, int, int]:
    """Return the file of a record, and where in it the record begins and ends."""
    segments = series._segments._files.segments
    segment = next(one for one in reversed(segments) if one.first <= position)
    record = next(iter(series._segments.read(position)))
    return segment.path, record.offset, record.end

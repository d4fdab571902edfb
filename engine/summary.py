"""The last words of a drained run: what came in, what was decided and why not, what was sent, where to look next."""

from collections.abc import Iterator

from engine.status import Status

COLUMN = 34


def summary(status: Status, data: str) -> str:
    """Return the summary as text of a few dozen lines."""
    return "\n".join([*_flow(status), "", *_decisions(status), "", *_sends(status), "", *_next(data)]) + "\n"


def _flow(status: Status) -> Iterator[str]:
    events, seconds = status["events"], status["uptime_s"]
    yield f"{events:,} events in {seconds:.1f} s ({events / max(seconds, 1e-9):,.0f}/s, start-up included)"
    subscribers = sum(partition["subscribers"] + partition["sleeping"] for partition in status["partitions"])
    yield f"{subscribers:,} subscribers known, book {status['book']['version']} with {status['book']['rules']} rules"
    yield f"{status['dead_letters']:,} dead letters, {status['doubled']:,} doubled events left out"


def _decisions(status: Status) -> Iterator[str]:
    yield f"{'rule':<{COLUMN}}{'decided':>9}  stopped by"
    decided = candidates = 0
    for rule, gates in sorted(status["decisions"].items(), key=lambda item: -item[1].get("decided", 0)):
        stopped = {gate: count for gate, count in gates.items() if gate != "decided"}
        decided += gates.get("decided", 0)
        candidates += sum(gates.values())
        words = ", ".join(f"{gate} {count:,}" for gate, count in sorted(stopped.items(), key=lambda item: -item[1]))
        yield f"{rule:<{COLUMN}}{gates.get('decided', 0):>9,}  {words}"
    yield f"{'all':<{COLUMN}}{decided:>9,}  of {candidates:,} candidates, each with a record"


def _sends(status: Status) -> Iterator[str]:
    for name in ("dispatch", "desk"):
        figures = {key: value for key, value in status.get(name, {}).items() if value not in (0, "", None)}
        words = ", ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in figures.items())
        yield f"{name}: {words or 'nothing'}"


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _next(data: str) -> Iterator[str]:
    yield f"Everything is in {data}. Look further with:"
    yield "  opportune decisions --format ndjson | head"
    yield "  opportune why MSISDN"
    yield "  opportune dead list"

"""The last words of a drained run: what came in, what was decided and why not, what was sent, where to look next."""

from collections import Counter
from collections.abc import Iterator

from engine.serve.status import Status
from state.visible import visible

COLUMN = 34
WORDS = {
    "committed": "accepted by gateway or desk",
    "refunded": "taken back, caps given back",
    "delivered": "delivered, says the network",
    "undelivered": "not delivered, says the network",
    "unknown": "nobody knows",
}


def summary(status: Status, data: str) -> str:
    """Return the summary as text of a few dozen lines."""
    lines = [*_flow(status), "", *_decisions(status), "", *_sends(status), "", *_next(data)]
    return "\n".join(map(visible, lines)) + "\n"


def _flow(status: Status) -> Iterator[str]:
    events, rate = status["events"], status["events_per_s"]
    start_s = status["uptime_s"] - status["flowed_s"]
    yield f"{events:,} events in {status['flowed_s']:.1f} s ({rate:,.0f}/s, start-up of {start_s:.1f} s left out)"
    subscribers = sum(partition["subscribers"] + partition["sleeping"] for partition in status["partitions"])
    yield f"{subscribers:,} subscribers known, book {status['book']['version']} with {status['book']['rules']} rules"
    dead, doubled = status["dead_letters"], status["doubled"]
    yield f"{events + dead:,} lines = {events - doubled:,} decided upon + {doubled:,} doubled + {dead:,} dead letters"
    for source, figures in status["sources"].items():
        yield from (f"NOT READ, source {source}: {fault}" for fault in figures.get("faults", ()))


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
    """Yield what became of the decisions: accepted, taken back and why, shown at the desk, still waiting."""
    outcomes = status["outcomes"]
    if not outcomes:
        yield "nothing was sent"
    for state, words in WORDS.items():
        errors = outcomes.get(state, {})
        if errors:
            reasons: Counter[str] = Counter()
            for error, count in errors.items():
                reasons[error.lower().replace("_", " ")] += count
            why = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common() if reason)
            yield f"{words:<{COLUMN}}{sum(errors.values()):>9,}  {why}".rstrip()
    waiting = status["dispatch"]["waiting"]
    if waiting:
        yield f"{'waiting (window, quota, gateway)':<{COLUMN}}{waiting:>9,}"
    desk = status.get("desk", {})
    drawn, visits = desk.get("cards_drawn", 0), desk.get("visits_closed", 0)
    if drawn or visits:
        yield f"{'cards that a page drew':<{COLUMN}}{drawn:>9,}  in {visits:,} visits"


def _next(data: str) -> Iterator[str]:
    yield f"Everything is in {data}. Look further with:"
    yield "  opportune decisions --format ndjson | head"
    yield "  opportune why MSISDN"
    yield "  opportune dead list"

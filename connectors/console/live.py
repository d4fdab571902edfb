"""The live page: what comes in, what is decided, what stops it, what is sent, and what is wrong just now."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from connectors.console.contract import Live
from connectors.console.frame import NUMBER, TEXT, Look, document, empty, facts, lines, section, table
from connectors.console.markup import Child, Markup, joined, tag

RULES_MAX = 50
FAULT_LINES_MAX = 20
PLOT_WIDE, PLOT_HIGH = 600, 80
REFRESH_S = 5
_SHOWN_APART = ("faults", "last_fault", "fault")


def page(look: Look, live: Live, audit_fault: str) -> str:
    """Return the page; its `live` part is fetched again by the page's script."""
    t = look.t
    parts = tag("div", _parts(look, live, audit_fault), id="live", data_every_s=REFRESH_S)
    return document(look, t("Live"), parts)


def _parts(look: Look, live: Live, audit_fault: str) -> Iterator[Child]:
    t, status = look.t, live.status
    yield _attention(look, status, audit_fault)
    yield section(t("Volume"), _volume(look, live), _plot(look, live.rates))
    yield section(t("Rules and gates"), _gates(look, status["decisions"]))
    yield section(t("What became of decisions"), _outcomes(look, status["outcomes"]))
    yield section(t("Sources"), _figures(look, t("Sources"), status.get("sources", {})))
    yield section(t("Gateways"), _figures(look, t("Gateways"), status.get("gateways", {})))
    for name, title in (("dispatch", t("Sending")), ("desk", t("Desk"))):
        if name in status:
            yield section(title, facts((word.replace("_", " "), _figure(value)) for word, value in status[name].items()
                                       if word != "fault"))  # fmt: skip
    yield section(t("Partitions"), _partitions(look, live))


def _attention(look: Look, status: Mapping[str, Any], audit_fault: str) -> Markup:
    """Return what somebody should look at, or that there is nothing."""
    t = look.t
    wrong = [tag("li", tag("b", what), " ", text) for what, text in _wrong(look, status, audit_fault)]
    if not wrong:
        return tag("p", t("No faults; nothing is paused."), class_="notice")
    return tag("div", tag("h2", t("Needs attention")), tag("ul", wrong), class_="attention")


def _wrong(look: Look, status: Mapping[str, Any], audit_fault: str) -> Iterator[tuple[str, Child]]:
    t = look.t
    book = status["book"]
    if book["fault"]:
        text = book["fault"].splitlines()[:FAULT_LINES_MAX]
        yield t("The book on disk is refused"), lines(text)
    for name in book.get("renewed", ()):
        yield t("History starts anew"), name
    for name, one in status.get("sources", {}).items():
        for fault in one.get("faults", ()):
            yield t("Source {name} is not read", name=name), fault
    for name, one in status.get("gateways", {}).items():
        if one.get("links_up") == 0:
            yield t("Gateway {name} is down", name=name), one.get("last_fault", "")
    if status.get("dispatch", {}).get("fault"):
        yield t("Sending"), status["dispatch"]["fault"]
    if audit_fault:
        yield t("The audit log waits"), audit_fault
    for word, title in (("paused", t("Paused")), ("killed", t("Killed"))):
        for kind, name in status[word]:
            yield title, f"{t(kind)} {name}"


def _volume(look: Look, live: Live) -> Markup:
    t, status = look.t, live.status
    latency = status["latency_ms"]
    subscribers = sum(one["subscribers"] + one["sleeping"] for one in status["partitions"])
    events, decisions = _rate(live.rates)
    return facts([
        (t("Events a second"), f"{events:,.0f}"),
        (t("Decisions a second"), f"{decisions:,.1f}"),
        (t("Events since the start"), f"{status['events']:,}"),
        (t("Decision within, half"), f"{latency['event_to_decision_p50']:.0f} ms"),
        (t("Decision within, 99%"), f"{latency['event_to_decision_p99']:.0f} ms"),
        (t("Waiting to be logged"), f"{status['queued_bytes']:,} B"),
        (t("Dead letters"), f"{status['dead_letters']:,}"),
        (t("Doubled events"), f"{status['doubled']:,}"),
        (t("Subscribers"), f"{subscribers:,}"),
        (t("Book"), status["book"]["version"]),
        (t("Rules"), f"{status['book']['rules']:,}"),
        (t("Up"), _long(status["uptime_s"])),
    ])  # fmt: skip


def _rate(rates: Sequence[tuple[float, int, int]]) -> tuple[float, float]:
    """Return events and decisions a second between the last two moments."""
    if len(rates) < 2:
        return 0.0, 0.0
    before, now = rates[-2], rates[-1]
    seconds = max(now[0] - before[0], 1e-3)
    return (now[1] - before[1]) / seconds, (now[2] - before[2]) / seconds


def _plot(look: Look, rates: Sequence[tuple[float, int, int]]) -> Markup:
    """Return events a second of the last minutes as bars."""
    pairs = list(pairwise(rates))
    if len(pairs) < 2:
        return empty(look.t("The plot begins in a moment."))
    events = [(now[1] - before[1]) / max(now[0] - before[0], 1e-3) for before, now in pairs]
    most, step = max(events) or 1.0, PLOT_WIDE / len(events)
    bars = [
        tag("rect", x=f"{place * step:.1f}", y=f"{PLOT_HIGH * (1 - value / most):.1f}", width=f"{max(step - 1, 1):.1f}",
            height=f"{PLOT_HIGH * value / most:.1f}")
        for place, value in enumerate(events)
    ]  # fmt: skip
    minutes = (rates[-1][0] - rates[0][0]) / 60
    name = look.t("Events a second, last {minutes} minutes, at most {most}", minutes=f"{minutes:.0f}",
                  most=f"{max(events):,.0f}")  # fmt: skip
    drawn = tag("svg", bars, viewBox=f"0 0 {PLOT_WIDE} {PLOT_HIGH}", role="img", aria_label=name, class_="plot",
                preserveAspectRatio="none")  # fmt: skip
    return tag("figure", drawn, tag("figcaption", name))


def _gates(look: Look, decisions: Mapping[str, Mapping[str, int]]) -> Markup:
    t = look.t
    if not decisions:
        return empty(t("Nothing was a candidate yet."))
    ranked = sorted(decisions.items(), key=lambda item: -sum(item[1].values()))
    whole: Counter[str] = Counter()
    for gates in decisions.values():
        whole.update(gates)
    heads = [(t("Rule"), TEXT), (t("Candidates"), NUMBER), (t("Decided"), NUMBER), (t("Stopped by"), TEXT)]
    rows = [_gates_row(look, rule, gates) for rule, gates in ranked[:RULES_MAX]]
    rows.append(_gates_row(look, t("All"), whole))
    more = len(ranked) - RULES_MAX
    return joined([
        table(t("Rules and gates"), heads, rows),
        empty(t("{count} more rules stand in /status.", count=f"{more:,}")) if more > 0 else None,
    ])  # fmt: skip


def _gates_row(look: Look, rule: str, gates: Mapping[str, int]) -> Sequence[Child]:
    stopped = sorted(((gate, count) for gate, count in gates.items() if gate != "decided"), key=lambda one: -one[1])
    words = ", ".join(f"{look.t.gate(gate)} {count:,}" for gate, count in stopped)
    return rule, f"{sum(gates.values()):,}", f"{gates.get('decided', 0):,}", words


def _outcomes(look: Look, outcomes: Mapping[str, Mapping[str, int]]) -> Markup:
    t = look.t
    if not outcomes:
        return empty(t("Nothing was sent yet."))
    heads = [(t("State"), TEXT), (t("Count"), NUMBER), (t("As told"), TEXT)]
    rows = []
    for state, errors in outcomes.items():
        told = ", ".join(f"{error} {count:,}" for error, count in sorted(errors.items(), key=lambda one: -one[1])[:8]
                         if error)  # fmt: skip
        rows.append((t(state), f"{sum(errors.values()):,}", told))
    return table(t("What became of decisions"), heads, rows)


def _figures(look: Look, title: str, by_name: Mapping[str, Mapping[str, Any]]) -> Markup:
    t = look.t
    if not by_name:
        return empty(t("There is none."))
    heads = [(t("Name"), TEXT), (t("Figures"), TEXT), (t("Fault"), TEXT)]
    rows = []
    for name, one in by_name.items():
        figures = ", ".join(
            f"{word.replace('_', ' ')} {_figure(value)}" for word, value in one.items() if word not in _SHOWN_APART
        )
        rows.append((name, figures, "; ".join([*one.get("faults", ()), one.get("last_fault", "")]).strip("; ")))
    return table(title, heads, rows)


def _partitions(look: Look, live: Live) -> Markup:
    t = look.t
    heads = [(t("Number"), NUMBER), (t("Clock"), TEXT), (t("Behind"), NUMBER), (t("Log"), NUMBER),
             (t("To fold again"), NUMBER), (t("Dirty pages"), NUMBER), (t("In memory"), NUMBER),
             (t("Asleep"), NUMBER)]  # fmt: skip
    rows = [
        (number, look.time(one["clock_ms"]), "-" if lag is None else f"{lag / 1000:,.1f} s", f"{one['log']:,}",
         f"{one['redo_distance']:,}", f"{one['dirty_pages']:,}", f"{one['subscribers']:,}", f"{one['sleeping']:,}")
        for number, (one, lag) in enumerate(zip(live.status["partitions"], live.lags_ms, strict=True))
    ]  # fmt: skip
    return table(t("Partitions"), heads, rows)


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _long(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock

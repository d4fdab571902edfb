"""What a rule or a feature keeps, in plain words: deadlines, stays in areas, values that settle. For `explained`."""

from rules.expressions.tree import Expr, Use
from rules.expressions.written import canonical
from rules.model import Book, Feature, Rule
from rules.spans import duration_text
from rules.timers import feature_name


def asked_when(book: Book, rule: Rule) -> str:
    """Say when a rule is asked."""
    kept = book.timers.get(rule.id)
    if kept is None or kept.timer is None:
        return f"on every event `{book.schema.types[rule.on].name}`"
    span = duration_text(kept.timer.span_ms)
    if kept.stays is not None:
        area = f"when a stay in area {kept.stays.area}"
        return f"{area} has ended, {span} after it was left" if kept.stays.leaves else f"{area} has lasted {span}"
    event = f"`{book.schema.types[kept.source_type].name}`"
    if kept.timer.starts_anew:
        return f"when no {event} has come for {span}" + _unless(book, kept)
    return f"{span} after an event {event}" + _unless(book, kept)


def is_deadline(part: Expr) -> bool:
    """Tell whether a part of a condition is the deadline itself, of which `asked_when` says more."""
    return isinstance(part, Use) and part.operand.name.startswith(feature_name(""))


def _unless(book: Book, kept: Feature) -> str:
    timer = kept.timer
    if timer is None or timer.unless_type < 0:
        return ""
    return f", unless `{book.schema.types[timer.unless_type].name}` comes before"


def stays_of(book: Book, feature: Feature) -> str:
    """Say what is kept of an area; nothing of other features."""
    if feature.stays is None:
        return ""
    seen = ", ".join(f"`{book.schema.types[one.type].name}`" for one in feature.stays.sightings)
    return f"since when the subscriber is in area {feature.stays.area}, by {seen}"


def settling_of(feature: Feature) -> str:
    """Say what a feature takes in place of a field, and when that counts; nothing where it says neither."""
    text = f", as {canonical(feature.read)}" if feature.read is not None else ""
    if feature.settling is not None:
        held = f", or held for {duration_text(feature.settling.held_ms)}" if feature.settling.held_ms else ""
        text += f", once seen {feature.settling.sightings} times in a row{held}"
    return text

"""A rule in plain words: what it asks and keeps, what may stop it and in which order, and whom it meets.

Everything is read from the checked book; no data is looked at.
"""

from collections.abc import Iterable, Iterator, Mapping

from engine.answers.kept import asked_when, is_deadline, settling_of, stays_of
from engine.book.compiled import spec_of
from rules.expressions.tree import And, Expr
from rules.expressions.written import canonical
from rules.gates.table import features_read
from rules.gates.text import texts_of
from rules.model import Book, Cap, Feature, Rule, Window
from rules.spans import duration_text
from state.contacts import CHUNK, WORDS
from state.features import KINDS, columns_of
from state.features.kinds.list_words import LIST_KINDS

CONTACT_BYTES = WORDS * 8
CHUNK_BYTES = 4 + CHUNK * CONTACT_BYTES
PPM = 10_000


def explained(book: Book, rule: Rule) -> Iterator[str]:
    """Yield the lines of a rule's explanation."""
    asked = "asked" if rule.enabled else "switched off, else asked"
    shadow = "in shadow, " if rule.shadow else ""
    yield f"{rule.id}: {shadow}{asked} {asked_when(book, rule)}, priority {rule.priority}"
    yield ""
    yield "It fires where all of this is so:"
    yield from (f"  {canonical(part)}" for part in _parts(rule.when) if not is_deadline(part))
    yield ""
    yield from _state(book, rule)
    yield ""
    yield f"It offers {rule.offer or 'nothing'} as a {rule.klass} message of campaign {rule.campaign}, on:"
    for channel in rule.channels:
        text = rule.texts.get(channel)
        yield f"  {channel}: {text.text if text is not None else rule.reason.text}"
        told = ((name, texts[channel]) for name, texts in rule.arm_texts.items() if channel in texts)
        yield from (f"  {channel}, in arm {name}: {one.text}" for name, one in told)
    if rule.keep is not None:
        yield f"Whom it fires for is on list {rule.keep.list} for {duration_text(rule.keep.for_ms)} from then on."
    yield ""
    yield "What may stop it, in this order:"
    yield from (f"  {line}" for line in _gates(book, rule))
    yield ""
    meets = list(_meets(book, rule))
    yield "It meets these rules on the same event:" if meets else "It meets no other rule on the same event."
    yield from (f"  {line}" for line in meets)
    tests = sum(any(wanted.rule == rule.id for wanted in test.expect) for test in book.tests)
    yield f"{tests} test{'' if tests == 1 else 's'} of the book expect it."


def state_bytes(book: Book, rule: Rule) -> Mapping[Feature, int]:
    """Return what a rule reads of a subscriber's state, with the bytes that each costs a subscriber."""
    indices = {fact.index for fact in rule.facts if fact.source == "feature"} | set(features_read(book, rule))
    return state_bytes_of(book, [book.features[index] for index in sorted(indices)])


def state_bytes_of(book: Book, features: Iterable[Feature]) -> Mapping[Feature, int]:
    """Return the bytes that each of these features of a book costs a subscriber."""
    return {one: sum(column.row_bytes for column in columns_of(spec_of(one, book))) for one in features}


def _parts(when: Expr) -> Iterator[Expr]:
    if isinstance(when, And):
        for part in when.parts:
            yield from _parts(part)
    else:
        yield when


def _state(book: Book, rule: Rule) -> Iterator[str]:
    kept = state_bytes(book, rule)
    if not kept:
        yield "It keeps no state but the contacts that its caps count."
    else:
        yield f"It reads {sum(kept.values())} bytes of each subscriber's state; other rules may share them:"
        readers = [(other, state_bytes(book, other)) for other in book.rules if other.id != rule.id]
        for feature, size in kept.items():
            others = sum(feature in state for _, state in readers)
            yield f"  {feature.name}: {_feature(book, feature)}; {size} bytes, read by {others} other rules"
    yield f"  and {CHUNK_BYTES} bytes for each {CHUNK} contacts of a subscriber, those of all rules together"


def _feature(book: Book, feature: Feature) -> str:
    """Return what a feature keeps."""
    if feature.kind in LIST_KINDS:
        return "the lists that the subscriber is on"
    if feature.attribute:
        return "an attribute"
    if feature.stays is not None:
        return stays_of(book, feature)
    kind = book.schema.types[feature.source_type]
    if feature.sequence is not None:
        steps = ", ".join(book.schema.types[step.type].name for step in feature.sequence.steps)
        return f"of the steps {steps} within {duration_text(feature.sequence.within_ms)}"
    if KINDS[feature.kind].built_in:
        return f"kept for this call, of events `{kind.name}` {_window(feature.window)}"
    read = f".{kind.fields[feature.source_slot].name}" if feature.source_slot >= 0 else ""
    text = f"{feature.kind} of {kind.name}{read} {_window(feature.window)}"
    text += settling_of(feature) + (f", where {canonical(feature.where)}" if feature.where is not None else "")
    return text + (f", unknown for its first {duration_text(feature.learn_ms)}" if feature.learn_ms else "")


def _window(window: Window) -> str:
    if window.kind == "rolling":
        return f"over {duration_text(window.ms)}"
    return {"day": "of today", "month": "of this month", "ever": "ever"}[window.kind]


def _gates(book: Book, rule: Rule) -> Iterator[str]:
    """Yield the gates that can stop the rule, in their order (`rules.gates.order`)."""
    yield "paused: operations stopped it or its campaign"
    yield f"stale: the event is older than {duration_text(rule.max_age_ms)}"
    if rule.arm is not None and rule.arms is not None:
        yield f"arm: the subscriber is in another arm of {rule.arms.of} than {rule.arm}"
    offer = book.offers[rule.offer] if rule.offer is not None else None
    if offer is not None and (offer.requires or offer.unless_holds):
        needs = f"lacks {' or '.join(offer.requires)}; " if offer.requires else ""
        holds = f"holds {' or '.join(offer.unless_holds)}" if offer.unless_holds else ""
        yield f"eligibility: the subscriber {needs}{holds}".rstrip("; ")
    if rule.exclude:
        yield f"list: the subscriber is on {' or '.join(rule.exclude)}"
    if offer is not None and (offer.repeat_ms or offer.declined_hides_ms):
        repeat = f"made within {duration_text(offer.repeat_ms)}" if offer.repeat_ms else ""
        hides = f"declined within {duration_text(offer.declined_hides_ms)}" if offer.declined_hides_ms else ""
        yield f"offer: it was {' or '.join(filter(None, (repeat, hides)))}"
    yield "outranked: rules of a higher priority took the decisions that one event may have"
    for channel in rule.channels:
        yield from (f"on {channel}: {line}" for line in _channel_gates(book, rule, channel))
    if rule.shadow:
        yield "shadow: it only rehearses; no other rule sees what it would have sent"
        return
    yield from _holdout(book, rule)


def _channel_gates(book: Book, rule: Rule, channel: str) -> Iterator[str]:
    one = book.channels[channel]
    yield "paused: operations stopped the channel"
    if one.kind == "desk":
        yield "no visit: nobody stands at a desk"
    yield f"per event: the event has its {one.per_event_max} on this channel"
    needed = dict.fromkeys(name for text in texts_of(rule, channel) for name in text.needed)
    if needed and one.kind == "sms":
        yield f"text: one of {', '.join(needed)} is unknown"
    caps = [cap for cap in book.caps_of(rule, channel) if rule.klass != "service" or cap.scope in ("rule", "campaign")]
    yield from (f"cap: {_cap(cap)}" for cap in caps)
    yield "contacts full: no place is left to remember one contact more"


def _cap(cap: Cap) -> str:
    scope = "all messages together" if cap.scope == "all" else f"those of the {cap.scope}"
    period = duration_text(cap.window_ms) if cap.kind == "rolling" else f"calendar {cap.kind}"
    return f"at most {cap.count_max} per {period}, {scope}"


def _holdout(book: Book, rule: Rule) -> Iterator[str]:
    commercial = rule.klass == "commercial"
    shares = (
        ("the rule", rule.holdout_ppm),
        (f"campaign {rule.campaign}", book.campaigns[rule.campaign].holdout_ppm * commercial),
        ("the book", book.holdout_ppm * commercial),
        (f"the arms of {rule.arms.of}", rule.arms.control_ppm) if rule.arms is not None else ("", 0),
    )
    for name, ppm in shares:
        if ppm:
            yield f"holdout: {ppm / PPM:g}% are the control group of {name}"
    if rule.arms is not None:
        shares_told = ", ".join(f"{one.name} {one.ppm / PPM:g}%" for one in rule.arms.arms)
        yield f"arms of {rule.arms.of}: {shares_told}"


def _meets(book: Book, rule: Rule) -> Iterator[str]:
    """Yield the rules that can be candidates on the same event, with what both want."""
    for other in book.rules:
        if other.id == rule.id or other.on != rule.on or not other.enabled:
            continue
        both = [f"channel {name}" for name in rule.channels if name in other.channels]
        both += [f"offer {rule.offer}"] if rule.offer is not None and rule.offer == other.offer else []
        if both:
            ours, theirs = (-rule.priority, rule.id), (-other.priority, other.id)
            first = "goes before it" if theirs < ours else "comes after it"
            yield f"{other.id} (priority {other.priority}) {first}; both want {', '.join(both)}"

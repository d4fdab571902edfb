"""Rules: from a `[[rule]]` to a `Rule` with every name resolved.

A rule is compiled from its own block, its file's campaign and the names of the book. Compiled rules are remembered, for
two readings, by exactly these: a rule is compiled again when its text changed, or what one of its words means. A rule
with a fault is reported and left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rules.audience import read_audience
from rules.catalogue import OPT_OUT_LIST, Catalogue
from rules.codes import Code
from rules.collisions import Numbers
from rules.diagnostics import Diagnostic, nearest
from rules.draws import DrawReader, Draws, Write, read_draws
from rules.expressions import Expr, Operand, Scope
from rules.expressions.places import area_name
from rules.gaps import GapFault, facts_read, gap_fault, gap_operand, with_kinds
from rules.model import Channel, Keep, Rule
from rules.names import Names
from rules.priority import read_priority
from rules.reading import read_expression
from rules.sections import read_caps, read_duration
from rules.shape import Faults, Klass, RuleShape, read_block, salvage, shown
from rules.stays import StayReader, never_comes
from rules.templates import Gap, Template, TemplateFault, forbidden, parse
from rules.timer_keys import has_deadline
from rules.timers import Asked, TimerReader, uses_of
from rules.toml import Block, Document, Path
from state.hashing import stable_id
from state.schema import DUE

__all__ = ["RULES_MAX", "compile_rules"]

RULES_MAX = 20_000
UNSAID = "unsaid"
STAND_IN = {"id": UNSAID, "channels": [UNSAID]}
"""What takes the place of these two where they are wrong, while the rest of the rule is judged."""

_WORD = re.compile(r"[\w.]+")


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A compiled rule, and what every word of it meant."""

    rule: Rule
    on: str
    words: tuple[tuple[str, Operand | None], ...]

    def holds(self, names: Names) -> bool:
        """Whether all of its words still mean the same."""
        if names.catalogue.schema.codes.get(self.on) != self.rule.on:
            return False
        meaning = names.rule_scope(self.rule.on).names
        return all(meaning.get(word) == operand for word, operand in self.words)


Cache = dict[tuple[str, str, str, str], _Remembered]

_generations: list[Cache] = [{}, {}]


def compile_rules(documents: list[Document], names: Names, faults: Faults) -> tuple[tuple[Rule, ...], frozenset[str]]:
    """All rules of a book, best priority first, then by id; and the ids of those that are broken."""
    known, fresh = {**_generations[1], **_generations[0]}, Cache()
    key = _shared_key(names.catalogue, names.broken)
    found: dict[str, Rule] = {}
    numbers = Numbers("rules", faults)
    broken: set[str] = set()
    for document in documents:
        campaign = document.head.get("campaign", document.file.removesuffix(".toml"))
        for index, block in enumerate(document.rules):
            at = (document.file, block.key, str(campaign), key)
            kept = known.get(at)
            if kept is None or not kept.holds(names):
                kept = _compile(_Compiler(document, ("rule", index), names, faults), block, campaign)
            if kept is None:
                broken.add(str(block.data.get("id")) if isinstance(block.data, Mapping) else "")
                continue
            if not has_deadline(block.data) and not names.brought_in(kept.rule.facts):  # else made with its book
                fresh[at] = kept
            _enter(found, kept.rule, block, document, index, faults)
            numbers.add(kept.rule.stable_id, kept.rule.id, document, ("rule", index, "id"), key=False)
    _generations[:] = [fresh, _generations[0]]
    return tuple(sorted(found.values(), key=lambda rule: (-rule.priority, rule.id))), frozenset(broken)


def _shared_key(catalogue: Catalogue, broken: frozenset[str]) -> str:
    """Equal where all that a rule may name, other than fields, attributes and features, is equal."""
    parts = (
        catalogue.lists,
        catalogue.channels,
        catalogue.campaigns,
        catalogue.offers,
        catalogue.areas,
        catalogue.categories,
        catalogue.tables,
    )
    return repr((parts, catalogue.max_age_ms, catalogue.shelf_life_ms, sorted(broken)))


def _compile(compiler: _Compiler, block: Block, campaign: Any) -> _Remembered | None:
    rule = compiler.rule(block, campaign)
    if rule is None:
        return None
    if has_deadline(block.data):
        return _Remembered(rule, "", ())
    words = {*_WORD.findall(block.data.get("when", "")), str(block.data.get("priority", ""))}
    texts = (rule.reason, *rule.texts.values(), *(one for said in rule.arm_texts.values() for one in said.values()))
    words.update(("lists", "services"), (name for text in texts for name, _, _ in text.kinds))
    words.update(map(area_name, compiler.catalogue.areas))
    meaning = compiler.names.rule_scope(rule.on).names
    return _Remembered(rule, block.data["on"], tuple((word, meaning.get(word)) for word in sorted(words)))


def _enter(found: dict[str, Rule], rule: Rule, block: Block, document: Document, index: int, faults: Faults) -> None:
    """Put a rule among the others, at its line in this file."""
    twin = found.get(rule.id)
    if twin is not None:
        label = f"first at {twin.file}:{twin.line}"
        message = f"rule `{rule.id}` is declared twice"
        faults.add(Code.DECLARED_TWICE, document, ("rule", index, "id"), message, label=label)
        return
    line = block.line or document.line(("rule", index))
    found[rule.id] = rule if rule.line == line else replace(rule, line=line)


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles one rule; every method reports to the same faults."""

    document: Document
    path: Path
    names: Names
    faults: Faults

    @property
    def catalogue(self) -> Catalogue:
        return self.names.catalogue

    def fault(self, code: Code, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        self.faults.add(code, self.document, (*self.path, *path), message, hint=hint, key=key)

    def rule(self, block: Block, campaign: Any) -> Rule | None:
        """The rule, or None when anything about it is wrong."""
        before = len(self.faults.found)
        read = read_block(RuleShape, block, self.document, self.path, self.faults)
        shape = read or salvage(RuleShape, block.data, STAND_IN)
        if shape is None:
            return None
        channels = [found for index, name in enumerate(shape.channels) if (found := self._channel(index, name))]
        self._once(shape.channels, "channels")
        campaign = self._campaign(shape.campaign, campaign)
        offer = self._named(shape.offer, "offer", Code.UNKNOWN_OFFER, self.catalogue.offers)
        category = self._named(shape.category, "category", Code.UNKNOWN_CATEGORY, self.catalogue.categories)
        klass = self._klass(shape, channels)
        asked = self._asked(shape)
        if asked is None:
            return None
        code, scope, when, always = asked
        priority = read_priority(shape.priority, scope, self.names.broken, self.fault)
        reason = self._text(shape.reason if shape.reason is not None else shape.id, ("reason",), scope, offer)
        texts = {name: self._text(text, ("text", name), scope, offer) for name, text in shape.text.items()}
        self._texts_fit(shape, channels)
        draws = self._draws(shape, campaign, klass, lambda one, path: self._text(one, path, scope, offer))
        rule = {**self._numbers(shape), **draws.of_rule}
        rule["exclude"] = self._exclude(shape, channels, campaign, klass)
        wrong = len(self.faults.found) > before or len(channels) < len(shape.channels)
        if wrong or when is None or campaign is None or priority is None:
            return None
        asked_of = (*always, *uses_of(when), *priority.reads)
        return Rule(
            id=shape.id,
            stable_id=stable_id(shape.id),
            campaign=campaign,
            campaign_id=stable_id(campaign),
            on=code,
            when=when,
            channels=tuple(channel.name for channel in channels),
            channel_ids=tuple(channel.channel_id for channel in channels),
            offer=offer,
            priority=priority.number,
            reason=reason,
            texts=texts,
            klass=klass,
            facts=self._facts(asked_of, (reason, *texts.values(), *draws.said), scope, channels),
            enabled=shape.enabled,
            file=self.document.file,
            line=block.line,
            category=category,
            ranked_by=priority.ranked_by,
            **rule,
        )

    def _exclude(self, shape: RuleShape, channels: list[Channel], campaign: str | None, klass: str) -> tuple[str, ...]:
        """Return the lists whose members never get the rule: its own, those that exclude its class, its opt-outs.

        What a list excludes is sent to its members; an alert tells somebody else about them, so it is not excluded.
        """
        exclude = [name for index, name in enumerate(shape.exclude) if self._list(index, name)]
        if channels and all(channel.kind == "alert" for channel in channels):
            return tuple(dict.fromkeys(exclude))
        services = {shape.offer, campaign} if klass == "commercial" else set()
        only = {channel.name for channel in channels} if klass == "commercial" else set()
        services |= only if len(only) == 1 else set()
        own = {f"{OPT_OUT_LIST}.{service}" for service in services}
        lists = self.catalogue.lists.values()
        always = [one.name for one in lists if one.excludes in ("all", klass) or one.name in own]
        return tuple(dict.fromkeys((*exclude, *always)))

    def _keep(self, shape: RuleShape) -> Keep | None:
        """Return the audience that the rule keeps."""
        if shape.keep is None:
            return None
        self._named(shape.keep.list, "list", Code.UNKNOWN_LIST, self.catalogue.lists, ("keep", "list"))
        return read_audience(shape.keep, self.document, self.path, self.faults)

    def _draws(self, shape: RuleShape, campaign: str | None, klass: Klass, write: Write) -> Draws:
        """Who gets anything; a campaign draws its commercial rules alone."""
        of = self.catalogue.campaigns.get(campaign or "") if klass == "commercial" else None
        reader = DrawReader(self.document, self.path, self.faults)
        sure = campaign not in self.catalogue.broken
        return read_draws(shape, of.arms if of is not None else None, write, reader, sure=sure)

    def _asked(self, shape: RuleShape) -> Asked | None:
        """What asks the rule's question; None where nothing more can be said of the rule."""
        timed = TimerReader(self.document, self.path, self.names, self.faults)
        if shape.stays is not None or shape.leaves is not None:
            return StayReader(self.document, self.path, self.names, self.faults).read(shape)
        if shape.after is not None:
            return timed.read(shape)
        timed.refuse_alone(shape)
        if shape.on is None:
            self.fault(Code.MISSING_KEY, (), "`on` is missing", key=True)
            return None
        code = self.catalogue.schema.codes.get(shape.on)
        if code is None or shape.on == DUE.name:
            self._unknown_event(shape.on)
            return None
        scope = self.names.rule_scope(code)
        when = self._when("true" if shape.when is None else shape.when, scope)
        if why := never_comes(when, code, self.names):
            self.fault(Code.NEVER_FIRES, ("when",), why)
        return code, scope, when, ()

    def _facts(
        self, read: tuple[Operand, ...], texts: tuple[Template, ...], scope: Scope, channels: list[Channel]
    ) -> tuple[Operand, ...]:
        """What is journaled with a decision: what the rule reads, and the quiet hours where it sends texts."""
        facts = {operand.name: operand for operand in facts_read(read, texts, scope)}
        quiet = self.catalogue.quiet
        if quiet is not None and any(channel.kind == "sms" for channel in channels):
            facts |= {name: scope.names[name] for name in (quiet.start, quiet.end) if name not in facts}
        return tuple(facts.values())

    def _numbers(self, shape: RuleShape) -> dict[str, Any]:
        """Caps, times and the audience, which a rule in shadow does not keep: what depends on no other part."""
        keep = self._keep(shape)
        return {
            "keep": keep if not shape.shadow else None,
            "caps": read_caps(shape.cap, "rule", stable_id(shape.id), self.document, self.path, self.faults),
            "max_age_ms": self._duration(shape.max_age, "max_age", self.catalogue.max_age_ms),
            "shelf_life_ms": self._duration(shape.shelf_life, "shelf_life", self.catalogue.shelf_life_ms),
        }

    def _duration(self, text: str | None, name: str, default_ms: int) -> int:
        if text is None:
            return default_ms
        return read_duration(text, name, self.document, (*self.path, name), self.faults)

    def _unknown_event(self, name: str) -> None:
        if name == DUE.name:
            hint = 'write `after = "EVENT"` with `within`, `for` or `delay`'
            self.fault(
                Code.UNKNOWN_EVENT, ("on",), "`due` is a deadline, which no other rule is asked about", hint=hint
            )
        elif name not in self.names.broken:
            hint = nearest(name, self.catalogue.schema.codes)
            self.fault(Code.UNKNOWN_EVENT, ("on",), f"unknown event type `{name}`", hint=hint)

    def _channel(self, index: int, name: str) -> Channel | None:
        if self._named(name, "channel", Code.UNKNOWN_CHANNEL, self.catalogue.channels, ("channels", index)) is None:
            return None
        return self.catalogue.channels.get(name)

    def _list(self, index: int, name: str) -> bool:
        path: Path = ("exclude", index)
        return self._named(name, "list", Code.UNKNOWN_LIST, self.catalogue.lists, path) is not None

    def _campaign(self, own: str | None, of_file: Any) -> str | None:
        if own is None:
            return of_file if isinstance(of_file, str) else None
        return self._named(own, "campaign", Code.UNKNOWN_CAMPAIGN, self.catalogue.campaigns)

    def _named(
        self, name: str | None, what: str, code: Code, known: Mapping[str, object], path: Path = ()
    ) -> str | None:
        if name is None or name in known or name == UNSAID:
            return name
        if name not in self.catalogue.broken:
            self.fault(code, path or (what,), f"unknown {what} `{name}`", hint=nearest(name, known))
        return None

    def _once(self, given: list[str], key: str) -> None:
        for index, name in enumerate(given):
            if name in given[:index]:
                self.fault(Code.DECLARED_TWICE, (key, index), f"`{name}` stands twice in `{key}`")

    def _klass(self, shape: RuleShape, channels: list[Channel]) -> Klass:
        return shape.klass or next((channel.klass for channel in channels if channel.klass), None) or "commercial"

    def _when(self, text: str, scope: Scope) -> Expr | None:
        origin = self.document.origin((*self.path, "when"))
        return read_expression(text, origin, scope, self.names.broken, self.faults)

    def _text(self, text: str, path: Path, scope: Scope, offer: str | None) -> Template:
        """A text whose gaps are checked; faults are reported where they stand."""
        found = parse(text)
        sign = forbidden(text)
        if sign is not None:
            message = f"{sign[1]} is a sign that no text may have: it is not shown, or turns what is shown"
            found = TemplateFault(message, sign[0], sign[0] + 1)
        if isinstance(found, TemplateFault):
            faults = [GapFault(Code.BAD_TEMPLATE, found.message, found.start, found.end)]
            gaps: tuple[Gap, ...] = ()
        else:
            gaps = found.gaps
            judged = (gap_fault(gap, scope, offer) for gap in gaps if gap.name not in self.names.broken)
            faults = [fault for fault in judged if fault is not None]
        if faults:
            origin = self.document.origin((*self.path, *path))
            for fault in faults:
                place = origin.place(fault.start, fault.end)
                self.faults.extend([Diagnostic(fault.code, fault.message, place, "", fault.hint)])
        if isinstance(found, TemplateFault):
            return Template(text, (text,))
        if not gaps:
            return found
        return with_kinds(found, {name: gap_operand(name, scope) for name in found.names})

    def _texts_fit(self, shape: RuleShape, channels: list[Channel]) -> None:
        """Every SMS channel has its text; no text is for a channel that the rule does not use."""
        for channel in channels:
            if channel.kind == "sms" and not shape.text.get(channel.name):
                message = f"`text.{channel.name}` is missing: channel `{channel.name}` sends a text"
                self.fault(Code.MISSING_TEXT, (), message, key=True)
        unsure = len(channels) < len(shape.channels)
        for name in shape.text:
            if name not in shape.channels and not unsure:
                message = f"`text.{name}` is never sent: {shown(name)} is not among the rule's channels"
                self.fault(Code.UNUSED_TEXT, ("text", name), message, hint=nearest(name, shape.channels), key=True)

"""`contacted` and `answered`: what became of decisions, by the name of their rule, campaign or offer.

    contacted('NAME', 'SPAN')           outcomes: the contact reached the subscriber, or may have
    answered('NAME', 'WORD', 'SPAN')    answers of that word; 'reply': texts that were sent back

Each call brings a feature along, of the kind `told` (`state.features.kinds.told`), over the rows of the log that name
such decisions: so held-out subscribers were not contacted, and neither caps nor the bounded list of contacts matter.

A name that two kinds of things have is written 'rule:NAME'. The history belongs to the name, not to the rules that
stand behind it today: a campaign that gets another rule keeps it, a rule that is renamed begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import Expr, Operand, canonical, fold
from rules.expressions.context import is_text
from rules.expressions.refused import Refused
from rules.expressions.tree import Call, Compare, Literal, Use
from rules.features import EVER
from rules.model import Feature, Window
from rules.names import Names
from rules.spans import WINDOW_MS_MAX, WINDOW_MS_MIN, duration_hint, duration_ms
from rules.toml import Document
from state.hashing import stable_id
from state.schema import ANSWER, ANSWER_WORD, DECISION_RULE, OUTCOME, REPLY, REPLY_DECISION, Kind

__all__ = ["WORDS", "Told"]

WORDS = ("accept", "decline", "later", "expired", "withdrawn", "reply")
"""Answers that a rule may ask for; the last is a text that the subscriber sent."""
REPLIED = WORDS[-1]


@dataclass(frozen=True, slots=True)
class _Named:
    """What a name stands for: of which kind it is, and the rules behind it."""

    kind: str
    name: str
    rules: tuple[str, ...]


@dataclass
class Told:
    """Makes the features of a book that its calls bring along."""

    names: Names
    documents: list[Document]

    def asked(self, function: str, parts: tuple[Expr, ...]) -> Expr | Refused:
        """What a call asks of the feature that it reads."""
        for at, part in enumerate(parts):
            if not is_text(part):
                return Refused(Code.WRONG_ARGUMENTS, at, f"{function}() is given texts that are written out")
        texts = [str(part.value) for part in parts if isinstance(part, Literal)]
        word = texts.pop(1) if function == "answered" else ""
        if word and word not in WORDS:
            hint = nearest(word, WORDS) or f"there are: {', '.join(WORDS)}"
            return Refused(Code.WRONG_ARGUMENTS, 1, f"nobody answers `{word}`", hint)
        named = self._named(texts[0])
        if isinstance(named, Refused):
            return named
        window = EVER if len(texts) == 1 else _window(texts[1], len(parts) - 1)
        if isinstance(window, Refused):
            return window
        meaning = (function, named.kind, named.name, word, window.ms)
        print_ = blake2b(repr(meaning).encode(), digest_size=8).hexdigest()
        code, where = _rows(named, word)
        name = canonical(Call(function, parts, Kind.INT))
        made = Feature(name, "told", code, -1, where, window, Kind.INT, print_, meaning=print_)
        count = Use(self.names.bring(made))
        return fold.compare(">=", count, Literal(Kind.INT, 1)) if word else count

    def _named(self, text: str) -> _Named | Refused:
        """What a name stands for, or why it stands for nothing."""
        head, colon, tail = text.partition(":")
        kinds, name = ((head,), tail) if colon and head in self._known else (tuple(self._known), text)
        found = [kind for kind in kinds if name in self._known[kind]]
        if len(found) == 1:
            return _Named(found[0], name, self._known[found[0]][name])
        if found:
            kinds_text = " and ".join(f"{'an' if kind == 'offer' else 'a'} {kind}" for kind in found)
            hint = "write " + " or ".join(f"'{kind}:{name}'" for kind in found)
            return Refused(Code.NAME_CLASH, 0, f"`{name}` is the name of {kinds_text}", hint)
        if name in self.names.catalogue.channels:
            message = f"`{name}` is a channel: what became of a decision is told by its rule, campaign or offer"
            return Refused(Code.UNKNOWN_NAME, 0, message)
        there = nearest(name, {one for kind in kinds for one in self._known[kind]})
        return Refused(Code.UNKNOWN_NAME, 0, f"no {' or '.join(kinds)} is named `{name}`", there)

    @cached_property
    def _known(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """The rules behind each name, by the kind of its thing."""
        catalogue = self.names.catalogue
        rules: dict[str, tuple[str, ...]] = {}
        campaigns: dict[str, tuple[str, ...]] = dict.fromkeys(catalogue.campaigns, ())
        offers: dict[str, tuple[str, ...]] = dict.fromkeys(catalogue.offers, ())
        for name, campaign, offer in _rules_in(self.documents):
            rules[name] = (name,)
            for known, other in ((campaigns, campaign), (offers, offer)):
                if other in known:
                    known[other] = (*known[other], name)
        return {"rule": rules, "campaign": campaigns, "offer": offers}


def _rules_in(documents: list[Document]) -> Iterator[tuple[str, str, str]]:
    """Id, campaign and offer of every rule as it is written, before rules are judged."""
    for document in documents:
        campaign = document.head.get("campaign", document.file.removesuffix(".toml"))
        for block in document.rules:
            data = block.data if isinstance(block.data, Mapping) else {}
            yield str(data.get("id")), str(data.get("campaign", campaign)), str(data.get("offer", ""))


def _window(text: str, at: int) -> Window | Refused:
    ms = duration_ms(text)
    if ms is None:
        message = f'"{text}" must be a duration such as "30d"'
        return Refused(Code.BAD_DURATION, at, message, duration_hint(text))
    if not WINDOW_MS_MIN <= ms <= WINDOW_MS_MAX:
        return Refused(Code.OUT_OF_BOUNDS, at, f'"{text}" must be >= "1m" and <= "366d"')
    return Window("rolling", ms, 1)


def _rows(named: _Named, word: str) -> tuple[int, Expr]:
    """The type of the events that tell of such decisions, and which of them do."""
    numbers = [stable_id(rule) for rule in named.rules]
    if word == REPLIED:
        decision = Use(Operand("decision", "cell", REPLY_DECISION, Kind.STRING))
        ends = [Call("ends_with", (decision, Literal(Kind.STRING, f"-{number:x}")), Kind.BOOL) for number in numbers]
        return REPLY, fold.any_of(ends)
    of_rule = fold.one_of(Use(Operand("rule", "cell", DECISION_RULE, Kind.INT)), numbers)
    if not word:
        return OUTCOME, of_rule
    said = Use(Operand("answer", "cell", ANSWER_WORD, Kind.STRING))
    return ANSWER, fold.all_of([of_rule, Compare("==", said, Literal(Kind.STRING, word))])

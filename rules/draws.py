"""Who of a rule's candidates gets what: `holdout`, `arms`, `arm` and `shadow` of a rule, `arms` of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import Field

from rules.arms import ARMS_MAX, CONTROL, PPM, Arm, Arms, arms_of
from rules.codes import Code
from rules.diagnostics import nearest
from rules.sections import id_fault, read_percentage
from rules.shape import Faults, RuleShape, Shape, Text, read_shape, shown, type_word
from rules.templates import Template
from rules.toml import Document, Path

__all__ = ["DrawReader", "Draws", "Write", "read_draws", "read_shares"]

_SHARE_HINT = 'as in arms = { model = "40%", random = "40%", control = "20%" }'

Write = Callable[[str, Path], Template]
"""Reads a text of the rule at a path; what is wrong with it is reported there."""


class ArmShape(Shape):
    """One of `arms`: a share, or for a rule also what it says in place of the rule's texts."""

    share: str | None = None
    text: dict[str, Text] = Field(default_factory=dict)


class Draws(NamedTuple):
    """What a rule draws: fields of `rules.model.Rule`, and the texts among them."""

    of_rule: Mapping[str, Any]
    said: tuple[Template, ...]


def read_draws(shape: RuleShape, of_campaign: Arms | None, write: Write, reader: DrawReader, *, sure: bool) -> Draws:
    """What a rule draws; `of_campaign` are its campaign's arms, of which nothing is said where they are not `sure`."""
    holdout = shape.holdout or "0%"
    found: dict[str, Any] = {
        "holdout_ppm": reader.percentage(holdout, "holdout", ("holdout",)),
        "shadow": shape.shadow,
    }
    given = reader.given(shape.arms)
    own = any(one.share is not None for one in given.values())
    arms = reader.shares(given, f"rule {shape.id}", ("arms",)) if own else of_campaign
    if not own and sure:
        reader.judge_names(given, arms)
    texts = reader.texts(given, shape.channels, write)
    if shape.arm is not None and (own or sure):
        reader.judge_arm(shape.arm, arms, own=own)
    return Draws(
        found | {"arms": arms, "arm": shape.arm, "arm_texts": texts},
        tuple(one for by_channel in texts.values() for one in by_channel.values()),
    )


def read_shares(given: Mapping[str, Any], campaign: str, document: Document, path: Path, faults: Faults) -> Arms | None:
    """The arms of a campaign, None where it has none; its rules say what they say to each."""
    reader = DrawReader(document, path, faults)
    found = reader.given(given)
    for name, one in found.items():
        if one.text:
            message = "a campaign says nothing: `text` stands in `arms` of its rules"
            reader.fault(Code.UNKNOWN_KEY, ("arms", name, "text"), message, key=True)
    return reader.shares(found, f"campaign {campaign}", ("arms",)) if given else None


@dataclass(frozen=True, slots=True)
class DrawReader:
    """Reads what stands at a path; every method reports to the same faults."""

    document: Document
    path: Path
    faults: Faults

    def fault(self, code: Code, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        """Report a fault below the section's own place."""
        self.faults.add(code, self.document, (*self.path, *path), message, hint=hint, key=key)

    def percentage(self, text: str, name: str, path: Path) -> int:
        """Millionths."""
        return read_percentage(text, name, self.document, (*self.path, *path), self.faults)

    def given(self, arms: Mapping[str, Any]) -> dict[str, ArmShape]:
        """What is said of each arm, in its shape."""
        found = {}
        for name, value in arms.items():
            path: Path = ("arms", name)
            wrong = id_fault(name)
            if wrong:
                self.fault(Code.BAD_NAME, path, wrong, key=True)
            if not isinstance(value, str | dict):
                message = f'arm `{name}` is a share such as "40%", or a table, not {type_word(value)}'
                self.fault(Code.WRONG_SHAPE, path, message, hint=_SHARE_HINT)
                continue
            data = {"share": value} if isinstance(value, str) else value
            shape = read_shape(ArmShape, data, self.document, (*self.path, *path), self.faults)
            if shape is not None and not wrong:
                found[name] = shape
        return found

    def shares(self, given: Mapping[str, ArmShape], of: str, path: Path) -> Arms | None:
        """The arms with their shares, which must be the whole; None where anything is wrong."""
        before = len(self.faults.found)
        arms = [Arm(name, self._share(name, one, path)) for name, one in given.items()]
        if len(self.faults.found) > before:
            return None
        if not 2 <= len(arms) <= ARMS_MAX:
            self.fault(Code.OUT_OF_BOUNDS, path, f"length of arms={len(arms)} must be >= 2 and <= {ARMS_MAX}")
            return None
        total = sum(one.ppm for one in arms)
        if total != PPM:
            message = f"the shares of all arms come to {total / 10_000:g}%, and must to 100%"
            self.fault(Code.BAD_PERCENTAGE, path, message, hint=_SHARE_HINT)
            return None
        return arms_of(of, arms)

    def _share(self, name: str, one: ArmShape, path: Path) -> int:
        if one.share is None:
            self.fault(Code.MISSING_KEY, (*path, name), f"`share` of arm `{name}` is missing", key=True)
            return 0
        return self.percentage(one.share, name, (*path, name))

    def texts(self, given: Mapping[str, ArmShape], channels: list[str], write: Write) -> dict[str, dict[str, Template]]:
        """What arms say in place of the rule's texts."""
        found: dict[str, dict[str, Template]] = {}
        for name, one in given.items():
            for channel, words in one.text.items():
                path: Path = ("arms", name, "text", channel)
                if name == CONTROL:
                    message = f"this text is never sent: the arm `{CONTROL}` gets nothing"
                    self.fault(Code.UNUSED_TEXT, path, message, key=True)
                elif channel not in channels:
                    message = f"this text is never sent: {shown(channel)} is not among the rule's channels"
                    self.fault(Code.UNUSED_TEXT, path, message, hint=nearest(channel, channels), key=True)
                else:
                    found.setdefault(name, {})[channel] = write(words, path)
        return found

    def judge_names(self, given: Mapping[str, ArmShape], arms: Arms | None) -> None:
        """Arms without shares are the campaign's."""
        for name in given:
            self._known(name, arms, ("arms", name))

    def judge_arm(self, arm: str, arms: Arms | None, *, own: bool) -> None:
        """`arm` names one of the campaign's, which gets something."""
        if own:
            message = "a rule is for one `arm` of its campaign, or has `arms` of its own"
            self.fault(Code.CHOOSE_ONE, ("arm",), message, key=True)
        elif arm == CONTROL:
            self.fault(Code.NEVER_FIRES, ("arm",), f"the arm `{CONTROL}` gets nothing: this rule would never fire")
        else:
            self._known(arm, arms, ("arm",), key=False)

    def _known(self, name: str, arms: Arms | None, path: Path, *, key: bool = True) -> None:
        if arms is None:
            message = f"unknown arm `{name}`: the campaign has no arms for this rule"
            hint = "[campaigns.ID] arms; they are for commercial rules"
            self.fault(Code.UNKNOWN_ARM, path, message, hint=hint, key=key)
        elif name not in arms.names:
            self.fault(Code.UNKNOWN_ARM, path, f"unknown arm `{name}`", hint=nearest(name, arms.names), key=key)

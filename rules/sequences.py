"""`[sequences.NAME]`: steps that follow each other within a span, and how far a subscriber has come.

    within = DURATION                   from the first step's event to the last one's
    steps  = [{ name = NAME, event = NAME, where = EXPRESSION }, ...]
    runs_max = 4                        only where steps look at earlier ones

A step's `where` sees its event and the attributes, as that of a feature, and fields of the steps before it that have a
name: `look.offer`. These stand in comparisons with a field of its own, joined by `and`: `offer == look.offer`.

Each sequence is a feature of the kind `sequence` (`state.features.kinds.sequence`): the number of the step that the run
has taken which is furthest; on the row that ends one, the number of all. `step('NAME')` reads it, `completed('NAME')`
asks whether it is that number. The history belongs to the name and the steps; another span holds for open runs too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Annotated, Any

from pydantic import Field

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import Expr, Operand, canonical, fold, meaning
from rules.expressions.atoms import LEFT_OF
from rules.expressions.functions import reads_local_time
from rules.expressions.refused import Refused
from rules.expressions.tree import And, Call, Compare, Literal, Use, operands
from rules.features import EVER, read_where
from rules.model import Feature
from rules.names import Names
from rules.sections import Declared, identifier_fault, read_reach, sections
from rules.shape import Faults, Shape, read_shape
from rules.steps import Compared, Sequence, Step
from rules.toml import Document, Path
from state.features.kinds.sequence import CAPTURES_MAX, STEPS_MAX
from state.schema import DUE, PROFILE, Kind

__all__ = ["SEQUENCES_MAX", "asked_of", "compile_sequences"]

SEQUENCES_MAX = 500
RUNS_MAX_DEFAULT = 4
SPAN_MS_MIN = 1_000


class StepShape(Shape):
    """One of `steps`."""

    event: str
    name: str | None = None
    where: str | None = None


class SequenceShape(Shape):
    """`[sequences.NAME]`."""

    within: str
    steps: Annotated[list[dict[str, Any]], Field(min_length=2, max_length=STEPS_MAX)]
    runs_max: Annotated[int, Field(ge=1, le=16)] | None = None


def compile_sequences(documents: list[Document], names: Names, faults: Faults) -> Mapping[str, Expr]:
    """Enter the features of all sequences; return by name what reads the step, and None of one that is broken."""
    broken: set[str] = set()
    essential = frozenset({"steps", "within"})
    found: dict[str, Expr] = {}
    every = list(sections("sequences", SequenceShape, documents, faults, broken, identifier_fault, essential))
    for one in every:
        feature = _Reader(one, names, faults).feature()
        if feature is None:
            broken.add(one.name)
        else:
            found[one.name] = Use(names.bring(feature))
    names.broken |= broken
    if len(every) > SEQUENCES_MAX:
        document = next(document for document in documents if "sequences" in document.head)
        message = f"sequences={len(every)} must be <= {SEQUENCES_MAX}"
        faults.add(Code.OUT_OF_BOUNDS, document, ("sequences",), message, key=True)
    return found


def asked_of(found: Mapping[str, Expr], names: Names, function: str, parts: tuple[Expr, ...]) -> Expr | Refused:
    """What `step('NAME')` and `completed('NAME')` read."""
    part = parts[0]
    if not (isinstance(part, Literal) and isinstance(part.value, str)):
        return Refused(Code.WRONG_ARGUMENTS, 0, "a sequence must be written out as a text")
    step = found.get(part.value)
    if not isinstance(step, Use):
        hint = nearest(part.value, found)
        return Refused(Code.UNKNOWN_NAME, 0, f"unknown sequence `{part.value}`", hint)
    if function == "step":
        return step
    sequence = names.timers[step.operand.index - names.first_timer].sequence
    assert sequence is not None
    return fold.compare("==", step, Literal(Kind.INT, len(sequence.steps)))


@dataclass(slots=True)
class _Reader:
    """Reads one sequence; every method reports to the same faults."""

    one: Declared[SequenceShape]
    names: Names
    faults: Faults

    def fault(self, code: Code, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        """Report a fault of the sequence."""
        self.faults.add(code, self.one.document, (*self.one.path, *path), message, hint=hint, key=key)

    def feature(self) -> Feature | None:
        """The feature that keeps its runs; None where anything about it is wrong."""
        before = len(self.faults.found)
        shape, path = self.one.shape, (*self.one.path, "within")
        within_ms = read_reach(shape.within, "within", self.one.document, path, self.faults)
        if 0 < within_ms < SPAN_MS_MIN:
            self.fault(Code.OUT_OF_BOUNDS, ("within",), f'within="{shape.within}" must be >= "1s"')
        read = self._steps(shape)
        if read is None or len(self.faults.found) > before:
            return None
        steps = self._numbered(read)
        taken = sum(len(step.taken) for step in steps)
        if taken > CAPTURES_MAX:
            message = f"fields of earlier steps={taken} must be <= {CAPTURES_MAX}"
            self.fault(Code.OUT_OF_BOUNDS, ("steps",), message, key=True)
        if shape.runs_max is not None and not taken:
            hint = "without comparisons the run that began last stands for all"
            message = "`runs_max` is of steps that look at earlier ones"
            self.fault(Code.KEY_ALONE, ("runs_max",), message, hint=hint, key=True)
        if len(self.faults.found) > before:
            return None
        places = (shape.runs_max or RUNS_MAX_DEFAULT) if taken else len(steps) - 1
        sequence = Sequence(self.one.name, within_ms, places, steps)
        name = canonical(Call("step", (Literal(Kind.STRING, self.one.name),), Kind.INT))
        prints = [self._print(sequence, text_of) for text_of in (canonical, meaning)]
        first = steps[0].type
        return Feature(
            name, "sequence", first, -1, None, EVER, Kind.INT, prints[0], meaning=prints[1], sequence=sequence
        )

    def _steps(self, shape: SequenceShape) -> list[_Read] | None:
        """The steps as they are read one after the other, each seeing the fields of those before it."""
        read: list[_Read] = []
        is_whole = True
        for at, given in enumerate(shape.steps):
            step = read_shape(StepShape, given, self.one.document, (*self.one.path, "steps", at), self.faults)
            if step is None:
                is_whole = False
                continue
            code = self._event(step, at)
            self._name(step, at, [one.name for one in read])
            if code is None:
                is_whole = False
                continue
            made = _Read(step.name or "", code, fold.TRUE, [])
            if step.where is not None and not self._where(step.where, at, made, read):
                is_whole = False
            read.append(made)
        return read if is_whole else None

    def _event(self, step: StepShape, at: int) -> int | None:
        schema = self.names.catalogue.schema
        if step.event in schema.codes and step.event != DUE.name:
            return schema.code(step.event)
        if step.event not in self.names.broken:
            hint = nearest(step.event, [one for one in schema.codes if one != DUE.name])
            self.fault(Code.UNKNOWN_EVENT, ("steps", at, "event"), f"unknown event type `{step.event}`", hint=hint)
        return None

    def _name(self, step: StepShape, at: int, before: list[str]) -> None:
        """A step's name is no other step's, and no event type's: `look.offer` must mean one thing."""
        if step.name is None:
            return
        fault = identifier_fault(step.name)
        if fault:
            self.fault(Code.BAD_NAME, ("steps", at, "name"), fault)
        elif step.name in before:
            self.fault(Code.DECLARED_TWICE, ("steps", at, "name"), f"two steps are named `{step.name}`")
        elif step.name in self.names.catalogue.schema.codes:
            message = f"a step has the name of the event type `{step.name}`"
            hint = f"`{step.name}.x` would be a field of its own event, and one of the step's"
            self.fault(Code.NAME_CLASH, ("steps", at, "name"), message, hint=hint)

    def _where(self, text: str, at: int, made: _Read, before: list[_Read]) -> bool:
        """Read a step's condition, and part what is compared with earlier steps from what its event alone must be."""
        path: Path = ("steps", at, "where")
        scope = self.names.where_scope(made.code)
        scope = replace(scope, names={**self._earlier(before), **scope.names})
        origin = self.one.document.origin((*self.one.path, *path))
        found = read_where(text, origin, made.code, self.names, self.faults, scope)
        if found is None:
            return False
        own: list[Expr] = []
        for part in found.parts if isinstance(found, And) else (found,):
            if not any(operand.source == "step" for operand in operands(part)):
                own.append(part)
            elif (compared := _compared(part)) is not None:
                made.compared.append(compared)
            else:
                message = (
                    f"`{canonical(part)}` looks at an earlier step: it must compare one of its fields with an own one"
                )
                hint = f"as in `{_example(made, before, self.names)}`, joined by `and`"
                self.fault(Code.WRONG_ARGUMENTS, path, message, hint=hint)
                return False
        made.where = fold.all_of(own)
        return True

    def _earlier(self, before: list[_Read]) -> Mapping[str, Operand]:
        """The fields of earlier steps; the index says which step's, and its slot."""
        types = self.names.catalogue.schema.types
        return {
            f"{step.name}.{field.name}": Operand(f"{step.name}.{field.name}", "step", at << 8 | slot, field.kind)
            for at, step in enumerate(before)
            if step.name
            for slot, field in enumerate(types[step.code].fields)
            if field.kind is not Kind.SET
        }

    def _numbered(self, read: list[_Read]) -> tuple[Step, ...]:
        """The steps with what later ones look at, numbered through all of them by step and name."""
        types = self.names.catalogue.schema.types

        def place(index: int) -> tuple[int, str]:
            at, slot = index >> 8, index & 255
            return at, types[read[at].code].fields[slot].name

        wanted = sorted({one.taken for step in read for one in step.compared}, key=place)
        return tuple(
            Step(
                step.name,
                step.code,
                step.where if step.where is not fold.TRUE else None,
                tuple(index & 255 for index in wanted if index >> 8 == at),
                tuple(replace(one, taken=wanted.index(one.taken)) for one in step.compared),
            )
            for at, step in enumerate(read)
        )

    def _print(self, sequence: Sequence, text_of: object) -> str:
        """What gives the history its meaning: the name, the steps, and how many runs there is room for."""
        write = canonical if text_of is canonical else meaning
        types = self.names.catalogue.schema.types
        wheres = [step.where for step in sequence.steps if step.where is not None]
        parts = [
            (
                types[step.type].name,
                write(step.where) if step.where is not None else "",
                tuple(types[step.type].fields[slot].name for slot in step.taken),
                tuple(
                    (one.op, types[step.type].fields[one.slot].name, one.taken, one.kind.name) for one in step.compared
                ),
            )
            for step in sequence.steps
        ]
        zone = self.names.catalogue.zone if any(reads_local_time(one) for one in wheres) else ""
        whole = ("sequence", sequence.name, sequence.places, parts, zone)
        return blake2b(repr(whole).encode(), digest_size=8).hexdigest()


@dataclass(slots=True)
class _Read:
    """A step as it is read; `compared` are the comparison, the own slot, and the earlier step's field."""

    name: str
    code: int
    where: Expr
    compared: list[Compared]


def _compared(part: Expr) -> Compared | None:
    """A comparison of an own field with one of an earlier step; the number is still the operand's index."""
    if not (isinstance(part, Compare) and isinstance(part.left, Use) and isinstance(part.right, Use)):
        return None
    op, own, other = part.op, part.left.operand, part.right.operand
    if own.source == "step":
        op, own, other = LEFT_OF[op], other, own
    if own.source != "cell" or other.source != "step":
        return None
    return Compared(op, own.index, other.index, own.kind)


def _example(made: _Read, before: list[_Read], names: Names) -> str:
    """A comparison that might have been meant."""
    types = names.catalogue.schema.types
    for step in before:
        for field in types[step.code].fields if step.name else ():
            if made.code != PROFILE and field.name in types[made.code].slots:
                return f"{field.name} == {step.name}.{field.name}"
    return "x == look.x"

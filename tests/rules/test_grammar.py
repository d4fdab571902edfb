"""The grammar told in `rules` is the grammar that is read."""

import re
import textwrap

import pytest
from pydantic import BaseModel

import rules
from rules import areas, promise_shapes, shape
from rules.goals import GoalShape
from rules.load import load_text
from state.features import BOOK_KINDS, FeatureKind
from state.listing import modules_in

GRAMMAR = rules.__doc__ or ""
SECTIONS: dict[str, type[BaseModel]] = {
    "[book]": shape.BookShape,
    "[events.NAME]": shape.EventShape,
    "[lists.ID]": shape.ListShape,
    "[channels.ID]": shape.ChannelShape,
    "[campaigns.ID]": shape.CampaignShape,
    "[offers.ID]": shape.OfferShape,
    "[areas.ID]": areas.AreaShape,
    "[features.NAME]": shape.FeatureShape,
    "[values.NAME]": shape.ValueShape,
    "[tables.ID]": shape.TableShape,
    "[[rule]]": shape.RuleShape,
    "[[goal]]": GoalShape,
    "[[test]]": promise_shapes.TestShape,
}


def told(section: str) -> str:
    """The part of the grammar about a section."""
    return GRAMMAR.partition(f"## {section}")[2].partition("\n## ")[0]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_told(section: str) -> None:
    words = told(section).replace(",", " ").replace(".", " ").split()

    for name, field in SECTIONS[section].model_fields.items():
        assert (field.alias or name) in words


@pytest.mark.parametrize("kind", BOOK_KINDS.values(), ids=BOOK_KINDS)
def test_every_kind_of_feature_is_told_in_its_file(kind: FeatureKind) -> None:
    module = next(one for one in modules_in("state.features.kinds") if one.KIND is kind)

    assert re.match(rf"{kind.name}: \w.+\.", module.__doc__ or "")
    assert "state/features/kinds" in told("[features.NAME]")
    assert set(shape.FEATURE_SHAPE.model_fields) == {*BOOK_KINDS, *shape.FeatureShape.model_fields}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_plain_default_is_told(section: str) -> None:
    for name, field in SECTIONS[section].model_fields.items():
        if isinstance(field.default, int | str) and not isinstance(field.default, bool) and field.default != "":
            entry = re.search(rf"^    {field.alias or name} .*(?:\n {{8,}}.*)*", told(section), re.MULTILINE)
            assert entry is not None
            assert str(field.default) in entry[0]


def test_the_example_is_a_rule() -> None:
    example = textwrap.dedent(GRAMMAR.partition("# Example\n")[2])
    around = """
[events.call]
fields = { kind = "string" }
[attributes]
name = "string"
services = { set = ["12593"] }
[channels.sms]
[channels.desk]
[offers.12593]
"""

    made = load_text({"around.toml": around, "example.toml": example})

    assert [rule.id for rule in made.rules] == ["first-long-distance"]
    assert made.features[-1].name == "long_calls"

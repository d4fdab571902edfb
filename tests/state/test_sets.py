"""Sets of more members than a word has bits: their words, in rows, under other schemas and as values."""

import pytest

from state.batch import Row, from_rows, remap
from state.schema import MEMBERS_MAX, Kind, Schema, make_schema
from state.sets import cells_of, is_further, set_fields, set_of, together, word_name, words_of

MANY = tuple(f"m{number}" for number in range(150))


def schema_of(*members: str) -> Schema:
    return make_schema(tuple(set_fields("services", members)), ())


def held(schema: Schema, cells: list[int]) -> set[str]:
    fields = schema.types[0].fields
    return {
        member
        for one, cell in zip(fields, cells, strict=False)
        for bit, member in enumerate(one.members)
        if cell >> bit & 1
    }


def test_a_set_is_as_many_words_as_its_members_need() -> None:
    assert [len(one) for one in words_of(MANY)] == [MEMBERS_MAX, MEMBERS_MAX, 150 - 2 * MEMBERS_MAX]
    assert words_of(()) == [()]
    assert [one.name for one in set_fields("s", MANY)] == ["s", "s+1", "s+2"]
    assert [set_of(word_name("s", word)) for word in range(3)] == ["s", "s", "s"]
    assert [is_further(word_name("s", word)) for word in range(3)] == [False, True, True]


def test_a_row_holds_members_of_every_word_and_knows_all_of_them() -> None:
    schema = schema_of(*MANY)
    batch = from_rows(schema, [Row("profile", 1, 0, {"services": ["m0", "m61", "m62", "m149"]}), Row("profile", 2, 0)])

    assert held(schema, batch.cells[:, 0].tolist()) == {"m0", "m61", "m62", "m149"}
    assert batch.present.tolist() == [0b111, 0]


def test_a_member_that_is_not_declared_is_named() -> None:
    with pytest.raises(ValueError, match="zz"):
        cells_of(set_fields("s", MANY), ["m1", "zz"])


@pytest.mark.parametrize("members", [MANY[::-1], MANY[100:], MANY[:3], (*MANY, "more")])
def test_members_find_their_words_under_another_schema_by_name(members: tuple[str, ...]) -> None:
    told = {"m0", "m61", "m62", "m149", "m101"}
    before, after = schema_of(*MANY), schema_of(*members)

    batch = remap(from_rows(before, [Row("profile", 1, 0, {"services": sorted(told)})]), after)

    assert held(after, batch.cells[:, 0].tolist()) == told.intersection(members)
    assert batch.present[0] == (1 << len(after.types[0].fields)) - 1


def test_the_words_of_a_set_are_one_value_again() -> None:
    values = [("s", ["a"]), ("s+1", None), ("s+2", ["c"]), ("n", 5), ("u", None), ("u+1", None)]

    assert together(values) == {"s": ["a", "c"], "n": 5, "u": None}


def test_a_set_with_more_words_than_a_type_has_fields_is_refused() -> None:
    assert all(one.kind == Kind.SET for one in set_fields("s", MANY))
    with pytest.raises(ValueError, match="fields of event profile=63 must be <= 62"):
        schema_of(*(str(number) for number in range(62 * 62 + 1)))

"""Keys of different kinds never meet, and a subscriber's key is its number."""

import pytest

from state.key_kinds import ENTITY, KIND_MAX, NUMBER_MAX, PSEUDONYM, SUBSCRIBER, key_of, kind_of


def test_the_key_of_a_subscriber_is_its_number() -> None:
    for number in (1, 8613800000001, 999_999_999_999_999):
        assert key_of(SUBSCRIBER, number) == number
        assert kind_of(number) == SUBSCRIBER


def test_equal_numbers_of_different_kinds_are_different_keys_that_say_their_kind() -> None:
    kinds = (SUBSCRIBER, PSEUDONYM, ENTITY, KIND_MAX)
    keys = [key_of(kind, number) for kind in kinds for number in (1, NUMBER_MAX)]
    assert len(set(keys)) == 8
    assert [kind_of(key) for key in keys] == [kind for kind in kinds for _ in range(2)]
    assert all(0 < key < 1 << 63 for key in keys)


@pytest.mark.parametrize(
    ("kind", "number", "fault"),
    [
        (128, 1, "kind of key=128 must be >= 0 and <= 127"),
        (-1, 1, "kind of key=-1 must be >= 0 and <= 127"),
        (0, 0, "number=0 must be > 0 and <= 72057594037927935"),
        (1, 1 << 56, "number=72057594037927936 must be > 0 and <= 72057594037927935"),
    ],
)
def test_a_kind_or_a_number_out_of_bounds_is_refused(kind: int, number: int, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        key_of(kind, number)

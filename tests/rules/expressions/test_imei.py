"""An IMEI is the same handset in each of its forms, and a dummy is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.expressions.functions.imei import plain_imei
from rules.expressions.signature import Example
from tests.rules.expressions.examples import interpreted, kernel_agrees

DUMMIES = ["0" * 14, "0" * 15, "0" * 16, "1" * 15, "9" * 16, "012345678901234", "123456789012345", "000000000000001"]
NO_IMEI = [
    "",
    "3520990017614",
    "35209900176148234",
    "35209900176148x",
    "35209900-176148",
    "３５２０９９００１７６１４８",
    "-35209900176148",
]


@pytest.mark.parametrize("end", ["", "2", "23"])
def test_all_forms_of_an_imei_are_one_handset(end: str) -> None:
    assert plain_imei("35209900176148" + end) == "35209900176148"


@pytest.mark.parametrize("text", [*DUMMIES, *NO_IMEI])
def test_a_dummy_names_no_handset_and_no_type(text: str) -> None:
    for function in ("imei", "imei_tac"):
        example = Example(f"{function}(x)", {"x": text}, gives=None)

        assert interpreted(example) is None
        assert kernel_agrees(example)


@given(text=st.text("0123456789", max_size=18) | st.text(max_size=18))
def test_kernel_and_interpreter_take_the_same_texts_for_handsets(text: str) -> None:
    for function in ("imei", "imei_tac"):
        found = interpreted(Example(f"{function}(x)", {"x": text}, gives=None))

        assert kernel_agrees(Example(f"{function}(x)", {"x": text}, gives=found))

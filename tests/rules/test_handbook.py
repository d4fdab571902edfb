"""The examples of the handbook are books that load, and their tests pass."""

import re
from pathlib import Path

import pytest

from engine.runtimes.rehearsal import run_scenarios
from rules.load import load_text

HANDBOOK = (Path(__file__).parents[2] / "rules" / "README.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", HANDBOOK, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_handbook_does_what_it_says(text: str) -> None:
    book = load_text({"example.toml": text})

    results = list(run_scenarios(book))
    assert results
    assert [fault for result in results for fault in result.faults] == []


def test_the_handbook_has_examples() -> None:
    assert EXAMPLES

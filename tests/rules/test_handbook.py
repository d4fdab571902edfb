"""Every example of rules/README.md is read, and its tests pass."""

import re
from pathlib import Path

import pytest

from engine.runtimes.rehearsal import run_scenarios
from rules.load import load_text

PAGE = (Path(__file__).parents[2] / "rules" / "README.md").read_text(encoding="utf-8")
HEAD, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
ALONE = "[events."
"""What says that an example is a whole book and stands without the beginning of the page."""
BLOCK = re.compile(r"^```(toml|csv) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(section: str) -> dict[str, str]:
    """The files of a section's book: the beginning that most share, its TOML, and the tables beside it."""
    files = {} if ALONE in section else {"beginning.toml": BLOCK.findall(HEAD)[0][2]}
    for number, (_, name, text) in enumerate(BLOCK.findall(section)):
        files[name or f"example-{number}.toml"] = text
    return files


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.partition("\n")[0])
def test_an_example_of_the_handbook_does_what_its_tests_promise(section: str) -> None:
    book = load_text(files_of(section))

    results = list(run_scenarios(book, 24))

    assert [(result.scenario.name, result.faults) for result in results if result.faults] == []
    assert book.rules
    assert results

"""What the README promises: its commands are one line each, and CI runs its test command and nothing weaker."""

import re
import subprocess
from pathlib import Path

import pytest

from engine.commands import command_names
from rules.diagnostics import BookErrors
from rules.load import load_text, read_folder

ROOT = Path(__file__).parents[1]


def blocks(language: str = "sh") -> list[str]:
    """The README's blocks in a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_first_two_blocks_are_one_line_each() -> None:
    first, second = blocks()[:2]

    assert first.count("\n") == second.count("\n") == 1
    assert "opportune run --drain" in first
    assert "pytest" in second


def test_ci_runs_the_test_command_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(readme.replace(blocks()[1], "echo CI is $CI\n"), encoding="utf-8")

    done = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "+ echo CI is $CI\nCI is true\n"


def test_every_command_in_the_readme_exists() -> None:
    called = set(re.findall(r"^(?:\S+/)?opportune (\w+)", "".join(blocks()[2:]), re.MULTILINE))

    assert called <= set(command_names())


def test_the_rule_shown_stands_in_the_shipped_book() -> None:
    shipped = (ROOT / "rules" / "book" / "12593-care.toml").read_text(encoding="utf-8").splitlines()

    assert set(blocks("toml")[0].splitlines()) <= set(shipped)


def test_the_fault_shown_is_what_a_slip_prints() -> None:
    texts = read_folder(ROOT / "rules" / "book")
    texts["12593-care.toml"] = texts["12593-care.toml"].replace("long_calls == 1", "long_cals == 1")

    with pytest.raises(BookErrors) as caught:
        load_text(texts)

    assert [f"{fault}\n" for fault in caught.value.diagnostics] == blocks("text")


def test_no_registry_is_named_in_the_locked_requirements() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert all("==" in line for line in text.splitlines() if line and line[0].isalnum())


def test_the_security_list_names_every_path_that_a_worker_serves() -> None:
    listed = (ROOT / "engine" / "README.md").read_text(encoding="utf-8").split("\n## Security\n")[1].split("\n## ")[0]
    front = (ROOT / "engine" / "serve" / "face.py").read_text(encoding="utf-8")
    desk = (ROOT / "connectors" / "desk" / "routes.py").read_text(encoding="utf-8")
    served = re.findall(r'front\.\w+\("(/\w+)"', front) + re.findall(r'web\.\w+\("(/[^"]+)", handlers', desk)

    assert len(served) > 12
    named = {re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path) for path in served}
    assert {path for path in named if not re.search(rf"[` ]{path}`", listed)} == set()

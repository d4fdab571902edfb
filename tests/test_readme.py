"""What the README promises: its commands are one line each, and CI runs its test command and nothing weaker."""

import re
import subprocess
from pathlib import Path

from engine.commands import COMMANDS

ROOT = Path(__file__).parents[1]


def blocks() -> list[str]:
    """The sh blocks of the README."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


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

    assert called <= set(COMMANDS)


def test_no_registry_is_named_in_the_locked_requirements() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert all("==" in line for line in text.splitlines() if line and line[0].isalnum())

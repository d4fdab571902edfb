"""A command is one file; the overview lists them all and loads none of what they run with."""

import importlib
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import engine.commands
from engine.commands import command_names, main, parser_of

GREET = """
HELP = "Greet somebody."


def add_arguments(parser):
    parser.add_argument("name")


def run(args):
    print(f"Hello {args.name}, as {args.config} says.")
    return 3
"""

HEAVY = ("aiohttp", "aiokafka", "asyncio", "faust", "numba", "numpy", "orjson", "pydantic", "state")
LISTING = ("state", "state.listing")
"""What lists the commands; it loads nothing else."""


def test_a_new_command_is_one_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greet.py").write_text(GREET)
    monkeypatch.setattr(engine.commands, "__path__", [*engine.commands.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "engine.commands.greet", raising=False)

    assert main(["greet", "Anna", "--config", "other.toml"]) == 3
    assert capsys.readouterr().out == "Hello Anna, as other.toml says.\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"^ +greet +Greet somebody\.$", capsys.readouterr().out, re.MULTILINE)
    assert main(["gret"]) == 2
    assert "did you mean greet?" in capsys.readouterr().err
    sys.modules.pop("engine.commands.greet")


def test_the_overview_lists_every_command_and_loads_no_library() -> None:
    program = (
        "import sys; from engine.commands import main\n"
        "try: main(['--help'])\n"
        f"finally: sys.stderr.write(' '.join(one for one in sys.modules"
        f" if one.partition('.')[0] in {HEAVY!r} and one not in {LISTING!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert tuple(re.findall(r"^    ([a-z]+)\b", done.stdout, re.MULTILINE)) == command_names()


@pytest.mark.parametrize("name", command_names())
def test_every_command_says_what_it_does_in_one_line_and_takes_a_configuration(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.fullmatch(r"[A-Z].*[.!?a-zA-Z]", importlib.import_module(f"engine.commands.{name}").HELP)
    with pytest.raises(SystemExit) as caught:
        parser_of([name]).parse_args([name, "--help"])
    assert caught.value.code == 0
    assert "--config CONFIG" in capsys.readouterr().out


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"opportune {version('opportune')}\n"


def test_without_a_word_the_overview_is_printed_and_the_call_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: opportune" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("status --onec", "opportune status: unrecognized arguments: --onec; see opportune status --help"),
        ("dead list --al --codes", "opportune dead: unrecognized arguments: --codes; see opportune dead --help"),
        ("--verson", "opportune: the following arguments are required: COMMAND; see opportune --help"),
    ],
)
def test_a_wrong_option_is_blamed_on_its_command(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.split())

    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{said}\n"

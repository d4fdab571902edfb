"""A wrong call or an unreadable file is told in words that a user knows; no engine is needed."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.commands import main
from engine.commands.shared.faults import say


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("simulate --seeds x", "argument --seeds: 'x' must be a whole number >= 1"),
        ("simulate --from 0", "argument --from: '0' must be a whole number >= 1"),
        ("dead replay --code nosuch", "argument --code: invalid choice: 'nosuch' (choose from 'line_too_long'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.split())

    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_configuration_that_is_not_utf8_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("[data]\n# größer\n".encode("latin-1"))

    assert main(["check", "--config", str(path)]) == 1
    assert capsys.readouterr().err == f"opportune check: \n{path}:2:5: byte 0xf6 is not UTF-8\n"


def test_a_span_of_time_that_ends_before_it_begins_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(f'[book]\nfolder = "{root}/rules/book"\n[http]\nenabled = false\n')
    assert main(["run", "--drain"]) == 0
    capsys.readouterr()

    assert main(["decisions", "--from", "2008-11-05", "--to", "2008-11-05"]) == 1
    said = capsys.readouterr().err
    assert said == "opportune decisions: to='2008-11-05' must be later than from='2008-11-05'\n"


def test_a_port_that_is_taken_is_refused_by_the_names_of_its_settings(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "opportune"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        folder = Path(__file__).parents[2] / "rules" / "book"
        for settings, words in (
            (f"[http]\nport = {port}", f"http.host and http.port say 127.0.0.1:{port}: Address already in use"),
            (
                f'[http]\nenabled = false\n[[sources.tcp]]\nname = "net"\nport = {port}',
                f"host and port of sources.tcp 'net' say 127.0.0.1:{port}: Address already in use",
            ),
        ):
            (tmp_path / "config.toml").write_text(f'book.folder = "{folder}"\n{settings}\n')
            done = subprocess.run(
                [program, "run", "--quiet"], cwd=tmp_path, capture_output=True, text=True, check=False
            )

            assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"opportune run: {words}")


def test_a_fault_of_the_system_is_told_in_words_alone() -> None:
    taken = OSError(98, "error while attempting to bind on address ('127.0.0.1', 8080): address already in use")

    assert say(taken) == "error while attempting to bind on address ('127.0.0.1', 8080): address already in use"


@pytest.mark.parametrize(
    "words", ["lists add vip --file FILE", "report --terminals FILE", "export out --terminals FILE"]
)
def test_a_file_of_any_bytes_that_a_command_is_given_is_told_with_its_place(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(f'[book]\nfolder = "{root}/rules/book"\n[http]\nenabled = false\n')
    path = tmp_path / "given"
    path.write_bytes(b"terminal\n\xff\n")
    if "lists" not in words:
        assert main(["run", "--drain"]) == 0
    capsys.readouterr()

    assert main(words.replace("FILE", str(path)).split()) == 1
    assert f"{path}:2: byte 0xff is not UTF-8\n" in capsys.readouterr().err

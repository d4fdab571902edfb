"""Style as a test: each finding is told as `path:line: error: X is banned, use Y`.

What ruff and mypy can judge is judged by them (`test_checks.py`). Here stands what is particular to this project.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("connectors", "engine", "rules", "state")

FUNCTION_LINES_MAX = 50
CLASS_LINES_MAX = 250
MODULE_LINES_MAX = 400

# Words that say less than another word of ours.
WORDS = (
    (r"\btac\b", "tac", "imei_tac or tracking_area"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "a mark", "an issue"),
    (r"\braise NotImplementedError\b", "NotImplementedError", "the implementation"),
    (r"(?<![\w./-])/(home|root|work|tmp)/", "a path of one machine", "tmp_path or a setting"),
)
# Marks that need a reason on their line.
SILENCERS = re.compile(r"# (?:ruff: )?noqa(?:: ?[A-Z0-9, ]+)?(?P<noqa>.*)|# type: ignore(?:\[[\w, -]+\])?(?P<type>.*)")
# The log is the only clock and the only chance that state and rules know.
CLOCKS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "gmtime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "random": {"random", "randint", "randrange", "choice", "shuffle", "uniform", "sample", "getrandbits"},
    "os": {"urandom", "getrandom"},
    "uuid": {"uuid1", "uuid4"},
    "secrets": {"token_bytes", "token_hex", "randbelow"},
}


def sources(*tops: str, suffix: str = ".py") -> list[Path]:
    """Files that git knows or would add, below the folders named."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--", *tops]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    return [ROOT / name for name in names if name.endswith(suffix) and (ROOT / name).is_file()]


def told(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: error: {what}"


def findings_in_words(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, word, better in WORDS:
            if re.search(pattern, line):
                yield told(path, number, f"{word} is banned, use {better}")


def findings_in_silencers(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        match = SILENCERS.search(line)
        if match and not re.search(r"\w{2}", match["noqa"] or match["type"] or ""):
            yield told(path, number, f"`{match[0].strip()}` is banned without a reason behind it")


def findings_in_lengths(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    if (lines := text.count("\n")) > MODULE_LINES_MAX:
        yield told(path, 1, f"the module has {lines} lines, at most {MODULE_LINES_MAX} are allowed")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            most = CLASS_LINES_MAX if isinstance(node, ast.ClassDef) else FUNCTION_LINES_MAX
            if lines > most:
                yield told(path, node.lineno, f"{node.name} has {lines} lines, at most {most} are allowed")


def findings_in_clocks(path: Path, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in CLOCKS.get(owner, ()):
                yield told(path, node.lineno, f"{owner}.{node.attr} is banned, use what the frame carries")
        elif isinstance(node, ast.ImportFrom) and node.module in CLOCKS:
            for name in node.names:
                if name.name in CLOCKS[node.module]:
                    yield told(path, node.lineno, f"{node.module}.{name.name} is banned, use what the frame carries")


def findings_in_output(path: Path, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        prints = isinstance(node, ast.Name) and node.id == "print"
        writes = (
            isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and ast.unparse(node)[:4] == "sys."
        )
        if isinstance(node, ast.expr) and (prints or writes):
            yield told(path, node.lineno, f"{ast.unparse(node)} is banned, use a logger or return the text")


def test_words_that_have_a_better_one_are_not_used() -> None:
    found = [
        finding
        for path in sources(*PACKAGES, "tests", "perf", ".ci", "Makefile", "config.toml", "README.md", suffix="")
        if path != Path(__file__) and path.suffix in (".py", ".toml", ".md", ".js", ".html", ".css", ".sh", "")
        for finding in findings_in_words(path, path.read_text(encoding="utf-8"))
    ]

    assert not found, "\n".join(found)


def test_a_silenced_check_says_why() -> None:
    found = [
        finding
        for path in sources(*PACKAGES, "tests", "perf")
        if path != Path(__file__)
        for finding in findings_in_silencers(path, path.read_text(encoding="utf-8"))
    ]

    assert not found, "\n".join(found)


def test_functions_classes_and_modules_fit_on_a_desk() -> None:
    found: list[str] = []
    for path in sources(*PACKAGES, "perf", "tests"):
        text = path.read_text(encoding="utf-8")
        found += findings_in_lengths(path, text, ast.parse(text))

    assert not found, "\n".join(found)


def test_state_and_rules_read_no_clock_and_draw_no_chance() -> None:
    found = [
        finding
        for path in sources("state", "rules")
        for finding in findings_in_clocks(path, ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert not found, "\n".join(found)


def test_only_commands_and_programs_print() -> None:
    found: list[str] = []
    for path in sources(*PACKAGES):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        is_program = any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)
        is_command = path.is_relative_to(ROOT / "engine" / "commands") or path.name == "__main__.py"
        if not is_program and not is_command:
            found += findings_in_output(path, tree)

    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    found = [
        told(path, 1, "the module has no docstring")
        for path in sources(*PACKAGES, "perf", "tests")
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("imei_tac = 1\n", 0),
        ("tac = 1  # TODO\n", 2),
        ("open('/home/me')\n", 1),
        ("x = y  # noqa: E501\nx = y  # noqa: E501 - a URL\n", 1),
        ("x = y  # type: ignore[misc]\nx = y  # type: ignore[misc]  # numba has no types\n", 1),
        ("import time\nx = time.time()\n", 1),
        ("from datetime import datetime\nx = datetime.now()\n", 1),
        ("print('x')\n", 1),
        ("import sys\nsys.stdout.write('x')\n", 1),
        ("def f():\n" + "    pass\n" * FUNCTION_LINES_MAX, 1),
        ("class C:\n" + "    x = 1\n" * CLASS_LINES_MAX, 1),
        ("x = 1\n" * MODULE_LINES_MAX, 0),
        ("x = 1\n" * (MODULE_LINES_MAX + 1), 1),
    ],
)
def test_each_rule_can_fail(text: str, findings: int) -> None:
    path, tree = ROOT / "example.py", ast.parse(text)
    found = [
        *findings_in_words(path, text),
        *findings_in_silencers(path, text),
        *findings_in_lengths(path, text, tree),
        *findings_in_clocks(path, tree),
        *findings_in_output(path, tree),
    ]

    assert len(found) == findings

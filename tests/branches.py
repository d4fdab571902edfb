"""Branch coverage of `rules` and `state`, measured while the whole suite runs and held over a floor.

A run of the whole suite (no path, no `-k`, no `-m`) measures the tests of those two packages, shows the table
at its end, and fails below `fail_under` of pyproject.toml. Any other run measures nothing, so that a single
test is as fast as ever and a debugger may be used. With pytest-xdist each worker writes its own data; the controller
adds them up.

Kernels are left out: they are machine code when they run, and no tracer sees them. The oracle, the reference and the
interpreter hold them. pyproject.toml lists what is left out, with the reason.
"""

import shutil
import tempfile
from collections.abc import Generator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

ROOT = Path(__file__).parents[1]
DATA = "branches"
MEASURED = tuple(ROOT / "tests" / name for name in ("rules", "state"))


def is_whole(config: pytest.Config) -> bool:
    """Return whether every test of the suite is going to run."""
    option = config.option
    chosen = (option.keyword, option.markexpr, option.deselect, option.collectonly, getattr(option, "lf", False))
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not any(chosen)


def verdict(total: float, floor: float) -> str | None:
    """Return what is wrong with a coverage in percent, None where nothing is."""
    if total < floor:
        return f"branch coverage of rules and state={total:.1f} must be >= {floor:.1f} (fail_under, pyproject.toml)"
    return None


class Measuring:
    """Traces one process: modules while they are imported, and the tests of the measured folders."""

    def __init__(self, folder: Path) -> None:
        self._coverage = Coverage(data_file=folder / DATA, data_suffix=True, config_file=ROOT / "pyproject.toml")
        self._coverage.start()

    def pytest_collection_finish(self) -> None:
        """All modules are imported."""
        self._coverage.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Trace a test that is measured."""
        if not any(item.path.is_relative_to(folder) for folder in MEASURED):
            return (yield)
        self._coverage.start()
        try:
            return (yield)
        finally:
            self._coverage.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Write what was seen, before anybody adds it up."""
        self._coverage.stop()
        self._coverage.save()


class Judging:
    """Adds up what the processes of a run saw, shows it and holds it over the floor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shown: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist where to write."""
        node.workerinput["branches"] = str(self._folder)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge the whole run; a run that was broken off is not judged."""
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            both = Coverage(data_file=self._folder / DATA, config_file=ROOT / "pyproject.toml")
            both.combine([str(self._folder)])
            table = StringIO()
            total = both.report(file=table)
            fault = verdict(total, float(str(both.get_option("report:fail_under"))))
            self._shown = [*table.getvalue().splitlines(), *([fault] if fault else [])]
            if fault:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        shutil.rmtree(self._folder)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table."""
        if self._shown:
            terminalreporter.section("branch coverage of rules and state")
            terminalreporter.write_line("\n".join(self._shown))


def register(config: pytest.Config) -> None:
    """Measure in this process where the run is whole."""
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    if workerinput is not None:
        if "branches" in workerinput:
            config.pluginmanager.register(Measuring(Path(workerinput["branches"])))
        return
    if is_whole(config):
        folder = Path(tempfile.mkdtemp(prefix="branches-"))
        config.pluginmanager.register(Judging(folder))
        if not getattr(config.option, "numprocesses", None):
            config.pluginmanager.register(Measuring(folder))

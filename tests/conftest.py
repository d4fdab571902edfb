"""What all tests share: how Hypothesis searches, and one seed to vary the rest by.

`OPPORTUNE_SEED=n pytest` runs the seeded tests with another seed; a failure prints the one it had. CI searches from
fixed seeds, so that a run can be repeated; a developer's machine searches further each time.

Tests run in another order each time. The last lines of a run say `--randomly-seed=n`, and with that option pytest
repeats the order.
"""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests import branches

SEED = int(os.environ.get("OPPORTUNE_SEED", "1"))

_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("local", deadline=None, print_blob=True, suppress_health_check=_QUIET)
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True)
_SEARCH = (Phase.explicit, Phase.generate)  # a planted bug need not be made small, nor remembered
settings.register_profile("planted", parent=settings.get_profile("ci"), phases=_SEARCH, database=None)
settings.load_profile(os.environ.get("OPPORTUNE_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "local"))


@pytest.fixture(scope="session")
def seed() -> int:
    """The seed of this run."""
    return SEED


def pytest_configure(config: pytest.Config) -> None:
    """Measure the branches of rules and state where the whole suite runs."""
    branches.register(config)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels once, before processes that tests start would each do it within a test's time."""
    if not hasattr(session.config, "workerinput") and branches.is_whole(session.config):
        command = "from engine.runtimes.warmup import warm_up; warm_up(None)"
        subprocess.run([sys.executable, "-c", command], cwd=session.config.rootpath, check=True)


def pytest_report_header() -> str:
    """Tell the seed, so that a failed run can be repeated."""
    return f"OPPORTUNE_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell both seeds at the end too: `-q` shows no header."""
    order = getattr(config.option, "randomly_seed", "none")
    terminalreporter.write_line(f"OPPORTUNE_SEED={SEED}, order: --randomly-seed={order}")

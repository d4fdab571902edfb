"""Real parts that we did not write, and what to do when one is missing.

A test that talks to a real part says `need("redis")`. On a developer's machine a missing part skips the test and the
skip names the part and its Debian package; with CI=true it fails, so that a green run has really met every part.
"""

import os
import shutil

import pytest

# Part: the programs it needs, and the Debian packages that bring them (installed by `.ci/setup --tests`).
PARTS: dict[str, tuple[tuple[str, ...], str]] = {
    "redis": (("redis-server",), "redis-server"),
    "chromium": (("chromium",), "chromium"),
    "java": (("java", "javac", "mvn"), "default-jdk-headless maven"),
    "promtool": (("promtool",), "prometheus"),
}


def need(part: str) -> str:
    """Return the path of the part's first program; skip the test when it is missing, or fail it when CI=true."""
    programs, package = PARTS[part]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        reason = f"{part}: no {', '.join(missing)} on this machine; `apt-get install {package}` brings it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)  # a developer's machine may lack a part; CI may not
    path = shutil.which(programs[0])
    assert path is not None
    return path

"""Real parts that tests start: found, or named as missing. With CI=true a missing part is a failure."""

import os
import shutil
from typing import NoReturn

import pytest


def program(*names: str, package: str) -> str:
    """Return the path of the first program that is installed."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    return missing(f"{names[0]} (Debian package {package})")


def missing(part: str) -> NoReturn:
    """Say that a part is missing: fail in CI, else skip, naming it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"real part missing: {part}", pytrace=False)
    pytest.skip(f"real part missing: {part}")

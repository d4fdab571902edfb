"""Compile kernels once a release, and find them again at the next start.

`kernel` is numba's `njit` with what every kernel of Opportune shares: machine code cached on disk, and the interpreter
lock released while it runs. The cache folder's name holds a hash of every kernel source, because numba alone does not
notice a change in a function inlined from another module and would serve the old result.

Nothing here decides what is compiled when: `engine.warmup` calls every kernel once behind a progress line.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import config as numba_config

_PACKAGES = ("state", "rules", "connectors")
_MARK = b"from state.jit import"
_RAW = b"from state.raw import"

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel_sources(root: Path) -> list[Path]:
    """Return the modules below `root` that define or inline kernels, sorted by path."""
    found = []
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_bytes()
            if _MARK in text or _RAW in text or path.name in {"jit.py", "raw.py"}:
                found.append(path)
    return found


def cache_folder(root: Path) -> Path:
    """Return the folder of compiled kernels for the sources below `root`.

    `OPPORTUNE_KERNEL_CACHE` names its parent; the default is the user's cache folder.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(numba.__version__.encode())
    for path in kernel_sources(root):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    parent = os.environ.get("OPPORTUNE_KERNEL_CACHE")
    if parent is None:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        parent = str(Path(base) / "opportune" / "kernels")
    return Path(parent) / digest.hexdigest()


vars(numba_config)["CACHE_DIR"] = str(cache_folder(Path(__file__).resolve().parent.parent))


def kernel(function: Function) -> Function:
    """Compile `function` at its first call, without the interpreter lock, cached on disk."""
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def part(function: Function) -> Function:
    """Compile `function` as a piece of kernels that is laid into its callers: for small functions in the innermost loops.

    The compiler by itself leaves many as calls; in a scanner that tripled the cost of a row.
    """
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function))

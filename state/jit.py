"""Compile kernels once a release, and find them again at the next start.

`kernel` is numba's `njit` with what every kernel of Opportune shares: machine code cached on disk, and the interpreter
lock released while it runs. Only what Python calls is one (`allocating` where it makes arrays); what kernels alone call
is a piece of them, a `routine` or a `part`, which costs less to compile.

The cache folder of a module is named by a hash of its own source and of every module of ours that it imports, directly
or not, because numba alone does not notice a change in a function inlined from another module and would serve the old
result. A module that lists a folder (`state.listing`) counts with every file in it.

`dispatch` makes one function of many bodies, for kernels in which a number chooses what to do.

Nothing here decides what is compiled when: `engine.runtimes.warmup` calls every kernel once and shows the progress.
"""

import atexit
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event

from state.compiling import PieceCompiler, kept_in
from state.listing import names_in

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("state", "rules", "connectors")
_IMPORT = re.compile(
    r"^\s*(?:from|import) ((?:state|rules|connectors)(?:\.\w+)*)(?: import (\([^)]*\)|[^#\n]+))?", re.MULTILINE
)
_LISTING = re.compile(r"\bmodules_in\(\"([\w.]+)\"\)")
"""How a module says that it consists of every file in a package's folder."""
_FOR_TYPES_ALONE = re.compile(r"^if TYPE_CHECKING:\n(?:(?:    .*)?\n)+", re.MULTILINE)
"""Imports that never run, so that nothing of them can be in a kernel."""
log = logging.getLogger(__name__)
_SHARED: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_UNCOUNTED: dict[str, Any] = {"_nrt": False}
"""A kernel may be handed sixty arrays: counting their uses wherever they go on is much code, and long to compile."""

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile `function` at its first call, without the interpreter lock, cached on disk.

    It makes no array: those that it is given are its caller's, so that numba need not count their uses.
    """
    return _kept(function, numba.njit(**_SHARED, **_UNCOUNTED)(function))


def allocating(function: Function) -> Function:
    """Compile `function` like a `kernel`; it may make arrays, for itself alone."""
    return _kept(function, numba.njit(**_SHARED, _nrt=True)(function))


def routine(function: Function) -> Function:
    """Compile `function` as a piece of kernels that they call; Python cannot. See `state.compiling`."""
    return cast("Function", numba.njit(**_SHARED, **_UNCOUNTED, pipeline_class=PieceCompiler)(function))


def part(function: Function) -> Function:
    """Compile `function` as a piece of kernels that is laid into its callers: for small functions in inner loops.

    The compiler by itself leaves many as calls; in a scanner that tripled the cost of a row.
    """
    made = numba.njit(**_SHARED, **_UNCOUNTED, forceinline=True, pipeline_class=PieceCompiler)(function)
    return cast("Function", made)


def _kept(function: Function, made: Any) -> Function:
    made._cache = kept_in(cache_folder(function.__module__), function)
    return cast("Function", made)


def dispatch(bodies: Sequence[tuple[int, Callable[..., Any]]]) -> Callable[..., Any]:
    """Make `f(number, first, second)` for kernels: it runs the body of that number, the last body for any other number.

    All bodies are made by `part` and return the same type; a body of one argument is given the first. The result is a
    chain of ifs, which LLVM turns into one jump: each link knows its number, its body and the rest of the chain. numba
    copies the links into their caller before it looks at types, so that they cost no compilation of their own, and they
    are not cached: the caller's machine code contains them.
    """
    *others, (_, last) = bodies
    chain = _last(last)
    for number, body in reversed(others):
        chain = _either(number, body, chain)
    return chain


def _last(body: Callable[..., Any]) -> Callable[..., Any]:
    if _takes_one(body):
        return _copied_in(lambda number, first, second: body(first))  # noqa: ARG005 every link takes the same
    return _copied_in(lambda number, first, second: body(first, second))  # noqa: ARG005 the same


def _either(wanted: int, body: Callable[..., Any], rest: Callable[..., Any]) -> Callable[..., Any]:
    if _takes_one(body):
        return _copied_in(
            lambda number, first, second: body(first) if number == wanted else rest(number, first, second)
        )
    return _copied_in(
        lambda number, first, second: body(first, second) if number == wanted else rest(number, first, second)
    )


def _takes_one(body: Callable[..., Any]) -> bool:
    return len(signature(vars(body)["py_func"]).parameters) == 1


def _copied_in(function: Callable[..., Any]) -> Callable[..., Any]:
    return cast("Callable[..., Any]", numba.njit(inline="always", **_SHARED)(function))


class _Compiling(event.Listener):  # type: ignore[misc]  # numba says no types for its events
    """Passes on the name of every kernel that is compiled, not found in the cache."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report

    def on_start(self, event: event.Event) -> None:
        """A kernel is about to be compiled."""
        self._report(str(event.data["dispatcher"].py_func.__name__))

    def on_end(self, event: event.Event) -> None:
        """It is compiled."""


@contextmanager
def watch_compiling(report: Callable[[str], None]) -> Iterator[None]:
    """Call `report` with the name of every kernel that has to be compiled meanwhile."""
    with event.install_listener("numba:compile", _Compiling(report)):
        yield


@lru_cache(maxsize=256)
def cache_folder(module: str) -> Path:
    """Return the folder of the compiled kernels of a module.

    `OPPORTUNE_KERNEL_CACHE` names its parent; the default is the user's cache folder.
    """
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for name in sorted(sources_of(module)):
        digest.update(name.encode())
        digest.update(_source(name) or b"")
    return _parent() / digest.hexdigest()


def is_kept(module: str) -> bool:
    """Return whether machine code of a module's kernels, as its sources now are, is on disk."""
    return any(cache_folder(module).glob("*.nbc"))


@lru_cache(maxsize=1)
def _parent() -> Path:
    """Return the folder of all kernels, which is made where missing.

    What lies in it is run as it is, so it must be ours alone to write. Where it is not, one line says so, and this
    process compiles into a folder of its own, which is removed when it ends.
    """
    named = os.environ.get("OPPORTUNE_KERNEL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    parent = Path(named) if named is not None else Path(base) / "opportune" / "kernels"
    fault = folder_fault(parent)
    if not fault:
        return parent
    log.warning("the kernel cache %s is not used, kernels are compiled anew: %s", parent, fault)
    own = Path(tempfile.mkdtemp(prefix="opportune-kernels-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


def folder_fault(folder: Path) -> str:
    """Return why kernels of a folder must not be run, "" where it is ours alone to write.

    A folder of the root user that we may read is as good as ours: an image has its kernels in one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError as fault:
        return fault.strerror or str(fault)
    if found.st_uid not in (os.geteuid(), 0):
        return f"it belongs to user {found.st_uid}, must belong to {os.geteuid()}"
    if found.st_mode & 0o022:
        return f"mode={stat.S_IMODE(found.st_mode):o}: others may write into it"
    return ""


def sources_of(module: str) -> frozenset[str]:
    """Return the names of the modules of ours that `module` consists of: itself and all it imports."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        source = _source(name)
        if name in found or source is None:
            continue
        found.add(name)
        waiting.extend(_imported(source.decode()))
    return frozenset(found)


def _imported(source: str) -> list[str]:
    """Return the modules that a source imports or lists; `from package import name` may name a module or not."""
    names = []
    for match in _IMPORT.finditer(_FOR_TYPES_ALONE.sub("", source)):
        names.append(match[1])
        words = re.findall(r"\w+", match[2] or "")
        names += [f"{match[1]}.{word}" for word in words]
    for match in _LISTING.finditer(source):
        loaded = sys.modules.get(match[1])
        places = loaded.__path__ if loaded is not None else [str(ROOT / Path(*match[1].split(".")))]
        names += [f"{match[1]}.{name}" for name in names_in(places)]
    return names


@lru_cache(maxsize=1024)
def _source(module: str) -> bytes | None:
    """Return a module's source, None where there is no such module of ours."""
    if module.partition(".")[0] not in _PACKAGES:
        return None
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded is not None:
        return Path(loaded).read_bytes()  # a listed module may stand in another folder than its package's first
    path = ROOT / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate.read_bytes()
    return None

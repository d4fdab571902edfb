"""The modules of a package, found by listing its folder: a new one is a new file and a change to nothing else.

The package's `__init__` says `modules_in(__name__)`, in these words, because `state.jit` looks for them in the source:
a kernel that imports such a package is compiled anew when any file of its folder is added, changed or removed.
"""

import sys
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

__all__ = ["modules_in"]


def modules_in(package: str) -> tuple[ModuleType, ...]:
    """Import the modules and sub-packages of a package that is being imported; return them in order of their names."""
    names = sorted(found.name for found in iter_modules(sys.modules[package].__path__))
    return tuple(import_module(f"{package}.{name}") for name in names)

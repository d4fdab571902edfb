"""Find the modules of a package by listing its folder, so that a new file is found and no list need be changed.

    KINDS = [module.KIND for module in modules_in("PACKAGE")]

The order is that of the modules' names. `state.jit` reads the call in a kernel module's source: all modules that are
listed count as imported there, so machine code is made anew when one is added, changed or removed. Therefore the name
of the package is written out in the call.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def modules_in(package: str) -> tuple[ModuleType, ...]:
    """Import and return the modules of `package`, in order of name."""
    places = importlib.import_module(package).__path__
    return tuple(importlib.import_module(f"{package}.{name}") for name in names_in(places))


def names_in(places: Iterable[str]) -> list[str]:
    """Return the names of the modules in the folders of a package, in order."""
    return sorted(found.name for found in pkgutil.iter_modules(places))

"""Registries by listing: what a package has is found by looking into its folder, so no list has to name it.

    KINDS = [module.KIND for module in modules_in("PACKAGE")]
    KINDS = {name: package.Config for name, package in folders_in("PACKAGE").items()}

The order is that of the names. The folders listed are those of the package's `__path__`, so a test can add one
elsewhere. `state.jit` reads the call of `modules_in` in a kernel module's source: all modules that are listed count as
imported there, so machine code is made anew when one is added, changed or removed. Therefore the name of the package is
written out in that call.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def modules_in(package: str) -> tuple[ModuleType, ...]:
    """Import and return the modules of `package`, in order of name; its folders are left out."""
    places = importlib.import_module(package).__path__
    return tuple(importlib.import_module(f"{package}.{name}") for name in names_in(places))


def folders_in(package: str) -> dict[str, ModuleType]:
    """Import and return the packages inside `package` by their names, in order."""
    places = importlib.import_module(package).__path__
    return {name: importlib.import_module(f"{package}.{name}") for name in names_in(places, folders=True)}


def names_in(places: Iterable[str], *, folders: bool = False) -> list[str]:
    """Return the names of the modules, or of the packages, in the folders of a package, in order."""
    return sorted(found.name for found in pkgutil.iter_modules(places) if found.ispkg == folders)

"""Registries by listing: a kind of gateway or source is a folder, found by looking, so no list has to name it."""

import importlib
import pkgutil
from types import ModuleType


def folders_with(package: str, export: str) -> dict[str, ModuleType]:
    """Return the packages inside `package` that export the name `export`, in alphabetical order.

    All packages inside are imported; one that does not export the name is no kind (as `connectors.sources.scan`). The
    folders listed are those of the package's `__path__`, so a test can add one elsewhere.
    """
    parent = importlib.import_module(package)
    names = sorted(found.name for found in pkgutil.iter_modules(parent.__path__) if found.ispkg)
    modules = {name: importlib.import_module(f"{package}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, export)}

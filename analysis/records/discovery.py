"""What a folder offers: every module in it is found, so that adding one touches no other file."""

import pkgutil
from importlib import import_module
from types import ModuleType


def modules_in(package: str, first: str = "") -> dict[str, ModuleType]:
    """Every module of a package, imported, by its name, in the order of their names but for the `first`."""
    found = import_module(package)
    names = [info.name for info in pkgutil.iter_modules(found.__path__) if not info.ispkg]
    return {name: import_module(f"{package}.{name}") for name in sorted(names, key=lambda name: (name != first, name))}

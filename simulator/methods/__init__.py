"""Methods: ways to make policies out of a reference. To add one, write its module here; see method.py."""

from simulator.common.discovery import modules_in
from simulator.methods.method import Method

METHODS: dict[str, Method] = {
    module.METHOD.card.name: module.METHOD
    for module in modules_in("simulator.methods", first="gpo")
    if hasattr(module, "METHOD")
}

__all__ = ["METHODS"]

"""torch, imported when it is first used: wrong input is answered without it.

Modules that declare things, such as objectives with their parameters, take `torch` from here, and `Tensor` for type
checkers alone. After its first use an attribute costs what one of a module does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


class Lazy:
    """A module that is imported when something is taken from it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


if TYPE_CHECKING:
    import torch as torch
    from torch.nn import functional as functional
else:
    torch, functional = Lazy("torch"), Lazy("torch.nn.functional")

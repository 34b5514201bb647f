"""A check that nothing is made on a device of its own choosing: on torch's meta device, mixing is an error."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")


class OnOneDevice(TorchDispatchMode):
    """Fails where an operation gives a tensor on another device than `allowed`."""

    def __init__(self, allowed: set[str]) -> None:
        super().__init__()
        self.allowed = allowed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                assert value.device.type in self.allowed, f"{func} made a tensor on {value.device}"
        return result

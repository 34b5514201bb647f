"""Savers that keep every state of a stack in training, and that go on from one."""

from collections.abc import Callable

import torch

from simulator.engine.snapshots import Saver, read_state, state_bytes

OF = {"stack": "a", "torch_version": torch.__version__}


class KeepsEveryState(Saver):
    """Keeps the state of every rest, as the content of a file."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[bytes] = []

    def save_if_due(self, state: Callable[[], dict[str, torch.Tensor]]) -> None:
        self.states.append(state_bytes(state(), OF))


class GoesOnFrom(Saver):
    """Has one state to go on from."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def load(self) -> dict[str, torch.Tensor] | None:
        state = read_state(self.content, OF)
        assert state is not None
        return state

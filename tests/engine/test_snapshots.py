"""States of a stack as files: what was saved is found, what is damaged or another's is not taken up."""

import numpy as np
import pytest
import torch

from simulator.engine.snapshots import Saver, read_state, state_bytes, stretches

OF = {"stack": "a", "torch_version": torch.__version__}


def test_a_state_is_what_was_saved() -> None:
    state = {
        "a": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "b": torch.arange(5),
        "c": torch.tensor([True, False]),
        "nothing": torch.empty(0, 3),
        "d": torch.tensor([torch.nan, torch.inf], dtype=torch.float64),
    }
    found = read_state(state_bytes(state, OF), OF)
    assert found is not None
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].nan_to_num(), tensor.nan_to_num())


def test_a_state_that_is_not_whole_or_not_of_this_stack_is_not_taken_up() -> None:
    content = state_bytes({"a": torch.arange(100.0)}, OF)
    assert read_state(content, OF | {"stack": "b"}) is None
    assert read_state(content, {**OF, "torch_version": "other"}) is None
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(content), 50).tolist():
        assert read_state(content[:cut], OF) is None
    before = read_state(content, OF)
    assert before is not None
    for place in rng.integers(0, len(content), 300).tolist():
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        found = read_state(bytes(changed), OF)
        assert found is None or (found.keys() == before.keys() and torch.equal(found["a"], before["a"]))


def test_stretches_sum_up_and_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.engine.snapshots.time.perf_counter", lambda: 0.0)
    saver = Saver()
    taken = list(stretches(1000, saver))
    assert sum(taken) == 1000
    assert taken == sorted(taken[:-1]) + taken[-1:]
    assert saver.stretch > 8

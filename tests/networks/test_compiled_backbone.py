"""Passes that are compiled."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.networks.backbone import compiled, packed_states
from simulator.networks.compute_mode import Computing, computing
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters


@pytest.mark.long_only
def test_more_shapes_are_compiled_than_torch_allows_by_default(lab: sim.World, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_by = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **more: compile_by(*args, backend="eager", **more))
    compiled.cache_clear()
    architecture = replace(lab.reference.architecture, layers=1, width=4, heads=1)
    packed = packing(prompt_length=2, response_length=3, responses=2, device=torch.device("cpu"))
    rng = np.random.default_rng(7)
    with warnings.catch_warnings(), computing(Computing(compiled=True)):
        warnings.simplefilter("ignore")  # torch's own, about itself
        for runs in range(1, 11):
            own = [initial_parameters(architecture, np.random.default_rng(seed)) for seed in range(runs)]
            rows = (1.5 * torch.stack(own).double()).requires_grad_()
            tokens = torch.from_numpy(rng.integers(lab.vocabulary, size=(runs, 3, len(packed.position))))
            states = packed_states(rows, architecture, packed, tokens)
            (found,) = torch.autograd.grad(states.square().sum() + states.sum(), rows)
            assert found.shape == rows.shape
    compiled.cache_clear()

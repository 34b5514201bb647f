"""Ways of computing passes: what they agree within, where they end, and when they are chosen."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.networks.compute_mode import EAGER, LONG, Computing, can_compile, computing, computing_on, is_compiled
from simulator.networks.packing import packing, whole_packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.transformer import sequence_log_probs, sequence_scores

CPU = torch.device("cpu")
SHORT = {"prompt_length": 2, "response_length": 3, "responses": 2, "device": CPU}  # fewer places than a register has


def gradient(lab: sim.World, how: Computing, runs: int, value: str) -> Tensor:
    """The gradient of `runs` networks of three, of the sizes of the world's policies."""
    architecture = replace(lab.reference.architecture, context=11, outputs=0 if value == "log_probs" else 1)
    packed = (packing if value == "log_probs" else whole_packing)(**SHORT)
    rng = np.random.default_rng(3)
    prompts, responses = (
        torch.from_numpy(rng.integers(lab.vocabulary, size=(3, 6, *shape))) for shape in ((2,), (2, 3))
    )
    all_rows = torch.stack([initial_parameters(architecture, np.random.default_rng(seed)) for seed in range(3)])
    rows = (1.5 * all_rows)[:runs].requires_grad_()
    of = sequence_log_probs if value == "log_probs" else sequence_scores
    with computing(how):
        said = of(rows, architecture, packed, prompts[:runs], responses[:runs])
        (found,) = torch.autograd.grad(said.square().sum(), rows)
    return found


@pytest.mark.parametrize(("how", "least"), [(Computing(precision="bfloat16"), 0.2), (Computing(compiled=True), 1e-4)])
def test_other_ways_of_computing_agree_within_what_is_promised(
    lab: sim.World, how: Computing, least: float, request: pytest.FixtureRequest
) -> None:
    if how.compiled and not (request.config.getoption("--long") and can_compile(CPU)):
        pytest.skip("compiling takes a minute: --long, and a compiler")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about itself
        for value in ("log_probs", "scores"):
            eager, other = gradient(lab, EAGER, 3, value), gradient(lab, how, 3, value)
            assert (other - eager).norm() <= least * eager.norm()
            assert torch.equal(other, gradient(lab, how, 3, value))


def test_how_is_computed_ends_with_its_block() -> None:
    before = torch.get_float32_matmul_precision()
    with computing(Computing(precision="bfloat16", compiled=True)):
        assert is_compiled()
        assert torch.get_float32_matmul_precision() == "medium"
        with computing(EAGER):
            assert not is_compiled()
            assert torch.get_float32_matmul_precision() == "highest"
        assert is_compiled()
        assert torch.get_float32_matmul_precision() == "medium"
    assert not is_compiled()
    assert torch.get_float32_matmul_precision() == before


def test_float32_leaves_torchs_setting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for it is an error once a caller has set the precision of single backends."""
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: pytest.fail("asked"))
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda wanted: pytest.fail("set"))
    with computing(EAGER):
        assert not is_compiled()


@pytest.mark.parametrize("how", [EAGER, Computing(precision="bfloat16")])
def test_a_run_in_a_part_of_its_stack(lab: sim.World, how: Computing) -> None:
    """The same bits in float32, and what is promised in bfloat16."""
    whole = gradient(lab, how, 3, "log_probs")
    for runs in (1, 2):
        part = gradient(lab, how, runs, "log_probs")
        if how is EAGER:
            assert torch.equal(part, whole[:runs])
        assert (part - whole[:runs]).norm() <= 0.2 * whole[:runs].norm()


def test_auto_compiles_long_runs_on_a_cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.networks.compute_mode.can_compile", lambda device: True)
    assert not computing_on("float32", "auto", "torch", width=16, steps=LONG - 1, device=CPU).compiled
    assert computing_on("float32", "auto", "torch", width=16, steps=LONG, device=CPU).compiled
    assert not computing_on("float32", "never", "torch", width=16, steps=LONG, device=CPU).compiled
    assert computing_on("float32", "always", "auto", width=16, steps=1, device=CPU).compiled
    assert not computing_on("float32", "auto", "torch", width=16, steps=LONG, device=torch.device("cuda")).compiled


def test_compiling_without_a_compiler_is_an_error_before_any_work(
    lab: sim.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    pairs = lab.preferences()
    with pytest.raises(
        sim.ConfigError, match=r'train.compile \(="always"\) needs a C\+\+ compiler .* use "auto" or "never"'
    ):
        sim.training(lab, pairs, settings={"train.compile": "always"})
    assert not computing_on("float32", "auto", "torch", width=16, steps=LONG, device=CPU).compiled

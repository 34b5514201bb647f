"""The passes that are written out, against numerical gradients and against torch's automatic differentiation."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from simulator import Sweep
from simulator.common.errors import ConfigError
from simulator.networks.architecture import Architecture
from simulator.networks.backbone import compiled, packed_states
from simulator.networks.compute_mode import EAGER, LONG, Computing, can_compile, computing, computing_on, is_compiled
from simulator.networks.packing import Packing, packing, whole_packing
from simulator.networks.parameters import Blocks, initial_parameters, restack, unstack
from simulator.networks.transformer import sequence_log_probs, sequence_scores
from simulator.sweeps.grid import check_computing, expand
from tests.conftest import small_sweep

CPU = torch.device("cpu")
SHORT = {"prompt_length": 2, "response_length": 3, "responses": 2, "device": CPU}  # fewer places than a register has
LONGER = {"prompt_length": 3, "response_length": 8, "responses": 2, "device": CPU}


def network(**sizes: int) -> Architecture:
    return Architecture(**{"vocabulary": 5, "context": 11, "layers": 2, "width": 8, "heads": 2, **sizes})


def rows_of(architecture: Architecture, runs: int) -> Tensor:
    rows = [initial_parameters(architecture, np.random.default_rng(seed)) for seed in range(runs)]
    return torch.stack(rows).double() * 1.5


def texts(packed: Packing, runs: int, vocabulary: int) -> Tensor:
    rng = np.random.default_rng(7)
    return torch.from_numpy(rng.integers(vocabulary, size=(runs, 3, len(packed.position))))


def plain_states(blocks: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """The same network as anyone would write it, one run after another, every place computed."""
    found = []
    for run in range(len(tokens)):
        weights = {name: view[run] for name, view in blocks.items()}
        x = weights["token"][tokens[run]] + weights["position"][packed.position]
        for layer in range(architecture.layers):
            split = (layer_norm(x, x.shape[-1:]) @ weights[f"{layer}.attend"]).unflatten(2, (3, architecture.heads, -1))
            query, key, value = split.permute(2, 0, 3, 1, 4)
            scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + packed.bias
            x = x + (scores.softmax(-1) @ value).transpose(1, 2).flatten(2) @ weights[f"{layer}.merge"]
            x = x + (layer_norm(x, x.shape[-1:]) @ weights[f"{layer}.up"]).relu() @ weights[f"{layer}.down"]
        found.append(layer_norm(x, x.shape[-1:])[:, packed.read].flatten(0, 1))
    return torch.stack(found)


@pytest.mark.parametrize("sizes", [{}, {"layers": 1}, {"heads": 1}, {"vocabulary": 70}], ids=str)
@pytest.mark.parametrize("packed", [packing(**SHORT), packing(**LONGER), whole_packing(**SHORT)])
def test_states_and_gradient_are_those_of_the_plain_network(sizes: dict[str, int], packed: Packing) -> None:
    architecture = network(**sizes)
    tokens = texts(packed, 3, architecture.vocabulary)
    found = []
    for states in (packed_states, plain_states):
        rows = rows_of(architecture, 3).requires_grad_()
        value = states(unstack(rows, architecture), architecture, packed, tokens)
        looked_at = torch.linspace(-1, 1, value[0].numel()).double().view(value.shape[1:])
        (gradient,) = torch.autograd.grad((value * looked_at).sin().sum(), rows)
        found.append((value.detach().numpy(), gradient.numpy()))
    for ours, plain in zip(*found, strict=True):
        assert ours == pytest.approx(plain, abs=1e-12)


def test_the_gradient_agrees_with_finite_differences() -> None:
    architecture, packed = network(vocabulary=3, context=4, width=4), packing(**SHORT)
    prompts = torch.tensor([[[0, 1], [2, 0]]])
    responses = torch.tensor([[[[0, 1, 2], [2, 2, 0]], [[1, 1, 0], [0, 0, 1]]]])

    def value(rows: Tensor) -> Tensor:
        return sequence_log_probs(unstack(rows, architecture), architecture, packed, prompts, responses).sin().sum()

    rows, step = rows_of(architecture, 1).requires_grad_(), 1e-6
    (gradient,) = torch.autograd.grad(value(rows), rows)
    for place in range(0, architecture.parameters, 7):
        moved = torch.zeros_like(rows)
        moved[0, place] = step
        slope = (value(rows.detach() + moved) - value(rows.detach() - moved)) / (2 * step)
        assert gradient[0, place].item() == pytest.approx(slope.item(), abs=1e-7)


def test_nothing_is_kept_where_no_gradient_is_asked() -> None:
    architecture, packed = network(), packing(**SHORT)
    with torch.no_grad():
        states = packed_states(
            unstack(rows_of(architecture, 2).requires_grad_(), architecture), architecture, packed, texts(packed, 2, 5)
        )
    assert states.grad_fn is None


def test_a_stream_beyond_all_numbers_has_no_states() -> None:
    architecture, packed = network(), packing(**SHORT)
    rows = rows_of(architecture, 2).float()
    rows[1] *= 1e25
    states = packed_states(unstack(rows, architecture), architecture, packed, texts(packed, 2, 5))
    assert states[0].isfinite().all()
    assert states[1].isnan().all()


def gradient(how: Computing, runs: int, value: str) -> Tensor:
    architecture = network(outputs=0 if value == "log_probs" else 1)
    packed = (packing if value == "log_probs" else whole_packing)(**SHORT)
    rng = np.random.default_rng(3)
    prompts, responses = (torch.from_numpy(rng.integers(5, size=(3, 6, *shape))) for shape in ((2,), (2, 3)))
    rows = rows_of(architecture, 3).float()[:runs].requires_grad_()
    of = sequence_log_probs if value == "log_probs" else sequence_scores
    with computing(how):
        said = of(unstack(rows, architecture), architecture, packed, prompts[:runs], responses[:runs])
        (found,) = torch.autograd.grad(said.square().sum(), rows)
    return found


@pytest.mark.parametrize(("how", "least"), [(Computing(precision="bfloat16"), 0.2), (Computing(compiled=True), 1e-4)])
def test_other_ways_of_computing_agree_within_what_is_promised(
    how: Computing, least: float, request: pytest.FixtureRequest
) -> None:
    if how.compiled and not (request.config.getoption("--long") and can_compile(CPU)):
        pytest.skip("compiling takes a minute: --long, and a compiler")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about itself
        for value in ("log_probs", "scores"):
            eager, other = gradient(EAGER, 3, value), gradient(how, 3, value)
            assert (other - eager).norm() <= least * eager.norm()
            assert torch.equal(other, gradient(how, 3, value))


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
def test_a_run_in_a_part_of_its_stack(how: Computing) -> None:
    """The same bits in float32, and what is promised in bfloat16."""
    whole = gradient(how, 3, "log_probs")
    for runs in (1, 2):
        part = gradient(how, runs, "log_probs")
        if how is EAGER:
            assert torch.equal(part, whole[:runs])
        assert (part - whole[:runs]).norm() <= 0.2 * whole[:runs].norm()


@pytest.mark.slow
def test_more_shapes_are_compiled_than_torch_allows_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_by = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **more: compile_by(*args, backend="eager", **more))
    compiled.cache_clear()
    architecture, packed = network(layers=1, width=4, heads=1), packing(**SHORT)
    with warnings.catch_warnings(), computing(Computing(compiled=True)):
        warnings.simplefilter("ignore")  # torch's own, about itself
        for runs in range(1, 11):
            rows = rows_of(architecture, runs).requires_grad_()
            states = packed_states(unstack(rows, architecture), architecture, packed, texts(packed, runs, 5))
            (found,) = torch.autograd.grad(states.square().sum() + states.sum(), rows)
            assert found.shape == rows.shape
    compiled.cache_clear()


def test_a_pass_says_that_it_can_be_differentiated_once() -> None:
    architecture, packed = network(), packing(**SHORT)
    rows = rows_of(architecture, 2).requires_grad_()
    states = packed_states(unstack(rows, architecture), architecture, packed, texts(packed, 2, 5)).sin().sum()
    torch.autograd.grad(states, rows, retain_graph=True)
    with pytest.raises(RuntimeError, match="one gradient, and that one has been taken"):
        torch.autograd.grad(states, rows)


def test_auto_compiles_long_runs_on_a_cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.networks.compute_mode.can_compile", lambda device: True)
    assert not computing_on("float32", "auto", LONG - 1, CPU).compiled
    assert computing_on("float32", "auto", LONG, CPU).compiled
    assert not computing_on("float32", "never", LONG, CPU).compiled
    assert computing_on("float32", "always", 1, CPU).compiled
    assert not computing_on("float32", "auto", LONG, torch.device("cuda")).compiled


def test_compiling_without_a_compiler_is_an_error_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    sweep: Sweep = small_sweep(train={"compile": "always"})
    with pytest.raises(
        ConfigError, match=r'train.compile \(="always"\) needs a C\+\+ compiler .* use "auto" or "never"'
    ):
        check_computing(expand(sweep), CPU)
    assert not computing_on("float32", "auto", LONG, CPU).compiled


def test_restack_puts_together_what_unstack_takes_apart() -> None:
    architecture = network()
    rows = rows_of(architecture, 2)
    assert torch.equal(restack(unstack(rows, architecture), architecture), rows)

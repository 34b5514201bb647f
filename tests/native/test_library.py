"""What is said where the engine is not there or of other source, and sizes that it must refuse."""

import ctypes
from pathlib import Path

import pytest
import torch

import simulator as sim
from simulator.native import calls, library
from simulator.native.identity import SOURCES, UNITS, source_hash
from simulator.native.library import EngineError, Sizes
from simulator.native.listed import moments
from simulator.networks import fused
from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import EAGER, Computing, computing
from tests.conftest import small_sweep
from tests.helpers.engines import needs_engine
from tests.helpers.engines import without_engine as without_engine
from tests.helpers.plans import plan_of

GOOD = {"vocabulary": 5, "context": 4, "layers": 1, "width": 16, "heads": 2, "outputs": 5}
GOOD |= {"prompt": 2, "responses": 2, "length": 3, "whole": 0}
ROW = 5 * 16 + 4 * 16 + 12 * 256 + 16 * 5
ROW += -ROW % 64


def found_beside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> library.Found:
    monkeypatch.setattr(library, "FOLDER", folder)
    return library.find.__wrapped__()


def test_it_says_why_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.WITHOUT, raising=False)
    assert found_beside(tmp_path, monkeypatch).why.startswith("it was not compiled when the package was installed")
    (tmp_path / "_engine.so").write_bytes(b"no library")
    assert found_beside(tmp_path, monkeypatch).why.startswith("_engine.so cannot be loaded (")
    monkeypatch.setenv(library.WITHOUT, "1")
    assert found_beside(tmp_path, monkeypatch).why == "SIMULATOR_WITHOUT_ENGINE is set in the environment"


@needs_engine
def test_one_of_other_source_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.WITHOUT, raising=False)
    assert library.find.__wrapped__().library is not None
    monkeypatch.setattr(library, "source_hash", lambda: "another")
    assert library.find.__wrapped__().why.startswith("its source has changed since it was compiled")


def test_the_hash_is_of_all_sources(tmp_path: Path) -> None:
    for path in SOURCES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert source_hash(tmp_path) == source_hash() != ""
    assert {*UNITS} <= {path.name for path in SOURCES.iterdir()}
    for path in sorted(tmp_path.iterdir()):
        before, text = source_hash(tmp_path), path.read_text()
        path.write_text(f"{text}\n")
        assert source_hash(tmp_path) != before, path.name
    assert source_hash(tmp_path / "nowhere") == ""


@pytest.mark.usefixtures("without_engine")
def test_native_without_the_engine_is_refused_before_any_work(lab: sim.World) -> None:
    with pytest.raises(
        sim.ConfigError,
        match=r'train.engine \(="native"\) needs the compiled engine, and a test is without it; use "auto" or "torch"',
    ):
        sim.training(lab, lab.preferences(), settings={"train.engine": "native"})


@needs_engine
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"train.precision": "bfloat16"}, 'computes in float32 only, and train.precision is "bfloat16"'),
        ({"train.compile": "always"}, 'cannot be combined with train.compile = "always"'),
    ],
)
def test_native_beside_what_only_torch_does_is_refused(lab: sim.World, settings: dict[str, str], why: str) -> None:
    with pytest.raises(sim.ConfigError, match=why):
        sim.training(lab, lab.preferences(), settings={"train.engine": "native", **settings})


@needs_engine
def test_native_for_other_widths_is_refused_and_auto_says_that_torch_computes() -> None:
    odd = {"policy": {"layers": 1, "width": 24, "heads": 2}}
    why = r'train.engine \(="native"\) takes widths that are multiples of 16, and policy.width is 24; use "auto"'
    with pytest.raises(sim.ConfigError, match=why):
        plan_of(small_sweep(**odd, train={"engine": "native"}), workers=1)
    assert plan_of(small_sweep(**odd), workers=1).engines == "torch"


@needs_engine
def test_where_torch_is_asked_for_the_engine_is_put_aside() -> None:
    assert library.in_use()
    with computing(Computing(engine="torch")):
        assert not library.in_use()
        with computing(EAGER):
            assert library.in_use()
        assert not library.in_use()
    for other in (Computing(precision="bfloat16"), Computing(compiled=True)):
        with computing(other):
            assert not library.in_use()
        with computing(other.eager):
            assert library.in_use()


@needs_engine
def test_large_work_is_taken_where_nothing_is_kept_of_it_all() -> None:
    """The size of a run's data does not bound its training, since a block of it is at work."""
    large = GOOD | {"vocabulary": 64, "outputs": 64, "context": 63, "layers": 4, "width": 256, "heads": 8}
    sizes = Sizes(**large | {"prompt": 32, "length": 32})
    row = torch.zeros(1, 64 * 50_000)
    responses = torch.zeros(1, 0, 2, 32, dtype=torch.int64)
    nothing = calls.forward(sizes, row, torch.zeros(1, 0, 32, dtype=torch.int64), responses)[0]
    assert nothing.shape == (1, 0, 2, 32)
    engine, aside = library.library(), torch.full((1,), -1)
    one = [calls.pointer(row), row.shape[1], calls.whole(aside), calls.whole(aside), None, None]
    sound = engine.engine_forward(ctypes.byref(sizes), 1, 0, *one, None)
    assert sound == 0
    with pytest.raises(EngineError, match="does not take these sizes"):
        calls.kept_numbers(sizes, 64, 2**20)
    assert calls.kept_numbers(sizes, 4, 2**12) > 2**32


@needs_engine
def test_tensors_of_other_types_are_refused() -> None:
    wide = torch.zeros(1, 2, 3, dtype=torch.float64)
    with pytest.raises(EngineError, match=r"a contiguous tensor of torch\.float64 on the CPU is needed"):
        moments(wide.float(), wide[0], wide[0], wide[0], wide)
    with pytest.raises(EngineError, match=r"a contiguous tensor of torch\.int64 on the CPU is needed"):
        calls.forward(Sizes(**GOOD), torch.zeros(1, ROW), torch.zeros(1, 1, 2), torch.zeros(1, 1, 2, 3))


@needs_engine
def test_nothing_is_kept_where_no_gradient_can_be_asked_for() -> None:
    row = torch.zeros(1, ROW, requires_grad=True)
    prompts, responses = torch.zeros(1, 1, 2, dtype=torch.int64), torch.zeros(1, 1, 2, 3, dtype=torch.int64)
    architecture = Architecture(vocabulary=5, context=4, layers=1, width=16, heads=2)
    with torch.no_grad():
        assert not fused.token_log_probs(row, architecture, prompts, responses).requires_grad
    values = fused.token_log_probs(row, architecture, prompts, responses)
    torch.autograd.grad(values.sum(), row, retain_graph=True)
    with pytest.raises(RuntimeError, match="the gradient of this pass was taken already"):
        torch.autograd.grad(values.sum(), row)


@needs_engine
def test_sound_sizes_are_taken() -> None:
    assert calls.kept_numbers(Sizes(**GOOD), 1, 1) > 0


@needs_engine
@pytest.mark.parametrize(
    "bad",
    [
        *({name: value} for name in GOOD for value in (-1, -(2**63), 2**62, 2**21)),
        *({name: 0} for name in GOOD if name != "whole"),
        {"width": 24},
        {"heads": 3},
        {"context": 3},
        {"outputs": 6},
        {"whole": 2},
        {"vocabulary": 2**20, "outputs": 2**20, "context": 2**20, "prompt": 2**19, "width": 2**16},
    ],
    ids=str,
)
def test_hostile_sizes_are_refused(bad: dict[str, int]) -> None:
    sizes, row = Sizes(**GOOD | bad), torch.zeros(1, ROW)
    prompts, responses = torch.zeros(1, 1, 2, dtype=torch.int64), torch.zeros(1, 1, 2, 3, dtype=torch.int64)
    with pytest.raises(EngineError, match="does not take these sizes"):
        calls.kept_numbers(sizes, 1, 1)
    found = library.library().engine_forward(
        *(ctypes.byref(sizes), 1, 1, calls.pointer(row), ROW, calls.whole(prompts), calls.whole(responses)),
        *(None, None, None),
    )
    assert found == 2


@needs_engine
def test_hostile_rows_and_tokens_are_refused() -> None:
    sizes, prompts = Sizes(**GOOD), torch.zeros(1, 1, 2, dtype=torch.int64)
    responses = torch.zeros(1, 1, 2, 3, dtype=torch.int64)
    row = torch.zeros(1, ROW)
    assert calls.forward(sizes, row, prompts, responses)[0].isfinite().all()
    with pytest.raises(EngineError, match="does not take these sizes"):
        calls.forward(sizes, row[:, : ROW - 64].contiguous(), prompts, responses)
    for token in (5, 2**40, -1):
        with pytest.raises(EngineError, match="a token id is outside the vocabulary"):
            calls.forward(sizes, row, torch.full_like(prompts, token), responses)
    with pytest.raises(EngineError, match="a token id is outside the vocabulary"):
        calls.forward(sizes, row, prompts, torch.full_like(responses, 5))
    ended = calls.forward(sizes, row, prompts, torch.full_like(responses, -7))[0]
    assert not ended.any()

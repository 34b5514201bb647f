"""What is said where the engine is not there or of other source, and sizes that it must refuse."""

import ctypes
from pathlib import Path

import pytest
import torch

import simulator as sim
from simulator.native import calls, library
from simulator.native.identity import SOURCES, UNITS, source_hash
from simulator.native.library import EngineError, Sizes
from tests.helpers.engines import needs_engine
from tests.helpers.engines import without_engine as without_engine

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
    assert library.find.__wrapped__().why.startswith("it was compiled from another version of its source")


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
        ({"train.compile": "always"}, 'is compiled already, and train.compile is "always"'),
    ],
)
def test_native_beside_what_only_torch_does_is_refused(lab: sim.World, settings: dict[str, str], why: str) -> None:
    with pytest.raises(sim.ConfigError, match=why):
        sim.training(lab, lab.preferences(), settings={"train.engine": "native", **settings})


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
        *(ctypes.byref(sizes), 1, 1, calls.pointer(row), ROW, calls.pointer(prompts), calls.pointer(responses)),
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
        with pytest.raises(EngineError, match="a token is not of the vocabulary"):
            calls.forward(sizes, row, torch.full_like(prompts, token), responses)
    with pytest.raises(EngineError, match="a token is not of the vocabulary"):
        calls.forward(sizes, row, prompts, torch.full_like(responses, 5))
    ended = calls.forward(sizes, row, prompts, torch.full_like(responses, -7))[0]
    assert not ended.any()

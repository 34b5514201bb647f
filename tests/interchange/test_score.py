"""Policies that were trained elsewhere, measured here: the same numbers as ours, in the records and in figures."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
import simulator as sim
from run import main
from simulator.interchange.exporting import export_sweep
from simulator.storage.layout import ResultFolder
from tests.conftest import heard, small_sweep

TINY = {
    "train": {"steps": 20, "checkpoints": 3, "learning_rate": 0.02},
    "sweep": {"loss": ["logistic", "squared"], "beta": [0.1, 1.0], "seeds": 2},
}
ENDS = {
    "world": {
        "kind": "sampled", "vocabulary": 6, "response_length": 4, "prompts": 3, "prompt_length": 2,
        "language": {"stop": 0.2},
    },
    "measure": {"samples": 400, "baseline": 256},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sweep's folder, and its export."""
    place = tmp_path_factory.mktemp("made")
    out = sim.run_sweep(small_sweep(**TINY), place / "out", workers=1)
    export_sweep(out, place / "export", (), print)
    return out, place / "export"


@pytest.fixture
def out(made: tuple[Path, Path], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def models(made: tuple[Path, Path], tmp_path: Path) -> Path:
    shutil.copytree(made[1] / "policies", tmp_path / "models")
    return tmp_path / "models"


def scored(*arguments: object) -> None:
    assert main(["score", *map(str, arguments)]) == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["score", *map(str, arguments)]) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told


def external(out: Path) -> pd.DataFrame:
    curves = analysis.load(out)
    return curves[curves["method"] == "external"]


def test_our_policies_have_the_numbers_of_the_sweep_when_read_back(out: Path, models: Path) -> None:
    before = analysis.load(out)
    names = sorted(models.glob("gpo-logistic-0.1-*"))
    scored(out, *names, "--label", "read back", "--beta", 0.1, "--seed", 0, 1)
    rows = external(out)
    assert list(rows["label"]) == list(rows["loss"]) == ["read back"] * 2
    ends = before[before["run_id"].isin([name.name for name in names])].groupby("run_id").last()
    for column in ("kl", "gold", "win_rate", "entropy", "proxy", "mu_squared"):
        assert rows[column].to_numpy(float) == pytest.approx(ends[column].to_numpy(float), rel=1e-4, abs=1e-6), column
    assert (rows["kl_se"] == 0).all()
    after = analysis.load(out)
    pd.testing.assert_frame_equal(
        after[after["method"] != "external"][before.columns].reset_index(drop=True), before, check_dtype=False
    )


def test_records_stay_sealed_and_the_sweep_stays_whole(out: Path, models: Path) -> None:
    scored(out, next(models.glob("gpo-squared-1-0-*")), "--label", "one")
    assert "external.parquet" in (out / "SHA256SUMS").read_text()
    done: list[bool] = []
    with heard() as told:
        sim.run_sweep(small_sweep(**TINY), out, workers=1, watch=lambda steps, runs, worked: done.append(worked))
    assert not told
    assert not any(done)
    assert len(external(out)) == 1
    (out / "runs.parquet").write_bytes(b"damaged")  # so that tables are made of parts again
    with heard():
        sim.run_sweep(small_sweep(**TINY), out, workers=1)
    assert list(external(out)["label"]) == ["one"]


@pytest.mark.slow
def test_frontiers_and_comparisons_have_a_label_beside_losses(out: Path, models: Path) -> None:
    for beta in ("0.1", "1"):
        scored(out, *sorted(models.glob(f"gpo-logistic-{beta}-*")), "--label", "elsewhere", "--beta", beta)
    curves = analysis.load(out)
    table = analysis.frontier(curves, by="loss")
    ours, theirs = (table[table["loss"] == name][["kl", "gold"]].to_numpy() for name in ("logistic", "elsewhere"))
    assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-5)
    same = analysis.compare(curves, "logistic", "elsewhere")
    assert abs(same.difference) < 1e-4
    assert main(["report", str(out)]) == 0
    shown = pd.read_csv(out / "figures" / "external.csv")
    assert {"logistic (DPO)", "squared (IPO)", "elsewhere"} <= set(shown["line"])
    page = (out / "report.html").read_text()
    assert "8 runs, none diverged" in page  # the sweep's own
    assert "trained elsewhere" in page


def test_the_same_place_is_taken_by_the_newest(out: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = sorted(models.glob("gpo-logistic-*-0-*"))[:2]
    scored(out, first, "--label", "one", "--beta", 0.1, "--seed", 3)
    scored(out, second, "--label", "one", "--beta", 0.1, "--seed", 3)
    assert len(external(out)) == 1
    scored(out, first, second, "--label", "one", "--beta", 0.1)
    assert sorted(external(out)["seed"]) == [0, 1, 3]
    told = refused(capsys, out, first, second, "--label", "one", "--seed", 2)
    assert "--seed 2: two policies are called one, without beta, with this seed" in told
    assert "--beta: has 2 values for 3 models" in refused(capsys, out, first, second, first, "--beta", 1, 2)


def test_functions_and_files_of_ours_are_policies_too(out: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import math\ndef log_prob(prompts, responses):\n    return responses[..., 0] * 0.0 - 3 * math.log(4)\n"
    )
    scored(out, "mine.py:log_prob", next((out / "policies").glob("*.safetensors")), "--label", "uniform", "ours")
    rows = external(out)
    uniform = rows[rows["label"] == "uniform"].iloc[0]
    assert uniform["entropy"] == pytest.approx(3 * np.log(4))
    for loss in ("logistic", "squared"):
        assert sorted(rows.loc[rows["label"] == f"ours {loss}", "beta"]) == [0.1, 0.1, 1.0, 1.0]


def test_a_sampled_world_measures_with_errors(tmp_path: Path) -> None:
    sweep = small_sweep(**{**TINY, **ENDS, "sweep": {"loss": "logistic", "beta": [0.1], "seeds": 1}})
    out = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    export_sweep(out, tmp_path / "export", (), print)
    scored(out, next((tmp_path / "export" / "policies").iterdir()), "--label", "read back")
    curves = analysis.load(out)
    ours, theirs = (curves[curves["method"] == method].iloc[-1] for method in ("gpo", "external"))
    for name in ("kl", "gold", "win_rate", "entropy"):
        error = np.hypot(ours[f"{name}_se"], theirs[f"{name}_se"]) if f"{name}_se" in ours else 0.05
        assert abs(ours[name] - theirs[name]) < 4 * error + 1e-3, name
    assert theirs["kl_se"] > 0


def changed_config(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def broken(folder: Path, what: str) -> None:
    """Break a model's folder."""
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    if what == "cut":
        weights.write_bytes(content[: len(content) // 2])
    elif what == "flipped header":
        weights.write_bytes(content[:9] + bytes([content[9] ^ 255]) + content[10:])
    elif what == "not finite":
        weights.write_bytes(content[:-400] + np.full(100, np.nan, dtype=np.float32).tobytes())
    elif what == "pickled":
        weights.rename(folder / "pytorch_model.bin")
    elif what == "code":
        changed_config(folder, auto_map={"AutoModelForCausalLM": "mine.Model"})
    elif what == "no config":
        (folder / "config.json").write_text("{")
    elif what == "another size":
        changed_config(folder, n_embd=16)
    elif what == "no weights":
        weights.unlink()


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("cut", "cannot be read as a causal language model (SafetensorError"),
        ("flipped header", "cannot be read as a causal language model (SafetensorError"),
        ("not finite", "has weights that are not finite, such as"),
        (
            "pickled",
            "has its weights in pytorch_model.bin alone, a format that can run code and is never opened; convert",
        ),
        ("code", "its config.json names code of its own (auto_map), which is never run"),
        ("no config", "its config.json cannot be read (JSONDecodeError)"),
        ("another size", "or of another size"),
        ("no weights", "has no weights, model.safetensors; name a folder that save_pretrained has written"),
    ],
)
def test_a_folder_that_will_not_do_is_refused_and_nothing_changes(
    out: Path, models: Path, capsys: pytest.CaptureFixture[str], what: str, told: str
) -> None:
    folder = next(models.glob("gpo-logistic-1-0-*"))
    broken(folder, what)
    before = {path.name: path.read_bytes() for path in out.glob("*.*")}
    assert told in refused(capsys, out, folder)
    assert {path.name: path.read_bytes() for path in out.glob("*.*")} == before


def test_a_model_of_another_world_is_refused_by_name(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    def small(name: str, vocabulary: int, places: int) -> Path:
        config = GPT2Config(vocab_size=vocabulary, n_positions=places, n_embd=8, n_layer=1, n_head=1)
        GPT2LMHeadModel(config).save_pretrained(tmp_path / name)
        return tmp_path / name

    assert "has a vocabulary of 3 and no tokenizer, and the world has 4 tokens" in refused(
        capsys, out, small("a", 3, 9)
    )
    assert "reads at most 3 tokens, and a prompt with its response here has 4 to be read" in refused(
        capsys, out, small("b", 4, 3)
    )
    few = small("c", 3, 9)
    for path in (tmp_path / "few").glob("*"):
        path.unlink()
    export = tmp_path / "export"
    export_sweep(out, export, ("none",), print)
    for path in (export / "tokenizer").iterdir():
        shutil.copy(path, few)
    assert "has a vocabulary of 3, without 1 of the world's 4 tokens: d" in refused(capsys, out, few)


def test_more_that_is_refused(out: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = next(models.iterdir())
    assert "names no model" in refused(capsys, out)
    assert "is not there; name a folder of a causal language model" in refused(capsys, out, tmp_path / "nothing")
    assert "is no folder of a sweep" in refused(capsys, models, one)
    assert "must be 1 to 80 printable signs" in refused(capsys, out, one, "--label", "a\nb")
    assert "--beta -1: must be above 0" in refused(capsys, out, one, "--beta=-1")
    assert "is no axis of this sweep" in refused(capsys, out, one, "--at", "world.seed=3")
    (tmp_path / "mine.py").write_text("def log_prob(prompts, responses):\n    return responses[..., 0] * 0.0 - 1.0\n")
    assert "sum to" in refused(capsys, out, "mine.py:log_prob")
    assert not (out / "external.parquet").exists()
    (out / "SHA256SUMS").unlink()
    assert "its sweep has not ended" in refused(capsys, out, one)


def test_several_worlds_need_to_be_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = {"loss": "logistic", "beta": [0.1], "seeds": 1, "world.seed": [1, 2]}
    out = sim.run_sweep(small_sweep(**{**TINY, "sweep": grid}), tmp_path / "out", workers=1)
    (tmp_path / "mine.py").write_text(
        "import math\ndef log_prob(prompts, responses):\n    return responses[..., 0] * 0.0 - 3 * math.log(4)\n"
    )
    told = refused(capsys, out, "mine.py:log_prob")
    assert "this sweep has 2 worlds; say in which to measure, such as --at world.seed=1" in told
    scored(out, "mine.py:log_prob", "--at", "world.seed=2")
    assert len(external(out)) == 1
    assert ResultFolder(path=out).external.exists()

"""A gold reward that is a classifier of text in a folder: its scores are the model's, and only safetensors are read."""

import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from run import main
from simulator.own_rewards import classifier as module
from simulator.own_rewards.load import code_hash, own_reward
from simulator.own_rewards.source import CodeSource
from simulator.own_rewards.trial import Sizes
from simulator.sweeps.grid import expand
from tests.conftest import heard
from tests.helpers.own_golds import classifier

transformers = pytest.importorskip(
    "transformers", reason="the extra `hf` installs transformers, which reads classifiers"
)
TEXT = Sizes(vocabulary=256, prompt_length=4, response_length=6, ends=True, is_text=True)
IN_SWEEP = Sizes(vocabulary=256, prompt_length=3, response_length=4, ends=False, is_text=True)
THREE = ("NEGATIVE", "NEUTRAL", "GLAD")
PROMPTS = np.frombuffer(b"ab: cd: so, so, ", dtype=np.uint8).reshape(4, 4).astype(np.int64)
RESPONSES = np.array([[*b"aeon\n", -1], [*b"xyz.\n", -1], [*b"so so "], [*b"\xff\xfeAZ?!"]])
TEXTS = ["ab: aeon\n", "cd: xyz.\n", "so, so so ", "so, \ufffd\ufffdAZ?!"]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    module.READ.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with three classifiers."""
    path = tmp_path_factory.mktemp("models")
    classifier(path / "two")
    classifier(path / "three", labels=THREE, seed=1)
    classifier(path / "one", labels=("LABEL_0",), seed=2)
    return path


def hash_of(folder: Path, name: str) -> str:
    return code_hash(f"hf:{name}", CodeSource(base_folder=folder))


def found(folder: Path, name: str, sizes: Sizes = TEXT):
    return own_reward(f"hf:{name}", CodeSource(base_folder=folder), sizes)


def complaint(folder: Path, name: str, sizes: Sizes = TEXT) -> str:
    with pytest.raises(sim.ConfigError) as error:
        found(folder, name, sizes)
    assert str(error.value).startswith(f"gold.reward = hf:{name}: ")
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A classifier that may be damaged."""
    return shutil.copytree(folder / "two", tmp_path / "model")


def logits_of(folder: Path) -> np.ndarray:
    """What transformers gives for each text alone."""
    import torch

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return np.array([model(**tokenizer(text, return_tensors="pt")).logits[0].double().numpy() for text in TEXTS])


def test_a_score_is_what_transformers_computes(folder: Path) -> None:
    two, three, one = (logits_of(folder / name) for name in ("two", "three", "one"))
    odds = three[:, 2] - np.log(np.exp(three[:, 0]) + np.exp(three[:, 1]))
    expected = {
        "two": two[:, 1] - two[:, 0],
        "two#negative": two[:, 0] - two[:, 1],
        "two#POSITIVE": two[:, 1] - two[:, 0],
        "three#GLAD": odds,
        "one": one[:, 0],
        "one#LABEL_0": one[:, 0],
    }
    for name, scores in expected.items():
        reward = found(folder, name)
        assert reward(PROMPTS, RESPONSES) == pytest.approx(scores, abs=1e-6)
        assert np.std(scores) > 1e-3
    assert found(folder, "two").rules() == ["a classifier's log-odds of POSITIVE, two"]
    assert found(folder, "one").rules() == ["a classifier's output, one"]


def test_a_score_does_not_depend_on_its_company(folder: Path, rng: np.random.Generator) -> None:
    reward = found(folder, "three#GLAD")
    responses = rng.integers(32, 127, size=(70, 6))
    together = reward(np.repeat(PROMPTS[:1], 70, axis=0), responses)
    for some in ([3], [69, 4, 4], list(range(40, 70))):
        reward.known.clear()
        assert reward(np.repeat(PROMPTS[:1], len(some), axis=0), responses[some]).tolist() == together[some].tolist()


def test_a_text_may_have_more_tokens_than_bytes(copied: Path, tmp_path: Path) -> None:
    """A byte that is no UTF-8 is a sign of its own, of which tokenizers of bytes make three."""
    from tokenizers import Tokenizer, normalizers

    made = Tokenizer.from_file(str(copied / "tokenizer.json"))
    made.normalizer = normalizers.Replace("\ufffd", "???")
    made.save(str(copied / "tokenizer.json"))
    expected = logits_of(copied)
    many = np.array([[255, 254, 253, 252, 251, 250], *RESPONSES[1:]])
    reward = found(tmp_path, "model")
    assert reward(PROMPTS, RESPONSES) == pytest.approx(expected[:, 1] - expected[:, 0], abs=1e-6)
    together = reward(PROMPTS, many)
    reward.known.clear()
    assert reward(PROMPTS[:1], many[:1]).tolist() == together[:1].tolist()


def test_names_of_folders_are_taken_as_they_are(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "two", tmp_path / "with#sign")
    assert found(tmp_path, "with#sign").row == 1
    assert found(tmp_path, "with#sign#NEGATIVE").row == 0
    assert hash_of(tmp_path, str(folder / "two")) == hash_of(folder, "two#NEGATIVE")
    assert hash_of(folder, "two") != hash_of(folder, "three#GLAD")


def test_names_that_are_none_are_said(folder: Path) -> None:
    assert complaint(folder, "tow").endswith("; did you mean two?")
    assert "there is no folder " in complaint(folder, "long" * 200)
    assert "has no label POSITVE; it has NEGATIVE, POSITIVE; did you mean POSITIVE?" in complaint(folder, "two#POSITVE")
    assert "has 3 labels (NEGATIVE, NEUTRAL, GLAD); say whose log-odds are gold, as hf:FOLDER#NEGATIVE" in complaint(
        folder, "three"
    )


def test_worlds_without_text_and_with_long_texts_are_refused(folder: Path, tmp_path: Path) -> None:
    letters = Sizes(vocabulary=4, prompt_length=2, response_length=3, ends=False, is_text=False)
    assert "reads text, and this world has none; name a text file, world.language.text" in complaint(
        folder, "two", letters
    )
    classifier(tmp_path / "short", places=8)
    assert "takes at most 8 tokens, and a text of this world has 10; lower world.prompt_length" in complaint(
        tmp_path, "short"
    )


class CreatesAFile:
    """What a pickle could do to whoever opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)


def test_weights_that_can_run_code_are_never_opened(copied: Path, tmp_path: Path) -> None:
    import torch

    evil = CreatesAFile(tmp_path / "opened")
    for content in (pickle.dumps(evil), None):
        if content is None:
            torch.save({"classifier.weight": evil}, copied / "pytorch_model.bin")
        else:
            (copied / "pytorch_model.bin").write_bytes(content)
        assert found(tmp_path, "model").row == 1  # beside safetensors it is passed over
        weights = (copied / "model.safetensors").read_bytes()
        (copied / "model.safetensors").unlink()
        told = complaint(tmp_path, "model")
        assert "has its weights in pytorch_model.bin alone, a format that can run code and is never opened" in told
        assert "AutoModelForSequenceClassification.from_pretrained(FOLDER).save_pretrained(FOLDER" in told
        (copied / "model.safetensors").write_bytes(weights)
    (copied / "model.safetensors").write_bytes((copied / "pytorch_model.bin").read_bytes())
    assert "cannot be read as a sequence classifier (" in complaint(tmp_path, "model")
    assert not (tmp_path / "opened").exists()
    pickle.loads(pickle.dumps(evil))
    assert (tmp_path / "opened").exists()  # so it would have been seen


def test_code_of_a_folder_is_never_run(copied: Path, tmp_path: Path) -> None:
    (copied / "modeling.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nclass Model: pass\n")
    config = json.loads((copied / "config.json").read_text())
    named = {"AutoModelForSequenceClassification": "modeling.Model", "AutoTokenizer": ["modeling.Model", None]}
    (copied / "config.json").write_text(json.dumps(config | {"auto_map": named}))
    assert "its config.json names code of its own (auto_map), which is never run" in complaint(tmp_path, "model")
    (copied / "config.json").write_text(json.dumps(config))
    told = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(json.dumps(told | {"auto_map": named}))
    with heard():
        try:
            found(tmp_path, "model")
        except sim.ConfigError as error:
            assert "cannot be read as a sequence classifier" in str(error)
    assert not (tmp_path / "run").exists()


def test_damaged_folders_are_said(copied: Path, tmp_path: Path) -> None:
    weights = (copied / "model.safetensors").read_bytes()
    size = int.from_bytes(weights[:8], "little")
    places = (0, 5, 7, 8, 9, size // 2, size + 6)
    damaged = [weights[: len(weights) // 2], weights[:4], b"", weights[: size // 2]]
    damaged += [weights[:at] + bytes([weights[at] ^ 64]) + weights[at + 1 :] for at in places]
    for content in damaged:
        (copied / "model.safetensors").write_bytes(content)
        told = complaint(tmp_path, "model")
        assert "cannot be read as a sequence classifier (" in told or "it has no weights for" in told
        assert len(told) < 600
    (copied / "model.safetensors").write_bytes(weights)
    config = (copied / "config.json").read_bytes()
    for content, why in (
        (b"", "its config.json cannot be read (JSONDecodeError)"),
        (b"[" * 10**5, "its config.json cannot be read (RecursionError)"),
        (b"[]", "its config.json must be a table"),
        (b"{}", "sequence classifier"),  # transformers guesses its kind from the name of the folder
        (config.replace(b'"bert"', b'"brt"'), "sequence classifier"),
        (config.replace(b'"hidden_size": 16', b'"hidden_size": 8'), "sequence classifier"),
    ):
        (copied / "config.json").write_bytes(content)
        assert why in complaint(tmp_path, "model")
    (copied / "config.json").unlink()
    assert "has no config.json; name a folder that save_pretrained has written" in complaint(tmp_path, "model")
    (copied / "model.safetensors").unlink()
    assert "has no weights, model.safetensors; name a folder" in complaint(tmp_path, "model")


def test_weights_that_are_no_numbers_are_refused(copied: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    weights["classifier.weight"][0, 0] = np.nan
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert "gives scores that are not finite; its weights are damaged" in complaint(tmp_path, "model")


def test_a_language_model_is_no_classifier(folder: Path, tmp_path: Path) -> None:
    sizes = {"vocab_size": 97, "n_positions": 64, "n_embd": 8, "n_layer": 1, "n_head": 2}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    model.save_pretrained(tmp_path / "gpt")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "two" / name, tmp_path / "gpt" / name)
    assert "is no sequence classifier: it has no weights for score.weight" in complaint(tmp_path, "gpt")


def test_without_transformers_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "needs Hugging Face transformers; install it with: pip install 'alignment-simulator[hf]'" in complaint(
        folder, "two"
    )


def sweep_in(folder: Path, reward: str) -> sim.Sweep:
    """A small sweep on text, whose file lies in the folder."""
    (folder / "text.txt").write_text("we see an old owl. you eat a pie. " * 60)
    tables = {
        "world": {
            "language": {"text": str(folder / "text.txt")},
            **{"response_length": 4, "prompts": 2, "prompt_length": 3},
        },
        "reference": {"steps": 20},
        "data": {"pairs": 32, "labels": "deterministic"},
        "policy": {"width": 8},
        "measure": {"samples": 8, "baseline": 16},
        "gold": {"reward": reward, "fluency": 0.0},
        "train": {"steps": 2, "checkpoints": 2, "batch": 8},
        "sweep": {"loss": ["logistic", "hinge"], "beta": [0.3], "seeds": 1},
    }
    (folder / "small.toml").write_text(sim.Sweep.model_validate(tables).to_toml())
    return sim.Sweep.from_toml(folder / "small.toml")


@pytest.mark.slow
def test_a_sweep_has_one_as_gold_and_another_folder_makes_other_runs(
    folder: Path, copied: Path, tmp_path: Path
) -> None:
    """In two workers, which read the folder themselves."""
    sweep = sweep_in(tmp_path, "hf:model#POSITIVE")
    with heard():
        out = sim.run_sweep(sweep, tmp_path / "out", workers=2, memory="2GiB")
    before = pd.read_parquet(out / "curves.parquet")
    assert before["gold"].notna().all()
    with heard() as told:
        sim.run_sweep(sweep, out, workers=1)
    assert not [line for line in told if "changed" in line]
    classifier(copied, seed=9)
    with heard() as told:
        sim.run_sweep(sweep, out, workers=1)
    assert any("hf:model#POSITIVE: its code has changed since 2 runs were recorded" in line for line in told)
    after = pd.read_parquet(out / "curves.parquet")
    assert not set(before["run_id"].dropna()) & set(after["run_id"].dropna())


def test_gold_of_a_world_is_its_score(folder: Path, copied: Path, tmp_path: Path) -> None:
    sweep = sweep_in(tmp_path, "hf:model#POSITIVE")
    runs = [run.run_id for run in expand(sweep)]
    with heard():
        pairs = sim.make_world(sweep).preferences(16, seed=0)
    reward = found(tmp_path, "model#POSITIVE", IN_SWEEP)
    scores = [reward(pairs.prompts.numpy(), side.numpy()) for side in (pairs.chosen, pairs.rejected)]
    gaps, gold = scores[0] - scores[1], (pairs.gold[:, 0] - pairs.gold[:, 1]).numpy()
    assert (gaps >= 0).all()
    assert gold == pytest.approx(gaps * (gold @ gaps) / (gaps @ gaps), abs=1e-4)
    assert [run.run_id for run in expand(sweep)] == runs
    classifier(copied, seed=9)
    assert not {run.run_id for run in expand(sweep)} & set(runs)
    classifier(copied, labels=THREE)
    assert "has no label POSITIVE; it has NEGATIVE, NEUTRAL, GLAD" in told_of(tmp_path)


def told_of(folder: Path) -> str:
    """What the command says of the sweep."""
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["sweep", str(folder / "small.toml"), "--out", str(folder / "new")]) == 2
    assert not (folder / "new").exists()
    return said.getvalue()

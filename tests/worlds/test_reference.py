"""The reference is trained, learns the language, and is cached without trusting the cache."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine.snapshots import state_bytes
from simulator.languages.markov import make_language
from simulator.networks.architecture import Architecture
from simulator.worlds.reference import Recipe, cached_reference, read_cached, reference_hash, train_reference
from tests.conftest import heard

ARCHITECTURE = Architecture(vocabulary=4, context=4, layers=1, width=16, heads=2)
CPU = torch.device("cpu")
RECIPE = Recipe(prompt_length=2, steps=40, batch=32, learning_rate=0.01, seed=0)


@pytest.fixture
def language(rng):
    return make_language(vocabulary=4, length=3, topics=2, branching=2, slip=0.05, stop=0.0, rng=rng)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMULATOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def log_probs(language, recipe: Recipe, prompts: np.ndarray, texts: np.ndarray) -> Tensor:
    """log pi of texts [N, T] to prompts [N, L] under the reference that this recipe trains, [N]."""
    policy = sim.Policies(
        parameters=train_reference(language, ARCHITECTURE, recipe, CPU).unsqueeze(0),
        architecture=ARCHITECTURE,
        prompt_length=2,
        end=language.end,
        table=pd.DataFrame({"run_id": ["reference"]}),
        reference_sha256="",
    )
    return policy.log_prob(prompts, texts[:, None])[0, :, 0]


@pytest.mark.slow
def test_held_out_cross_entropy_comes_near_the_entropy_of_the_language(language) -> None:
    recipe = Recipe(prompt_length=2, steps=800, batch=64, learning_rate=0.01, seed=0)
    rng = np.random.default_rng(99)
    prompts, texts = language.draw_unseen(count=20_000, prompt_length=2, rng=rng)
    cross_entropy = -log_probs(language, recipe, prompts, texts).mean().item()
    true = language.entropy(prompts).mean()
    assert -language.log_likelihood(prompts, texts).mean() == pytest.approx(true, abs=0.05)
    assert cross_entropy < true + 0.08
    assert cross_entropy < 0.75 * 3 * np.log(4)


def test_the_cache_is_used(language, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("simulator.worlds.reference.train_reference", lambda *_: pytest.fail("trained again"))
    assert torch.equal(cached_reference(language, ARCHITECTURE, RECIPE, CPU), first)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_made_it_is_in_its_name(language, cache: Path, seed: int) -> None:
    cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    cached_reference(language, ARCHITECTURE, Recipe(**{**vars(RECIPE), "seed": seed}), CPU)
    wider = Architecture(vocabulary=4, context=4, layers=1, width=18, heads=2)
    cached_reference(language, wider, RECIPE, CPU)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"not tensors", "cut", "of another", "of another shape"])
def test_a_damaged_cache_is_named_and_replaced(language, cache: Path, damage: bytes | str) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    (path,) = cache.iterdir()
    of = {"reference": path.stem.removeprefix("reference-")}
    contents = {
        "cut": path.read_bytes()[:-4],
        "of another": state_bytes({"parameters": first}, {"reference": "another"}),
        "of another shape": state_bytes({"parameters": first[:-1]}, of),
    }
    path.write_bytes(contents[damage] if isinstance(damage, str) else damage)
    with pytest.warns(UserWarning, match=rf"{path.name}: is damaged; the reference is trained again"):
        assert torch.equal(cached_reference(language, ARCHITECTURE, RECIPE, CPU), first)
    assert torch.equal(cached_reference(language, ARCHITECTURE, RECIPE, CPU), first)  # and is not damaged any more


def test_no_bit_of_a_cached_reference_changes_unseen(language, cache: Path, rng: np.random.Generator) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    (path,) = cache.iterdir()
    whole, of = path.read_bytes(), {"reference": path.stem.removeprefix("reference-")}
    signs = [len(whole) - 4 * len(first) + 4 * number + 3 for number in range(0, len(first), 17)]  # the sign bits
    changes = [(place, 0x80) for place in signs]
    changes += [(int(rng.integers(len(whole))), 1 << int(rng.integers(8))) for _ in range(300)]
    with heard():
        for place, bit in changes:
            changed = bytearray(whole)
            changed[place] ^= bit
            path.write_bytes(changed)
            row = read_cached(path, of, len(first))
            assert row is None or torch.equal(row, first)  # a bit of the header's padding may say nothing
            assert row is None or place < len(whole) - 4 * len(first)


def test_the_hash_of_a_reference_is_of_every_bit(language) -> None:
    row = train_reference(language, ARCHITECTURE, RECIPE, CPU)
    other = row.clone()
    other[7] = -other[7]
    assert len({reference_hash(row), reference_hash(other)}) == 2
    assert reference_hash(row) == reference_hash(row.clone())


def test_a_cache_that_cannot_be_written_costs_only_time(language, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIMULATOR_CACHE", str(tmp_path / "file" / "cache"))
    assert cached_reference(language, ARCHITECTURE, RECIPE, CPU).isfinite().all()


def test_a_pickle_in_the_cache_is_never_loaded(language, cache: Path) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    (path,) = cache.iterdir()
    np.save(path.with_suffix(".npy"), np.array([print], dtype=object), allow_pickle=True)
    path.with_suffix(".npy").replace(path)
    with heard():
        found = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    assert torch.equal(found, first)


def test_a_caller_that_wants_no_gradients_gets_a_trained_reference(language) -> None:
    with torch.no_grad():
        quiet = train_reference(language, ARCHITECTURE, RECIPE, CPU)
    assert torch.equal(quiet, train_reference(language, ARCHITECTURE, RECIPE, CPU))


@pytest.mark.slow
def test_a_language_with_an_end_token_is_learned_up_to_its_entropy(rng) -> None:
    stopping = make_language(vocabulary=4, length=3, topics=2, branching=2, slip=0.05, stop=0.3, rng=rng)
    recipe = Recipe(prompt_length=2, steps=800, batch=64, learning_rate=0.01, seed=0)
    prompts, texts = stopping.draw_unseen(count=20_000, prompt_length=2, rng=np.random.default_rng(99))
    found = log_probs(stopping, recipe, prompts, texts)
    excess = (stopping.log_likelihood(prompts, texts) - found.numpy()).mean()
    assert -0.02 < excess < 0.03

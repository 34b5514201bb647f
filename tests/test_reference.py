"""The reference is trained, learns the language, and is cached without trusting the cache."""

from pathlib import Path

import numpy as np
import pytest
import torch

import simulator.reference
from simulator.markov import make_language
from simulator.network import Architecture, unstack
from simulator.packing import packing
from simulator.reference import Recipe, cached_reference, train_reference
from simulator.streams import stream
from simulator.transformer import response_log_probs

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


def test_held_out_cross_entropy_comes_near_the_entropy_of_the_language(language) -> None:
    recipe = Recipe(prompt_length=2, steps=800, batch=64, learning_rate=0.01, seed=0)
    blocks = unstack(train_reference(language, ARCHITECTURE, recipe, CPU).unsqueeze(0), ARCHITECTURE)
    rng = stream(99, "held out")
    prompts, texts = language.draw_unseen(count=20_000, prompt_length=2, rng=rng)
    packed = packing(prompt_length=2, response_length=3, responses=1, device=torch.device("cpu"))
    log_probs = response_log_probs(
        blocks, ARCHITECTURE, packed, torch.from_numpy(prompts)[None], torch.from_numpy(texts)[None, :, None]
    )
    cross_entropy = -log_probs.sum(dim=(2, 3)).mean().item()
    true = language.entropy(prompts).mean()
    assert -language.log_likelihood(prompts, texts).mean() == pytest.approx(true, abs=0.05)
    assert cross_entropy < true + 0.08
    assert cross_entropy < 0.75 * 3 * np.log(4)


def test_the_cache_is_used(language, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(simulator.reference, "train_reference", lambda *_: pytest.fail("trained again"))
    assert torch.equal(cached_reference(language, ARCHITECTURE, RECIPE, CPU), first)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_made_it_is_in_its_name(language, cache: Path, seed: int) -> None:
    cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    cached_reference(language, ARCHITECTURE, Recipe(**{**vars(RECIPE), "seed": seed}), CPU)
    wider = Architecture(vocabulary=4, context=4, layers=1, width=18, heads=2)
    cached_reference(language, wider, RECIPE, CPU)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"not numpy", None])
def test_a_damaged_cache_is_replaced(language, cache: Path, damage: bytes | None) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    (path,) = cache.iterdir()
    if damage is None:
        np.save(path, np.full(3, np.nan, dtype=np.float32))
    else:
        path.write_bytes(damage)
    assert torch.equal(cached_reference(language, ARCHITECTURE, RECIPE, CPU), first)
    assert np.load(path, allow_pickle=False).shape == first.shape


def test_a_cache_that_cannot_be_written_costs_only_time(language, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIMULATOR_CACHE", str(tmp_path / "file" / "cache"))
    assert cached_reference(language, ARCHITECTURE, RECIPE, CPU).isfinite().all()


def test_a_pickle_in_the_cache_is_never_loaded(language, cache: Path) -> None:
    first = cached_reference(language, ARCHITECTURE, RECIPE, CPU)
    (path,) = cache.iterdir()
    np.save(path, np.array([print], dtype=object), allow_pickle=True)
    assert torch.equal(cached_reference(language, ARCHITECTURE, RECIPE, CPU), first)


def test_a_caller_that_wants_no_gradients_gets_a_trained_reference(language) -> None:
    with torch.no_grad():
        quiet = train_reference(language, ARCHITECTURE, RECIPE, CPU)
    assert torch.equal(quiet, train_reference(language, ARCHITECTURE, RECIPE, CPU))


def test_a_language_with_an_end_token_is_learned_up_to_its_entropy(rng) -> None:
    stopping = make_language(vocabulary=4, length=3, topics=2, branching=2, slip=0.05, stop=0.3, rng=rng)
    recipe = Recipe(prompt_length=2, steps=800, batch=64, learning_rate=0.01, seed=0)
    blocks = unstack(train_reference(stopping, ARCHITECTURE, recipe, CPU).unsqueeze(0), ARCHITECTURE)
    prompts, texts = stopping.draw_unseen(count=20_000, prompt_length=2, rng=stream(99, "unseen"))
    packed = packing(prompt_length=2, response_length=3, responses=1, device=CPU)
    log_probs = response_log_probs(
        blocks, ARCHITECTURE, packed, torch.from_numpy(prompts)[None], torch.from_numpy(texts)[None, :, None]
    ).sum(dim=-1)
    excess = (stopping.log_likelihood(prompts, texts) - log_probs.numpy().ravel()).mean()
    assert -0.02 < excess < 0.03

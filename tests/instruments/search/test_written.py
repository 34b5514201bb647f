"""What a search writes: its loss, and the sweep that judges it."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import run
from simulator.instruments.search.family import KNOTS, Family, values
from simulator.instruments.search.protocol import FULL, HELD_OUT, Protocol
from simulator.instruments.search.written import NAME, rounded, write_found, write_judged, write_shapes
from simulator.objectives.local_shape import local_shape
from simulator.objectives.own_loss import own_loss
from simulator.sweeps.grid import read_sweep

Array = np.ndarray


@pytest.fixture(params=[True, False], ids=["convex", "any"])
def family(request: pytest.FixtureRequest) -> Family:
    return Family(convex=request.param)


@pytest.fixture
def masses(family: Family, rng: np.random.Generator) -> Array:
    return family.masses(family.start + family.spread * rng.normal(size=len(KNOTS)))


def test_the_written_loss_has_the_values_of_its_parameters(family: Family, masses: Array, tmp_path: Path) -> None:
    write_found(tmp_path, masses, convex=family.convex)
    f = own_loss(NAME, tmp_path).objective.f
    assert f is not None
    z = torch.linspace(-12, 14, 200, dtype=torch.float64)
    exact = values(z[None], torch.from_numpy(masses[None]), family.convex)[0]
    torch.testing.assert_close(f(z), exact, rtol=2e-3, atol=2e-3)
    same = values(z[None], torch.tensor([rounded(masses)], dtype=torch.float64), family.convex)[0]
    torch.testing.assert_close(f(z), same, rtol=1e-10, atol=1e-10)
    assert local_shape(f).slope == pytest.approx(-1.0, abs=1e-9)


def test_it_is_a_loss_like_any_other(
    family: Family, masses: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_found(tmp_path, masses, convex=family.convex)
    assert run.main(["losses", f"{tmp_path / 'found.py'}:found"]) == 0
    assert "log(1 + exp((z - t_k)/w))" in capsys.readouterr().out


def test_masses_have_four_digits() -> None:
    assert rounded(np.array([0.123456, 1234.56, 1e-7 / 3])) == (0.1235, 1235.0, 3.333e-8)


def test_shapes_are_of_what_was_found_and_of_rivals(tmp_path: Path) -> None:
    family = Family(convex=True)
    write_shapes(tmp_path, family.masses(family.start), ["logistic", "hinge"], convex=True)
    shapes = pd.read_parquet(tmp_path / "shapes.parquet")
    assert set(shapes["loss"]) == {NAME, "logistic", "hinge"}
    own = shapes[shapes["loss"] == NAME]
    numerical = np.gradient(own["f"], own["z"])
    np.testing.assert_allclose(numerical[1:-1], own["slope"].iloc[1:-1], atol=2e-3)


def test_the_judging_shares_no_world_and_no_seed_with_the_search(tmp_path: Path) -> None:
    protocol = Protocol(sweep=read_sweep("search"), sizes=FULL, convex=True, seed=0)
    family = Family(convex=True)
    write_found(tmp_path, family.masses(family.start), convex=True)
    write_judged(tmp_path, protocol)
    judged = read_sweep(tmp_path / "judged.toml")
    assert judged.sweep.loss == (*protocol.rivals, NAME)
    assert set(judged.sweep.seed_values).isdisjoint(protocol.sweep.sweep.seed_values)
    assert set(protocol.held_out).isdisjoint(protocol.worlds)
    assert min(*protocol.held_out, *protocol.held_out_draws) == HELD_OUT == judged.world.seed == judged.gold.seed
    assert set(protocol.sweep.sweep.beta) < set(judged.sweep.beta)
    assert len(judged.sweep.beta) == 2 * len(protocol.sweep.sweep.beta) - 1
    told = tomllib.loads((tmp_path / "judged.toml").read_text(encoding="utf-8"))
    assert told["train"]["steps"] == protocol.sweep.train.steps


def test_worlds_of_the_search_differ_in_language_and_gold() -> None:
    protocol = Protocol(sweep=read_sweep("search"), sizes=FULL, convex=True, seed=0)
    seeds = [(runs[0].settings.world.seed, runs[0].settings.gold.seed) for runs in map(protocol.runs_at, range(3))]
    assert seeds == [(0, 0), (1, 1), (2, 2)]
    assert len(protocol.runs_at(0)) == len(protocol.rivals) * len(protocol.sweep.sweep.beta) * 2


def test_a_history_can_grow_in_generations_and_is_of_one_search() -> None:
    protocol = Protocol(sweep=read_sweep("search"), sizes=FULL, convex=True, seed=0)
    key = protocol.key("source")
    longer = replace(FULL, generations=99, held_out=3, draws=1)
    assert replace(protocol, sizes=longer).key("source") == key
    others = [
        replace(protocol, seed=1),
        replace(protocol, convex=False),
        replace(protocol, sizes=replace(FULL, population=17)),
        replace(protocol, sizes=replace(FULL, worlds=9)),
        replace(protocol, sweep=read_sweep("search", ["train.steps=200"])),
    ]
    assert len({key, protocol.key("other source"), *(other.key("source") for other in others)}) == 7

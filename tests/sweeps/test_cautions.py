"""What cannot be trained is said beforehand, and nothing is said of what can."""

from pathlib import Path
from typing import Any

import pytest
import torch

import simulator as sim
from simulator import OBJECTIVES, Sweep, run_sweep
from simulator.objectives.custom import start_slopes
from simulator.sweeps.cautions import LEAST_SLOPE, cautions, steepest, uninformative_pairs
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
GOOD = {"sweep": {"loss": ["logistic"], "beta": [0.1], "seeds": 1}}


def said(**tables: Any) -> list[str]:
    sweep = small_sweep(**{**GOOD, **tables})
    return cautions(sweep, expand(sweep))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_sweeps_that_are_shipped_raise_no_false_alarm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent.parent)  # one of them names its text by a relative path
    sweep = Sweep.from_toml(path)
    found = cautions(sweep, expand(sweep))
    known = tuple(f"loss {name} divides by" for name in ("simper", "dpo_sft", "sft"))
    assert [line for line in found if not line.startswith(known)] == []


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"train": {"learning_rate": 1e-9}}, "train.learning_rate = 1e-09: a step is less than float32 resolves"),
        ({"train": {"learning_rate": 1e-6}}, "train.learning_rate = 1e-06: all 40 steps together move a parameter"),
        ({"train": {"clip": 1e-8}}, "train.clip = 1e-08: gradients clipped to that are near Adam's epsilon"),
        ({"sweep": {**GOOD["sweep"], "beta": [1e-9]}}, "sweep.beta = 1e-09 with loss logistic: a log-ratio has a"),
        ({"data": {"label_noise": 0.6}}, "data.label_noise = 0.6: most labels are flipped, so the worse response"),
        ({"sweep": {**GOOD["sweep"], "data.label_noise": [0.1, 0.75]}}, "data.label_noise = 0.75: most labels are"),
        ({"sweep": {"loss": ["simper", "hinge"], "seeds": 1}}, "loss simper divides by the number of tokens"),
        ({"sweep": {"loss": ["simpo", "orpo"], "seeds": 1}}, "loss simpo, orpo divide by the number of tokens"),
        (
            {"sweep": {"method": ["best_of_n"], "seeds": 1}, "data": {"pairs": 12}, "train": {}},
            "proxy.held_out = 0.1 of data.pairs = 12: the best checkpoint of a proxy is chosen by 1 held-out pair,",
        ),
        (
            {
                "sweep": {"method": ["rl"], "penalty": [0.0, 0.1], "seeds": 1, "rl.kl": ["reward", "loss"]},
                "rl": {"kl_estimator": "k1"},
            },
            'rl.kl = "loss" with rl.kl_estimator = "k1": its gradient is 0 in the mean, so sweep.penalty holds',
        ),
        (
            {
                "sweep": {"method": ["iterated"], "penalty": [0.1], "seeds": 1},
                "rl": {"kl": "loss", "kl_estimator": "k1"},
            },
            'rl.kl = "loss" with rl.kl_estimator = "k1": its gradient is 0 in the mean, so sweep.penalty holds',
        ),
    ],
)
def test_what_cannot_be_trained_is_said_once(tables: dict[str, Any], sentence: str) -> None:
    assert len([line for line in said(**tables) if line.startswith(sentence)]) == 1, said(**tables)


def test_nothing_is_said_of_what_can_be_trained() -> None:
    assert said() == []
    assert said(data={"label_noise": 0.5}) == []
    assert said(sweep={"loss": ["simpo"], "seeds": 1}, world={"kind": "sampled", "language": {"stop": 0.1}}) == []


def reached(lab: sim.World, beta: float = 0.1, **train: Any) -> float:
    """KL at the end of training."""
    settings = {f"train.{key}": value for key, value in train.items()}
    return float(sim.train(lab, lab.preferences(), beta=beta, settings=settings).curves["kl"].iloc[-1])


def test_thresholds_are_where_training_stalls(lab: sim.World) -> None:
    """Of the KL that a run reaches, one at half of a threshold misses half or more, and one at 30 times it little."""
    usual = reached(lab)
    steep = steepest(OBJECTIVES["logistic"], 1.0, {})
    for factor, low, high in ((0.5, 0.0, 0.5), (30.0, 0.8, 1.5)):
        beta = factor * LEAST_SLOPE / steep
        assert low < reached(lab, beta) / usual < high
    assert reached(lab, clip=1e-8) < 0.5 * usual
    assert reached(lab, clip=1e-5) > 0.5 * usual
    assert reached(lab, learning_rate=1e-6) < 1e-5 * usual
    assert reached(lab, learning_rate=1e-9) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", [name for name, each in OBJECTIVES.items() if each.f is not None])
@pytest.mark.parametrize("beta", [1.0, 1e-3])
def test_slopes_at_the_start_are_those_of_f(name: str, beta: float) -> None:
    objective = OBJECTIVES[name]
    own = {key: parameter.default for key, parameter in objective.parameters.items()}
    shape = objective.shape(own)
    assert shape is not None
    assert start_slopes(objective, beta, own) == pytest.approx((shape.slope * beta, -shape.slope * beta), rel=1e-4)


def test_every_objective_has_a_slope_at_the_start() -> None:
    for objective in OBJECTIVES.values():
        own = {key: parameter.default for key, parameter in objective.parameters.items()}
        assert steepest(objective, 0.1, own) > LEAST_SLOPE, objective.name


@pytest.mark.parametrize(
    "tables",
    [
        {"world": {"vocabulary": 2, "response_length": 1, "prompts": 2}},
        {"gold": {"reward": "motif", "fluency": 0.0}},
    ],
)
def test_pairs_that_say_nothing_are_counted(tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the closed form of the world: the reference's chance of a pair of equals, and of equal gold."""
    monkeypatch.setattr("simulator.sweeps.cautions.SILENT", 0.1)
    (run,) = expand(small_sweep(**GOOD, **tables, data={"pairs": 256}))
    lab = sim.make_world(small_sweep(**GOOD, **tables))
    listed = lab.responses.expand(len(lab.prompts), -1, -1)
    law, gold = lab.reference.log_prob(lab.prompts, listed)[0].exp(), lab.gold(lab.prompts, listed)
    same = (law**2).sum(dim=1)
    equal = ((gold[:, :, None] - gold[:, None]).abs() < 1e-9).double()
    both = torch.einsum("pi,pj,pij->p", law, law, equal)
    shares = [
        float(word.removesuffix("%")) / 100
        for word in uninformative_pairs(lab.simulated, run).split()
        if word.endswith("%")
    ]
    assert shares == pytest.approx([same.mean().item(), (both - same).mean().item()], abs=0.1)


def test_a_sweep_whose_pairs_say_nothing_warns_and_runs(tmp_path: Path) -> None:
    tiny = {"vocabulary": 2, "response_length": 1, "prompts": 2}
    sweep = small_sweep(**GOOD, world=tiny, data={"pairs": 16}, train={"steps": 1})
    with heard() as warned:
        run_sweep(sweep, tmp_path / "out", workers=1)
    assert len([line for line in warned if "have equal gold, so that their labels say nothing" in line]) == 1


def test_pairs_that_speak_are_not_mentioned(lab: sim.World) -> None:
    (run,) = expand(small_sweep(**GOOD))
    assert uninformative_pairs(lab.simulated, run) == ""


def test_an_end_that_the_text_does_not_have_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one line of words and nothing else, again and again. " * 40)
    world = {"kind": "sampled", "vocabulary": 256, "prompts": 2, "response_length": 4, "prompt_length": 2}
    for end, wanted in (("\n", True), (".", False)):
        language = {"text": str(tmp_path / "text.txt"), "end": end}
        sweep = Sweep.model_validate({"world": {**world, "language": language}, **GOOD})
        found = [line for line in cautions(sweep, expand(sweep)) if line.startswith("world.language.end")]
        assert bool(found) == wanted

"""Keys that no run reads: they change no number, name no run, and are reported."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import simulator as sim
from simulator.settings.tables import flat_settings
from simulator.settings.toml import flatten, place
from simulator.sweeps.grid import expand, tables_read
from simulator.sweeps.stacking import method_of
from tests.conftest import heard, small_sweep

SHORT = {
    "world": {"vocabulary": 3, "response_length": 2, "prompts": 2},
    "reference": {"steps": 20},
    "data": {"pairs": 24, "pool": 24},
    "train": {"steps": 4, "checkpoints": 3, "batch": 8},
    "proxy": {"steps": 3, "width": 4},
    "best_of_n": {"largest": 4, "pool": 16},
    "measure": {"samples": 4, "baseline": 8, "pairs": 6},
}
ONE = {"beta": [0.5], "seeds": 1}
SWEEPS: Mapping[str, dict[str, Any]] = {
    "offline": {"sweep": {"loss": ["logistic"], **ONE}},
    "adamw, tempered": {
        "sweep": {"loss": ["kto"], **ONE},
        "train": {"optimizer": "adamw"},
        "data": {"behaviour": "tempered", "labels": "deterministic"},
    },
    "online, mixture": {
        "sweep": {"loss": ["vpo"], **ONE},
        "online": {"refresh": 2, "pairs": 8},
        "data": {"behaviour": "mixture"},
    },
    "linked": {"sweep": {"loss": ["squared"], **ONE}, "train": {"divergence": "alpha"}},
    "linked by chi2": {"sweep": {"loss": ["squared"], **ONE}, "train": {"divergence": "chi2"}},
    "ranked by gold": {"sweep": {"loss": ["rpo_loo"], **ONE}},
    "following": {"sweep": {"loss": ["logistic"], **ONE}, "train": {"reference_sync": 1}},
    "filtered": {"sweep": {"loss": ["logistic"], **ONE}, "data": {"filter": "ches", "filter_share": 0.25}},
    "pairs recorded": {"sweep": {"loss": ["logistic"], **ONE}, "measure": {"displacement": True}},
    "labelled by proxies": {"sweep": {"loss": ["hinge"], **ONE}, "data": {"labeller": "proxy"}},
    "rloo": {"sweep": {"method": ["rl"], "seeds": 1}},
    "ppo": {"sweep": {"method": ["rl"], "seeds": 1}, "rl": {"algorithm": "ppo"}},
    "exact": {"sweep": {"method": ["rl"], "seeds": 1}, "rl": {"algorithm": "exact"}},
    "grpo": {
        "sweep": {"method": ["rl"], "seeds": 1, "penalty": [0.3]},
        "rl": {"algorithm": "grpo", "kl": "loss", "kl_estimator": "k2"},
    },
    "reinforce_pp": {"sweep": {"method": ["rl"], "seeds": 1}, "rl": {"algorithm": "reinforce_pp"}},
    "best of n": {"sweep": {"method": ["best_of_n"], "seeds": 1}, "proxy": {"members": 2}},
    "optimum": {"sweep": {"method": ["gibbs"], "seeds": 1}},
    "ties": {
        "sweep": {"loss": ["logistic"], **ONE},
        "data": {"labels": "ties", "label_noise": 0.4, "flip_toward": "likelier"},
    },
    "intransitive": {"sweep": {"loss": ["logistic"], **ONE}, "data": {"labels": "intransitive"}},
    "annotators": {
        "sweep": {"loss": ["logistic"], **ONE},
        "data": {"annotators": 2, "disagreement": 0.5, "length_bias": 0.5},
        "world": {"kind": "sampled", "language": {"stop": 0.3}},
    },
    "optimum, planted": {"sweep": {"method": ["gibbs"], "seeds": 1}, "proxy": {"kind": "planted", "error": "student"}},
    "labelled by planted": {
        "sweep": {"loss": ["hinge"], **ONE},
        "data": {"labeller": "proxy"},
        "proxy": {"kind": "planted", "error": "correlated"},
    },
    "sampled, planted": {
        "sweep": {"method": ["best_of_n"], "seeds": 1},
        "world": {"kind": "sampled"},
        "proxy": {"kind": "planted", "error": "thin"},
    },
    "optimum under alpha": {"sweep": {"method": ["gibbs"], "seeds": 1}, "gibbs": {"divergence": "alpha"}},
    "optimum under chi2": {"sweep": {"method": ["gibbs"], "seeds": 1}, "gibbs": {"divergence": "chi2"}},
    "linear, population": {
        "sweep": {"loss": ["logistic"], **ONE},
        "policy": {"kind": "linear"},
        "data": {"population": True},
    },
    "tabular": {"sweep": {"loss": ["logistic"], **ONE}, "policy": {"kind": "tabular"}},
    "one side, replayed, held out": {
        "sweep": {"loss": ["logistic"], **ONE},
        "data": {"behaviour": "best_of_n", "one_from_reference": True},
        "online": {"refresh": 2, "pairs": 16, "replay": "ordered"},
        "measure": {"held_out": 64},
    },
    "iterated": {"sweep": {"method": ["iterated"], "seeds": 1}, "iterated": {"rounds": 2, "start": "interpolated"}},
    "sampled": {"sweep": {"loss": ["squared"], **ONE}, "world": {"kind": "sampled"}},
    "sampled, rloo": {"sweep": {"method": ["rl"], "seeds": 1}, "world": {"kind": "sampled"}},
    "sampled, best of n": {"sweep": {"method": ["best_of_n"], "seeds": 1}, "world": {"kind": "sampled"}},
}
SWITCHES = (  # keys that are read wherever they are not at their default
    *("objective.", "world.language", "train.engine", "data.file", "data.disagreement", "gold.length"),
    *("train.divergence", "gibbs.divergence", "data.population", "policy.kind"),
    *("data.filter", "measure.displacement", "train.reference_sync", "rl.kl"),
    *("measure.held_out", "online.replay", "data.one_from_reference"),
)
OTHERS = {  # another value of a key, where twice the value, or the opposite, is none
    "data.labels": "deterministic",
    "data.labeller": "proxy",
    "data.filter": "displacement",
    "data.behaviour": "uniform",
    "online.replay": "shuffled",
    "iterated.data": "last",
    "iterated.proxies": "mean",
    "iterated.start": "last",
    "iterated.interpolation": 0.25,
    "data.label_noise": 0.25,
    "data.flip_toward": "less_likely",
    "data.disagreement": 1.0,
    "data.length_bias": -8.0,
    "policy.features": "tokens",
    "train.optimizer": "adamw",
    "train.schedule": "linear",
    "train.warmup": 1,
    "train.precision": "bfloat16",
    "train.compile": "never",
    "train.divergence": "chi2",
    "train.alpha": 0.25,
    "train.reference_mixup": 0.25,
    "gibbs.divergence": "forward_kl",
    "gibbs.alpha": 0.25,
    "online.keep": "newest",
    "online.labeller": "proxy",
    "rl.algorithm": "exact",
    "rl.clip": 0.3,
    "rl.kl": "reward",
    "rl.kl_estimator": "k3",
    "proxy.kind": "planted",
    "proxy.error": "gaussian",
    "proxy.correlation": 0.25,
    "proxy.loss": "hinge",
    "proxy.combine": "worst_case",
    "proxy.learning_rate": 0.3,
    "measure.kl_estimators": ("k1",),
    "measure.prompts": 2,
    "objective.vpo.calibration": "chosen",
    "objective.vpo.stance": "pessimistic",
    "objective.rpo.reward": "proxy",
    "objective.conservative_dpo.epsilon": 0.2,
    "objective.robust_dpo.epsilon": 0.2,
}


def settings_of(kind: str) -> dict[str, Any]:
    tables = SWEEPS[kind]
    return {name: {**SHORT.get(name, {}), **tables.get(name, {})} for name in {**SHORT, **tables}}


def curves_of(sweep: sim.Sweep, folder: Path) -> pd.DataFrame:
    """The curves of the one run of a sweep, without what names it."""
    with heard():  # of keys that no run reads
        curves = pd.read_parquet(sim.run_sweep(sweep, folder, workers=1) / "curves.parquet")
    curves = curves[curves["method"] != "oracle"].reset_index(drop=True)
    assert len(set(curves["run_id"])) == 1
    return curves.drop(columns=["run_id", "pairs", "label_noise", "beta", "kappa"])


def other(key: str, value: Any) -> Any:
    if key == "online.refresh":
        return 3 if value else 1000  # steps that are never taken
    if isinstance(value, bool):
        return not value
    if key in OTHERS:
        return OTHERS[key]
    return 2 * value if isinstance(value, int | float) and value else 3


def unread_of(kind: str) -> Iterator[tuple[str, Any]]:
    """The keys that the one run of a sweep does not read, with another value of each."""
    (run,) = expand(small_sweep(**settings_of(kind)))
    read = {name.removeprefix(".") for name, _ in flatten("", tables_read(run.settings, method_of(run).reads(run)))}
    for key, value in flat_settings(run.settings).items():
        decides = key == "proxy.kind" and run.cell.proxies  # and is left out of names where it is what it always was
        if key not in read and not decides and not key.startswith(SWITCHES):
            yield key, other(key, value)


@pytest.mark.slow(but=("offline", "rloo", "sampled"))
@pytest.mark.parametrize("kind", SWEEPS)
def test_what_is_said_to_be_unread_changes_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    keys = dict(unread_of(kind))
    together = small_sweep(**with_keys(settings_of(kind), keys))
    plain = curves_of(small_sweep(**settings_of(kind)), tmp_path / "plain")
    pd.testing.assert_frame_equal(curves_of(together, tmp_path / "together"), plain, check_exact=True)
    assert expand(together)[0].run_id == expand(small_sweep(**settings_of(kind)))[0].run_id
    for key, value in keys.items() if request.config.getoption("--long") else ():
        alone = small_sweep(**with_keys(settings_of(kind), {key: value}))
        pd.testing.assert_frame_equal(curves_of(alone, tmp_path / key), plain, check_exact=True)


def with_keys(tables: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    changed = {name: dict(table) for name, table in tables.items()}
    for key, value in keys.items():
        place(changed, key, value)
    return changed


READ = {  # of each, what must change when the key does
    "offline": ("train.learning_rate", "train.steps", "train.batch", "train.clip", "data.pairs", "data.temperature"),
    "adamw, tempered": ("train.weight_decay", "data.behaviour_temperature", "objective.kto.desirable"),
    "online, mixture": ("online.pairs", "online.refresh", "online.keep", "data.uniform_share", "objective.vpo.alpha"),
    "linked": ("train.divergence", "train.alpha", "train.learning_rate"),
    "linked by chi2": ("train.steps",),
    "ranked by gold": ("objective.rpo.eta", "data.pairs", "measure.kl_estimators"),
    "following": ("train.reference_sync", "train.reference_mixup", "train.learning_rate"),
    "filtered": ("data.filter", "data.filter_share", "data.pairs"),
    "pairs recorded": ("data.pairs",),
    "labelled by proxies": ("data.pool", "proxy.width", "proxy.steps", "proxy.weight_decay", "data.label_noise"),
    "rloo": ("rl.responses", "proxy.width", "train.learning_rate"),
    "ppo": ("rl.reuse", "rl.responses", "train.steps"),
    "exact": ("train.learning_rate", "proxy.batch"),
    "grpo": ("rl.kl", "rl.kl_estimator", "rl.reuse", "rl.responses", "train.steps"),
    "reinforce_pp": ("rl.reuse", "rl.responses"),
    "best of n": ("best_of_n.largest", "proxy.combine", "proxy.members", "data.label_noise"),
    "optimum": ("proxy.width", "gold.seed", "world.seed"),
    "ties": ("data.tie_strength", "data.flip_toward"),
    "intransitive": ("data.cycle",),
    "annotators": ("data.annotators", "data.disagreement", "data.length_bias"),
    "optimum, planted": ("proxy.degrees",),
    "labelled by planted": ("proxy.correlation",),
    "sampled, planted": ("proxy.growth",),
    "optimum under alpha": ("gibbs.divergence", "gibbs.alpha"),
    "optimum under chi2": ("proxy.width",),
    "linear, population": ("policy.features", "policy.width", "data.temperature", "data.distinct", "train.steps"),
    "tabular": ("data.pairs", "train.batch", "train.learning_rate"),
    "one side, replayed, held out": (
        *("data.behaviour", "data.one_from_reference", "online.replay", "online.pairs", "online.refresh"),
        "measure.held_out",
    ),
    "iterated": (
        *("iterated.rounds", "iterated.data", "iterated.proxies", "iterated.start", "iterated.interpolation"),
        *("proxy.width", "data.pairs", "train.steps"),
    ),
    "sampled": ("measure.samples", "measure.baseline", "measure.pairs", "train.steps"),
    "sampled, rloo": ("measure.samples", "measure.baseline", "rl.responses"),
    "sampled, best of n": ("best_of_n.pool", "measure.baseline"),
}


@pytest.mark.slow(but=("offline", "rloo", "sampled"))
@pytest.mark.parametrize("kind", SWEEPS)
def test_what_is_read_changes_something_and_names_another_run(kind: str, tmp_path: Path) -> None:
    plain = small_sweep(**settings_of(kind))
    flat, curves = flat_settings(expand(plain)[0].settings), curves_of(plain, tmp_path / "plain")
    for key in READ[kind]:
        changed = small_sweep(**with_keys(settings_of(kind), {key: other(key, flat[key])}))
        assert expand(changed)[0].run_id != expand(plain)[0].run_id, key
        assert not curves_of(changed, tmp_path / key).equals(curves), key


def test_every_key_is_read_by_some_method() -> None:
    """But those of other languages, which these worlds have not, and of the objectives that they do not train."""
    read = {
        name.removeprefix(".")
        for kind in SWEEPS
        for run in expand(small_sweep(**settings_of(kind)))
        for name, _ in flatten("", tables_read(run.settings, method_of(run).reads(run)))
    }
    left = {
        key
        for key in flat_settings(sim.Sweep().settings_at({}))
        if key not in read and not key.startswith("objective.")
    }
    others = {"rl.clip", "proxy.kind", "proxy.uncertainty", "online.labeller", "world.language.kind"}
    assert left == (others | {"train.engine", "data.file", "gold.length"}) - read

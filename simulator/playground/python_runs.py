"""How Python trains what the page trains: the ends of a ladder of policies, and the answers to the lessons' questions.

A question is a table of analysis/playground/lessons.toml; what it measures has the names that the page uses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.api.pairs import Pairs
from simulator.api.policies import Policies
from simulator.api.reward_models import best_of_n, train_proxy
from simulator.api.training import train
from simulator.api.world import World
from simulator.measurement.ladder import ladder
from simulator.playground.shown import all_log_probs, masses, seen_in
from simulator.playground.world_data import FRESH, REFRESH, breaks_of

Array = np.ndarray

LATE = 300  # the step that "late" measures begin at
FRAMES = 80  # checkpoints of a lesson's run
LARGEST = 1024  # n of best-of-n
PAIRS, STEPS = 256, 600  # of a lesson's run, unless it says otherwise


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The policies of a question's run, one for each seed, and the pairs that they learned from."""

    world: World
    policies: Policies
    pairs: Sequence[Pairs]

    def column(self, name: str) -> Array:
        """A column of `curves.parquet`, [seeds, checkpoints]."""
        table: Array = self.policies.curves.pivot(index="seed", columns="step", values=name).to_numpy()
        return table

    @property
    def steps(self) -> Array:
        """Of the checkpoints."""
        return np.sort(self.policies.curves["step"].unique())


def online_settings(refresh: int) -> dict[str, Any]:
    """The keys of online training, or of offline training for 0, whatever the sweep says."""
    return {"online.refresh": refresh, "online.keep": "all", "online.labeller": "gold"} | (
        {"online.pairs": FRESH} if refresh else {}
    )


def rungs_of_page() -> list[int]:
    """The n of best-of-n that the page has: those of `ladder` without 5, which lies beside 4 and 6."""
    return [n for n in ladder(LARGEST) if n != 5]


def ends_of(world: World, losses: Sequence[str], betas: Sequence[float], seeds: int) -> dict[str, tuple[float, ...]]:
    """KL, gold and the policy's own opinion at the end of training, by loss, beta and seed as the page names them."""
    pairs, offline = [world.preferences(seed=seed) for seed in range(seeds)], online_settings(0)
    policies = train(
        world, pairs, loss=list(losses), beta=list(betas), seed=list(range(seeds)), checkpoints=2, settings=offline
    )
    last = policies.curves[policies.curves["step"] == world.settings.train.steps]
    last = last[last["status"] == "ok"]
    return {
        f"{row.loss} {row.beta:g} {row.seed}": tuple(round(float(value), 6) for value in (row.kl, row.gold, row.proxy))
        for row in last.itertuples()
    }


def trained(world: World, run: Mapping[str, Any], seeds: int) -> Trained:
    """Train the policies of a question's run."""
    count, noise = run.get("pairs", PAIRS), run.get("noise", world.settings.data.label_noise)
    pairs = [world.preferences(count, seed=seed, label_noise=noise) for seed in range(seeds)]
    policies = train(
        world,
        pairs,
        loss=run.get("loss", "logistic"),
        beta=run.get("beta", 0.01),
        seed=list(range(seeds)),
        steps=run.get("steps", STEPS),
        checkpoints=FRAMES,
        settings=online_settings(REFRESH if run.get("online") else 0),
    )
    return Trained(world=world, policies=policies, pairs=pairs)


def at_peaks(found: Trained, name: str) -> Array:
    """A column at each seed's peak: the checkpoint where the mean gold of the other seeds is highest, [seeds]."""
    gold, values = found.column("gold"), found.column(name)
    others = (gold.sum(axis=0) - gold) / (len(gold) - 1)
    return values[np.arange(len(values)), others.argmax(axis=1)]


def last_of(name: str) -> Callable[[Trained], Array]:
    """A column at the end of training, [seeds]."""
    return lambda found: found.column(name)[:, -1]


def late_change(name: str) -> Callable[[Trained], Array]:
    """What a column gains from the first checkpoint after `LATE` steps to the end, [seeds]."""

    def change(found: Trained) -> Array:
        values = found.column(name)
        return values[:, -1] - values[:, np.searchsorted(found.steps, LATE)]

    return change


def share_of(parts: Sequence[int], *, at_end: bool) -> Callable[[Trained], Array]:
    """Percent of the probability that is on some parts of all responses, at the end or under the reference, [seeds]."""

    def share(found: Trained) -> Array:
        breaks, world = breaks_of(found.world), found.world
        laws = all_log_probs(world, found.policies.parameters if at_end else world.reference.parameters)
        each = [seen_in(world, [pairs], breaks) for pairs in found.pairs]
        return np.array(
            [
                100 * sum(masses(laws[number if at_end else 0], seen)[part] for part in parts)
                for number, seen in enumerate(each)
            ]
        )

    return share


MEASURES: Mapping[str, Callable[[Trained], Array]] = {
    "end_kl": last_of("kl"),
    "end_gold": last_of("gold"),
    "end_loss": last_of("train_loss"),
    "end_chosen": last_of("chosen_logratio"),
    "end_rejected": last_of("rejected_logratio"),
    "fall": lambda found: at_peaks(found, "gold") - found.column("gold")[:, -1],
    "peak_gold": lambda found: at_peaks(found, "gold"),
    "peak_loss": lambda found: at_peaks(found, "train_loss"),
    "end_unseen": share_of((2, 3), at_end=True),
    "start_unseen": share_of((2, 3), at_end=False),
    "end_ungrammatical": share_of((3,), at_end=True),
    "start_ungrammatical": share_of((3,), at_end=False),
    "late_kl": late_change("kl"),
    "late_loss": late_change("train_loss"),
}


def best_gold(world: World, run: Mapping[str, Any], seeds: int) -> Array:
    """Gold of the best n against a proxy of a width, [seeds]."""
    found = []
    for seed in range(seeds):
        proxy = train_proxy(world, world.preferences(PAIRS, seed=seed), width=run["width"], members=1, seed=seed)
        rungs = rungs_of_page()
        found.append(best_of_n(world, proxy, n=rungs)["gold"].max())
    return np.array(found)


def interval(values: Array) -> dict[str, float]:
    """The mean and the half width of its 95 % interval (Student's t)."""
    from scipy.special import stdtrit

    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values))
    return {"mean": float(values.mean()), "half": float(half)}


def answer(world: World, question: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """What a question measures: the mean of each run, which of its three answers holds, and what else it tells."""
    name = question["measure"]
    if name == "best_of_n":
        values, also = [best_gold(world, run, seeds) for run in question["runs"]], {}
    else:
        found = [trained(world, run, seeds) for run in question["runs"]]
        values = [MEASURES[name](one) for one in found]
        also = {other: interval(MEASURES[other](found[0])) for other in question.get("also", [])}
    compared = interval(values[0] - values[1] if len(values) > 1 else values[0])
    which = 2 if abs(compared["mean"]) <= compared["half"] else int(compared["mean"] < 0)
    return {"means": [interval(each) for each in values], "which": which, "also": also}

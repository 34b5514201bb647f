"""Best-of-n and its scaling law on real models' data, with intervals over prompts.

Gold is recentred and scaled: 0 is the mean and 1 the standard deviation over the initial policy's responses, each
prompt with the same weight; and so is each score that is ranked by. What is reported at n is the gain over n = 1, at
the same prompts. Let m_p(n) be the best-of-n estimate at prompt p in the unit of the file, m(n) its mean over prompts,
s^2 the variance, and q_p the mean over responses of (score - mean)^2. The gain G(n) = (m(n) - m(1)) / s is the mean
over prompts of

    (m_p(n) - m_p(1)) / s - G(n) (q_p - s^2) / (2 s^2),

whose spread over prompts has the error of the scale in it (the delta method). Prompts then are what seeds are elsewhere
in this package: intervals of means are Student's t, those of the law, its peak and correlations come from resampled
prompts, always the same ones. Shapes: P prompts, Q values of n, R responses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.generations.estimator import best_of, kl_of, ladder, n_of, tied
from analysis.generations.read import Generations, read_generations
from analysis.generations.scores import Pools, Score, pools_of, scores_to_rank_by
from analysis.records.load import ResultsError
from analysis.statistics.intervals import CORRELATION, Estimate, resamples, spread_of, student_half
from analysis.statistics.laws import fit_scaling_law
from analysis.statistics.peaks import smooth_peak_and_fall, student_half_width

Array = np.ndarray
KEPT = 0.9  # of the prompts, which have as many responses as the largest n
GROUPS = 500  # of prompts, where there are more, that are resampled whole
UNCERTAINTY = 0.5  # lambda: of our own ensembles, and of the program of Coste et al.


@dataclass(frozen=True, kw_only=True)
class BestOfN:
    """What best-of-n comes to in a file of generations.

    curves: a row for each score and n: score, kind (proxy, ensemble or gold), n, kl [nats], d (its square root), gold
    and proxy (the score that is ranked by), each with NAME_se, NAME_low and NAME_high at 95 %, law (of gold), prompts.

    laws: a row for each proxy and ensemble: what ScalingLaw has; the peak as peak_kl and peak_n, too; best_n, where
    mean gold is highest; best_gold and fall, from there to the largest n, both cross-fitted over prompts, and no fall
    where that is the largest n; correlation with gold over all responses, within_correlation at equal prompts; tied,
    the share of responses whose score another response to the prompt has; unit, the standard deviation of the score in
    the file.

    source: the file. prompts: how many are measured on; left_out: those with fewer than largest_n responses. responses:
    the fewest and the most of a prompt; fewest: also of those left out. gold_mean, gold_unit: mean and standard
    deviation of gold in the file.
    """

    source: str
    generations: Generations
    curves: pd.DataFrame
    laws: pd.DataFrame
    prompts: int
    responses: tuple[int, int]
    left_out: int
    fewest: int
    largest_n: int
    gold_mean: float
    gold_unit: float
    uncertainty: float

    @property
    def notes(self) -> list[str]:
        """What has to be known of the numbers, in sentences; mostly nothing."""
        found = []
        if self.left_out:
            all_of = self.prompts + self.left_out
            found.append(
                f"{self.left_out:,} of {all_of:,} prompts have fewer than {self.largest_n:,} responses and are left "
                f"out at every n, so that every n has the same prompts; --largest-n {max(self.fewest, 2)} takes "
                f"{'all' if self.fewest > 1 else 'more'} of them"
            )
        if self.prompts < 2:
            found.append("there is one prompt, so there are no intervals")
        elif self.prompts < 10:
            found.append(
                f"{self.prompts} prompts are few: intervals are wide, and assume that errors are nearly normal"
            )
        for row in self.laws[self.laws["tied"] > 0].to_dict("records"):
            share = f"{row['tied']:.1%}" if row["tied"] >= 0.001 else "fewer than 0.1%"
            found.append(
                f"{share} of the responses have the {row['score']} of another response to the prompt; of these, chance "
                "decides, and KL is an upper bound"
            )
        return found


def best_of_n(
    source: str | Path | pd.DataFrame | Generations,
    *,
    prompt: str | Sequence[str] = (),
    proxy: str | Sequence[str] = (),
    gold: str | None = None,
    response: str | None = None,
    largest_n: int | None = None,
    uncertainty: float = UNCERTAINTY,
    rng: np.random.Generator | None = None,
) -> BestOfN:
    """Gold and proxy score of best-of-n for every n, and the scaling law of Gao et al., from generated responses.

    source: a file or table of responses with proxy and gold scores, see `read_generations`, which prompt, proxy, gold
    and response go to; or what that returned. largest_n: as far as 90 % of the prompts have responses, unless given.
    uncertainty: the factor lambda of the uncertainty-weighted ensemble. rng: for the bootstrap over prompts, the same
    numbers every time unless given. Raises ResultsError.
    """
    if not 0 <= uncertainty < np.inf:
        raise ResultsError(f"--uncertainty {uncertainty:g}: must be a number of at least 0")
    if isinstance(source, Generations):
        found = source
    else:
        found = read_generations(source, prompt=prompt, proxy=proxy, gold=gold, response=response)
    pools = pools_of(found, largest_n, KEPT)
    n = ladder(pools.most)
    scores = scores_to_rank_by(found, pools, uncertainty)
    curves, laws = [], []
    for score in scores:
        of_gold, of_score = gains(pools, score.numbers, (found.gold, score.numbers), n)
        table = curve_of(score, n, of_gold, of_score)
        if score.kind != "gold":
            row = law_row(score, n, of_gold, rng) | against_gold(score, found, pools, rng)
            laws.append(row)
            table["law"] = row["alpha"] * table["d"] - row["beta"] * table["d"] ** 2
        curves.append(table)
    return BestOfN(
        source=found.source,
        generations=found,
        curves=pd.concat(curves, ignore_index=True),
        laws=pd.DataFrame(laws),
        prompts=pools.prompts,
        responses=pools.sizes,
        left_out=pools.left_out,
        fewest=pools.fewest_of_all,
        largest_n=pools.most,
        gold_mean=float(pools.means(found.gold).mean()),
        gold_unit=unit_of(pools, found.gold),
        uncertainty=uncertainty,
    )


def unit_of(pools: Pools, values: Array) -> float:
    """The standard deviation of a score over the initial policy's responses, each prompt with the same weight."""
    return float(np.sqrt(pools.means((values - pools.means(values).mean()) ** 2).mean()))


def gains(pools: Pools, scores: Array, values: Sequence[Array], n: Array) -> list[Array]:
    """What each prompt adds to the gain of each of `values` [R] over n = 1, for the best of n by scores [R]: [P, Q]."""
    groups = [best_of(scores[rows], [each[rows] for each in values], n) for rows in pools.groups]
    found = []
    for each, parts in zip(values, zip(*groups, strict=True), strict=True):
        best, unit = np.concatenate(parts), unit_of(pools, each)
        squares = pools.means((each - pools.means(each).mean()) ** 2)
        gain = (best - best[:, :1]) / unit
        found.append(gain - gain.mean(axis=0) * (squares / unit**2 - 1)[:, None] / 2)
    return found


def curve_of(score: Score, n: Array, of_gold: Array, of_score: Array) -> pd.DataFrame:
    """The rows of a score in `curves`, from what each prompt adds, [P, Q]."""
    count = len(of_gold)
    kl = kl_of(n)
    table = pd.DataFrame({"score": score.name, "kind": score.kind, "n": n, "kl": kl, "d": np.sqrt(kl)})
    for name, values in {"gold": of_gold, "proxy": of_score}.items():
        error = values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(len(n), np.nan)
        mean, half = values.mean(axis=0), student_half(error, count - 1)
        table = table.assign(
            **{name: mean, f"{name}_se": error, f"{name}_low": mean - half, f"{name}_high": mean + half}
        )
    return table.assign(law=np.nan, prompts=count)


def in_groups(values: Array) -> tuple[Array, Array]:
    """The means of up to GROUPS groups of prompts, and how many prompts each has, for values [P, …]."""
    parts = np.array_split(values, min(len(values), GROUPS))
    return np.stack([part.mean(axis=0) for part in parts]), np.array([len(part) for part in parts])


def law_row(score: Score, n: Array, of_gold: Array, rng: np.random.Generator | None) -> dict[str, Any]:
    """The law of a score, its peak, and how far gold falls, for what each prompt adds to gold, [P, Q]."""
    grouped, size = in_groups(of_gold)
    groups, places = grouped[:, 1:].shape
    d = np.sqrt(kl_of(n))[1:]
    row: dict[str, Any] = {"score": score.name, "kind": score.kind, "prompts": len(of_gold)}
    top = int(of_gold.mean(axis=0).argmax())
    value, error, fall, fall_error = smooth_peak_and_fall(of_gold, rng)
    row |= {"best_n": int(n[top]), "largest_n": int(n[-1])}
    if top == len(n) - 1:  # what lies behind the largest n is not known, and cross-fitting finds a fall below 0
        fall = fall_error = np.nan
    for name, found, se in (("best_gold", value, error), ("fall", fall, fall_error)):
        half = float(student_half_width(pd.Series([se]), pd.Series([len(of_gold)])).iloc[0])
        row |= {name: found, f"{name}_low": found - half, f"{name}_high": found + half}
    fields = ("form", "rmse", "rival_rmse", "reach")
    ends = ("alpha", "beta", "peak_d", "peak_gold")
    known = [f"{name}{end}" for name in ends for end in ("", "_low", "_high")]
    if places < 2:
        return row | dict.fromkeys([*known, *fields], np.nan) | {"form": "bon", **peak_places({})}
    law = fit_scaling_law(
        np.tile(d, groups),
        grouped[:, 1:].ravel(),
        "bon",
        weights=np.repeat(size, places),
        seeds=np.repeat(np.arange(groups), places),
        rng=rng,
    )
    missed = [float(np.sqrt(np.mean((of_gold.mean(axis=0)[1:] - law.predict(d)) ** 2)))]
    rival = fit_scaling_law(d, of_gold.mean(axis=0)[1:], "bon").rival_rmse if places > 2 else np.nan
    values = {name: getattr(law, name) for name in known} | {"form": law.form, "reach": law.reach}
    return row | values | {"rmse": missed[0], "rival_rmse": rival} | peak_places(values)


def peak_places(law: dict[str, Any]) -> dict[str, float]:
    """The peak of a law as KL and as n, with their intervals."""
    found: dict[str, float] = {}
    for end in ("", "_low", "_high"):
        kl = float(law.get(f"peak_d{end}", np.nan)) ** 2
        found |= {f"peak_kl{end}": kl, f"peak_n{end}": float(n_of(np.array(kl)))}
    return found


def against_gold(score: Score, found: Generations, pools: Pools, rng: np.random.Generator | None) -> dict[str, Any]:
    """How a score goes with gold, over all responses and at equal prompts, and how it ties."""
    rows: dict[str, Any] = {}
    for name, (x, y) in {
        "correlation": (score.numbers - pools.means(score.numbers).mean(), found.gold - pools.means(found.gold).mean()),
        "within_correlation": (pools.spread(score.numbers), pools.spread(found.gold)),
    }.items():
        low, high = (estimate := correlation_of(pools, x, y, rng)).interval()
        rows |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
    share = sum(tied(score.numbers[group]) * group.size for group in pools.groups) / len(pools.rows)
    return rows | {"tied": share, "unit": unit_of(pools, score.numbers)}


def correlation_of(pools: Pools, x: Array, y: Array, rng: np.random.Generator | None) -> Estimate:
    """Pearson's correlation of x and y [R], each prompt with the same weight; resampled over prompts."""
    moments = np.stack([pools.means(each) for each in (x, y, x * x, y * y, x * y)], axis=1)
    grouped, size = in_groups(moments)
    count = len(grouped)
    value = pearson(np.average(grouped, axis=0, weights=size)[None])[0]
    if count < 2:
        return Estimate(value=float(value), error=np.nan, bounds=CORRELATION)
    weights = resamples(count, rng) * size
    with np.errstate(invalid="ignore"):
        error = spread_of(pearson((weights @ grouped) / weights.sum(axis=1, keepdims=True)), count)
    return Estimate(value=float(value), error=float(error), degrees_of_freedom=count - 1, bounds=CORRELATION)


def pearson(moments: Array) -> Array:
    """The correlation for means of x, y, x², y² and xy, [B, 5]."""
    x, y, xx, yy, xy = moments.T
    spread = np.sqrt(np.maximum((xx - x**2) * (yy - y**2), 0.0))
    return np.clip(np.divide(xy - x * y, spread, out=np.full(len(x), np.nan), where=spread > 0), -1.0, 1.0)

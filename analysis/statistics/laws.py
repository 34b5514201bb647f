"""Scaling laws of overoptimization: gold against the distance from the reference, d = sqrt(KL).

Gao, Schulman & Hilton 2023 (arXiv:2210.10760, Sec. 3.1) find, for best-of-n and for reinforcement learning,

    bon:  R(d) = d (alpha - beta d)           peak at d = alpha / (2 beta), of height alpha^2 / (4 beta)
    rl:   R(d) = d (alpha - beta log d)       peak at d = exp(alpha / beta - 1), of height beta d

Both are linear in alpha and beta and are fitted by weighted least squares. Points of one seed share its proxy and its
pairs and err together, so where seeds are given they are resampled whole: the covariance of the coefficients is that
over bootstrap samples of S seeds, times S / (S - 1), and intervals are Student's t with S - 1 degrees of freedom.
Without seeds, points are taken as independent, with the covariance of least squares. Intervals of the peak are
quantiles over coefficients drawn from that distribution. Where gold was measured on samples, seeds share the noise of
the measurement; what a shift of all points by their standard errors does to the coefficients is then added, as if that
noise were shared whole. A law whose beta is not positive has no peak: it rises on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.statistics.intervals import LEVEL

Array = np.ndarray
FORMS: dict[str, Callable[[Array], Array]] = {
    "bon": lambda d: np.stack([d, -(d**2)], axis=-1),
    "rl": lambda d: np.stack([d, -d * np.log(np.where(d > 0, d, 1.0))], axis=-1),
}
RESAMPLES = 2000
WORST = 1e7  # condition of the normal matrix, in which columns are scaled to one


@dataclass(frozen=True, kw_only=True)
class ScalingLaw:
    """A fitted law. Gold is in the unit that it came in, d in sqrt(nats).

    Each of alpha, beta, peak_d and peak_gold has a 95 % interval, NAME_low to NAME_high, also as NAME_interval; it is
    infinite where there is no peak to be found.
    """

    form: str  # "rl" or "bon"
    alpha: float
    alpha_low: float
    alpha_high: float
    beta: float
    beta_low: float
    beta_high: float
    peak_d: float
    peak_d_low: float
    peak_d_high: float
    peak_gold: float
    peak_gold_low: float
    peak_gold_high: float
    rmse: float  # of the points fitted
    rival_rmse: float  # of the other form, fitted to the same
    beyond_rmse: float  # of the points with more KL than was fitted, NaN without such
    rival_beyond_rmse: float  # the same of the other form
    reach: float  # the largest d that was fitted; a peak beyond it is an extrapolation
    points: int
    seeds: int

    @property
    def alpha_interval(self) -> tuple[float, float]:
        """The 95 % interval of alpha."""
        return self.alpha_low, self.alpha_high

    @property
    def beta_interval(self) -> tuple[float, float]:
        """The 95 % interval of beta."""
        return self.beta_low, self.beta_high

    @property
    def peak_d_interval(self) -> tuple[float, float]:
        """The 95 % interval of the position of the peak."""
        return self.peak_d_low, self.peak_d_high

    @property
    def peak_gold_interval(self) -> tuple[float, float]:
        """The 95 % interval of the height of the peak."""
        return self.peak_gold_low, self.peak_gold_high

    def predict(self, d: object) -> Array:
        """Gold at each distance d."""
        return FORMS[self.form](np.asarray(d, dtype=float)) @ np.array([self.alpha, self.beta])


def peak_of(form: str, alpha: Array, beta: Array) -> tuple[Array, Array]:
    """Position and height of the peak; infinite where beta is not positive."""
    falling = beta > 0
    safe = np.where(falling, beta, 1.0)
    if form == "bon":
        position = np.maximum(alpha, 0.0) / (2 * safe)
        height = np.maximum(alpha, 0.0) ** 2 / (4 * safe)
    else:
        position = np.exp(np.minimum(alpha / safe - 1, 700.0))
        height = safe * position
    return np.where(falling, position, np.inf), np.where(falling, height, np.inf)


def checked(
    d: object, r: object, weights: object, seeds: object, form: str
) -> tuple[Array, Array, Array, Array | None]:
    """The points as arrays. Raises ValueError where they are no points, or too few for the two coefficients."""
    if form not in FORMS:
        raise ValueError(f"form = {form!r}: must be one of {', '.join(FORMS)}")
    distance, gold = (np.asarray(values, dtype=float).ravel() for values in (d, r))
    weight = np.ones(len(distance)) if weights is None else np.asarray(weights, dtype=float).ravel()
    seed = None if seeds is None else np.asarray(seeds).ravel()
    for name, values in (("r", gold), ("weights", weight), ("seeds", seed)):
        if values is not None and len(values) != len(distance):
            raise ValueError(f"{name} has {len(values)} values, but d has {len(distance)}: each point needs one")
    for name, values in (("d", distance), ("r", gold), ("weights", weight)):
        if not np.isfinite(values).all() or (name != "r" and (values < 0).any()):
            rule = "finite" if name == "r" else "finite and at least 0"
            wrong = values[~np.isfinite(values) | ((values < 0) & (name != "r"))][0]
            raise ValueError(f"{name} (={wrong:g}) must be {rule}")
    return distance, gold, weight, seed


def sums(form: str, d: Array, r: Array, weight: Array) -> tuple[Array, Array]:
    """The normal matrix [2, 2] and right side [2] of some points; their sums over seeds are those of all points."""
    design = FORMS[form](d)
    return design.T @ (weight[:, None] * design), design.T @ (weight * r)


def solve(form: str, d: Array, r: Array, weight: Array) -> Array:
    """Coefficients [2] of weighted least squares. Raises ValueError where points are too alike to tell them apart."""
    matrix, right = sums(form, d, r, weight)
    scale = np.sqrt(np.diag(matrix))
    if not (scale > 0).all() or np.linalg.cond(matrix / np.outer(scale, scale)) > WORST:
        raise ValueError("the points are too close to each other in d to tell two coefficients apart; give others, too")
    return np.linalg.solve(matrix, right)


def covariance(
    form: str, d: Array, r: Array, weight: Array, seed: Array | None, rng: np.random.Generator
) -> tuple[Array, int]:
    """The covariance [2, 2] of the coefficients, and its degrees of freedom; NaN where there are none."""
    if seed is None:
        freedom = len(d) - 2
        residuals = r - FORMS[form](d) @ solve(form, d, r, weight)
        scale = float((weight * residuals**2).sum() / freedom) if freedom > 0 else math.nan
        return scale * np.linalg.inv(sums(form, d, r, weight)[0]), freedom
    names = pd.unique(seed)
    count = len(names)
    if count < 2:
        return np.full((2, 2), math.nan), 0
    parts = [sums(form, d[seed == name], r[seed == name], weight[seed == name]) for name in names]
    matrices, rights = (np.stack(some) for some in zip(*parts, strict=True))
    times = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    resampled = np.einsum("bs,sij->bij", times, matrices)
    solved = np.linalg.solve(resampled, np.einsum("bs,si->bi", times, rights)[..., None])[..., 0]
    return np.cov(solved.T) * count / (count - 1), count - 1


def rmse(form: str, coefficients: Array, d: Array, r: Array, weight: Array) -> float:
    """The root of the weighted mean square of what a law misses; NaN without points."""
    if not len(d):
        return math.nan
    return float(np.sqrt(np.average((r - FORMS[form](d) @ coefficients) ** 2, weights=weight)))


def misfits(d: object, r: object) -> dict[str, float]:
    """The rmse of each of FORMS, fitted to gold r [n] at distances d [n]. Raises ValueError as `fit_scaling_law`."""
    distance, gold, weight, _ = checked(d, r, None, None, "rl")
    some = distance > 0
    if len(np.unique(distance[some])) < 2:
        raise ValueError("there are fewer than two different d > 0")
    points = distance[some], gold[some], weight[some]
    return {form: rmse(form, solve(form, *points), *points) for form in FORMS}


def fit_scaling_law(
    d: object,
    r: object,
    form: str = "rl",
    *,
    weights: object = None,
    seeds: object = None,
    shared: object = None,
    kl_below: float | None = None,
    rng: np.random.Generator | None = None,
) -> ScalingLaw:
    """Fit gold r [n] at distances d [n] = sqrt(KL) by one of FORMS.

    weights [n]: of the squared errors, such as 1 / variance; alike unless given. seeds [n]: which points err together;
    see the module. shared [n]: the standard error of gold that all points share. kl_below: fit only points with d^2
    below it, and predict the others. rng: for the bootstrap, the same numbers every time unless given. Raises
    ValueError where fewer than two different d > 0 are left, or d that are too close to each other.
    """
    distance, gold, weight, seed = checked(d, r, weights, seeds, form)
    inside = distance > 0
    if kl_below is not None:
        inside &= distance**2 < kl_below
    check_different(distance[inside & (weight > 0)], kl_below)
    rng = rng or np.random.default_rng(0)
    near = distance[inside], gold[inside], weight[inside]
    beyond = (distance > 0) & ~inside
    far = distance[beyond], gold[beyond], weight[beyond]
    coefficients = solve(form, *near)
    spread, freedom = covariance(form, *near, None if seed is None else seed[inside], rng)
    if shared is not None:
        moved = solve(form, near[0], np.broadcast_to(np.asarray(shared, dtype=float), distance.shape)[inside], near[2])
        spread = spread + np.outer(moved, moved)
    (rival,) = [name for name in FORMS if name != form]
    other = solve(rival, *near)
    intervals = intervals_of(form, coefficients, spread, freedom, rng)
    position, height = peak_of(form, *coefficients[:, None])
    return ScalingLaw(
        form=form,
        alpha=float(coefficients[0]),
        beta=float(coefficients[1]),
        peak_d=float(position[0]),
        peak_gold=float(height[0]),
        rmse=rmse(form, coefficients, *near),
        rival_rmse=rmse(rival, other, *near),
        beyond_rmse=rmse(form, coefficients, *far),
        rival_beyond_rmse=rmse(rival, other, *far),
        reach=float(near[0].max()),
        points=int(inside.sum()),
        seeds=1 if seed is None else len(pd.unique(seed[inside])),
        **intervals,
    )


def check_different(distance: Array, kl_below: float | None) -> None:
    """Raises ValueError where distances do not tell two coefficients apart."""
    different = len(np.unique(distance))
    if different < 2:
        where = "" if kl_below is None else f" and KL below {kl_below:g}"
        raise ValueError(
            f"the law has 2 coefficients, but points at {different} different d > 0{where}; give at least 2"
        )


def intervals_of(
    form: str, coefficients: Array, spread: Array, freedom: int, rng: np.random.Generator
) -> dict[str, float]:
    """NAME_low and NAME_high of alpha, beta, peak_d and peak_gold; NaN without degrees of freedom."""
    names = ("alpha", "beta", "peak_d", "peak_gold")
    if freedom < 1:
        return {f"{name}_{end}": math.nan for name in names for end in ("low", "high")}
    half = stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(np.maximum(np.diag(spread), 0.0))
    normal = rng.multivariate_normal(np.zeros(2), spread, size=RESAMPLES, method="eigh")
    drawn = coefficients + normal / np.sqrt(rng.chisquare(freedom, size=(RESAMPLES, 1)) / freedom)
    ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    found: dict[str, float] = {}
    for i, name in enumerate(names[:2]):
        found |= {f"{name}_low": float(coefficients[i] - half[i]), f"{name}_high": float(coefficients[i] + half[i])}
    for name, values in zip(names[2:], peak_of(form, *drawn.T), strict=True):
        low, high = np.quantile(values, ends[0], method="lower"), np.quantile(values, ends[1], method="higher")
        found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return found

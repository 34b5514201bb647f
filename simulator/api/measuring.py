"""Policies that are known by their log-probabilities alone, such as those that somebody trained elsewhere.

Shapes: R policies, P prompts of the world, n of them measured, L prompt length, M responses to each, G responses in
all, m drawn responses, T response length.

Where every response is listed, the probabilities of all of them are the policy, and what is measured is exact. In a
sampled world responses are needed that the policy draws. A policy that can only say how probable a response is, is
measured on responses of the reference y, each with the weight w = pi(y) / pi_ref(y) (self-normalized importance
sampling, Owen 2013, Monte Carlo theory, Sec. 9.2). That holds near the reference: the number of responses that weigh
anything, (sum w)^2 / sum w^2, falls about as exp(-2 KL), and below LEAST_EFFECTIVE the measurement is refused, as it is
where the mean weight is surely not 1. Probability on responses that the reference never gave cannot be seen but by that
mean: `sample` is the safe way.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.api.arguments import tokens_of
from simulator.common.errors import ConfigError
from simulator.measurement.exact import Columns
from simulator.measurement.ledger import without_ledger
from simulator.networks.compute_mode import one_thread
from simulator.networks.sampling import sample_blocks
from simulator.networks.token_log_probs import MAX_FLOATS, floats_per_prompt
from simulator.settings.data_table import Data
from simulator.storage.tables import tidy
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World, as_listed
from simulator.worlds.sampled import SampledWorld
from simulator.worlds.sampled_measures import estimated_columns, log_ratios

LogProb = Callable[[Tensor, Tensor], Any]  # (prompts [P, L], responses [P, M, T]) -> [P, M] or [R, P, M], nats
Sample = Callable[[Tensor, int], Any]  # (prompts [P, L], count) -> [P, count, T]

ASKED = 2**16  # responses that a function is asked for at once
MASS = 1e-3  # how far from 1 the probabilities of all responses may add up to
LOWEST = -1e4  # nats; stands for the logarithm of 0
WEIGHTED = 4096  # responses of the reference to each prompt that are weighed
LEAST_EFFECTIVE = 128.0  # of them, at every prompt
TOO_FAR = 5.0  # standard errors by which the mean weight may be off 1, beside MASS


def called(function: LogProb, prompts: Tensor, responses: Tensor) -> Tensor:
    """What a function says of responses [P, M, T] to prompts [P, L], float64 [R, P, M]. Raises ConfigError."""
    found = function(prompts.clone(), responses.clone())
    if isinstance(found, Tensor):
        found = found.detach().double().cpu()
    try:
        values = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"measure: the function must give numbers, not {type(found).__name__}") from None
    shape = tuple(responses.shape[:2])
    if values.shape[-2:] != shape or values.ndim not in (2, 3):
        raise ConfigError(
            f"measure: the function must give log-probabilities of the shape {list(shape)}, or [R, {shape[0]}, "
            f"{shape[1]}] for R policies, not {list(values.shape)}"
        )
    if np.isnan(values).any() or (values > 1e-3).any():
        wrong = values[np.isnan(values) | (values > 1e-3)][0]
        raise ConfigError(f"measure: the function must give log-probabilities, at most 0, not {wrong:g}")
    return torch.from_numpy(values.reshape(-1, *shape)).to(prompts.device)


def blocks_of(prompts: int, responses: int) -> Iterator[tuple[slice, slice]]:
    """Prompts and responses that a function is asked for together."""
    width = min(responses, ASKED)
    height = max(1, ASKED // width)
    for first in range(0, prompts, height):
        for left in range(0, responses, width):
            yield slice(first, min(first + height, prompts)), slice(left, min(left + width, responses))


def log_probs_of_all(function: LogProb, world: World) -> Tensor:
    """log pi of every response of a listed world, [R, P, G], of mass 1. Raises ConfigError where it is not near."""
    responses, prompts = as_listed(world).responses, world.prompts
    found: Tensor | None = None
    for rows, columns in blocks_of(len(prompts), len(responses)):
        some = responses[columns].expand(rows.stop - rows.start, -1, -1)
        values = called(function, prompts[rows], some)
        if found is None:
            found = values.new_empty(len(values), len(prompts), len(responses))
        found[:, rows, columns] = same_runs(values, len(found))
    assert found is not None
    mass = found.logsumexp(dim=-1).exp()
    if not ((mass - 1).abs() <= MASS).all():
        row = int((mass - 1).abs().amax(dim=0).argmax())
        raise ConfigError(
            f"measure: the probabilities of all {len(responses):,} responses to prompt {row} sum to "
            f"{mass[:, row].max():.4g}, not 1; the function must give log pi(response | prompt) of the whole response, "
            "a sum over its tokens, in nats"
        )
    return (found - found.logsumexp(dim=-1, keepdim=True)).clamp(min=LOWEST)


def measure_listed(function: LogProb, world: World, data: Data, scorer: Callable[[int], Scorer | None]) -> Columns:
    """Every column that needs no pairs, [R] each, of policies that a function says the probabilities of."""
    log_probs = log_probs_of_all(function, world)
    with one_thread():
        columns = as_listed(world).measure_distribution(log_probs, data, scorer(len(log_probs)))
    return without_limits(columns, (log_probs <= LOWEST).flatten(1).any(dim=1), scored=scorer(1) is not None)


def without_limits(columns: Columns, never: Tensor, *, scored: bool) -> Columns:
    """Columns of policies of which some `never` [R] give a response: what is infinite then, or not defined, says so."""
    for name in ("mu_squared", "mu_squared_raised", "mu_squared_suppressed", "forward_kl"):
        if name in columns:
            columns[name] = torch.where(never, torch.inf, columns[name])
    if not scored:
        for name in ("proxy", "proxy_variance"):
            if name in columns:
                columns[name] = torch.where(never, torch.nan, columns[name])
    return columns


def same_runs(values: Tensor, runs: int) -> Tensor:
    """Values of as many policies as before. Raises ConfigError."""
    if len(values) != runs:
        raise ConfigError(f"measure: the function gave values of {runs} policies before, and of {len(values)} now")
    return values


def measure_sampled(
    function: LogProb, draw: Sample | None, world: World, data: Data, scorer: Callable[[int], Scorer | None]
) -> Columns:
    """The same with standard errors in a sampled world, on responses that `draw` gives, or that are weighed."""
    place = cast(SampledWorld, world)
    measurement, reference = place.measurement, place.measurement.baseline
    count = measurement.settings.samples if draw else WEIGHTED
    responses = drawn_by(draw, place, count) if draw else drawn_by_reference(place, count)
    nothing = torch.zeros(responses.shape[:2], dtype=torch.float64, device=responses.device)
    known = log_ratios(measurement, measurement.reference.unsqueeze(0), responses, nothing, count)[0]
    said = function_values(function, measurement.prompts, responses)
    if draw and len(said) > 1:
        raise ConfigError(f"measure: sample draws for one policy, and the function is of {len(said)}")
    ratio = said - known
    weights = None if draw else checked_weights(ratio)
    at_baseline = function_values(function, measurement.prompts, reference.responses) - reference.reference
    behaviour = None if data.behaviour == "reference" else place.behaviour_sample(data)
    runs = len(ratio)
    found = {
        "responses": responses.expand(runs, *responses.shape),
        "kl": ratio,
        "ratio": ratio,
        "entropy": -said,
        "length": (responses >= 0).sum(dim=-1).double().expand(runs, -1, -1),
    }
    at_behaviour = at_baseline
    if behaviour:
        at_behaviour = function_values(function, measurement.prompts, behaviour[0]) - behaviour[1]
    with one_thread():
        columns = estimated_columns(measurement, found, at_baseline, at_behaviour, scorer(runs), weights)
    never = (at_baseline <= LOWEST / 2).flatten(1).any(dim=1)
    columns = without_limits(columns, never, scored=scorer(1) is not None)
    if weights is not None:
        columns["effective_samples"] = effective(weights)
    return columns


def function_values(function: LogProb, prompts: Tensor, responses: Tensor) -> Tensor:
    """What a function says of responses [n, m, T] to prompts [n, L], some at a time, [R, n, m]."""
    parts: dict[int, list[Tensor]] = {}
    for rows, columns in blocks_of(*responses.shape[:2]):
        parts.setdefault(rows.start, []).append(called(function, prompts[rows], responses[rows, columns]))
    runs = len(next(iter(parts.values()))[0])
    whole = [torch.cat([same_runs(part, runs) for part in row], dim=2) for row in parts.values()]
    return torch.cat(whole, dim=1).clamp(min=LOWEST)


def drawn_by(draw: Sample, world: SampledWorld, count: int) -> Tensor:
    """`count` responses of a policy to each measured prompt, [n, count, T]. Raises ConfigError."""
    prompts, vocabulary = world.measurement.prompts, world.architecture.vocabulary
    shape = (len(prompts), count, world.measurement.baseline.responses.shape[2])
    found = draw(prompts.clone(), count)
    return tokens_of(found, "measure: sample", shape, vocabulary, end=world.end).to(prompts.device).clone()


def drawn_by_reference(world: SampledWorld, count: int) -> Tensor:
    """`count` responses of the reference to each measured prompt, apart from those that gold's unit was taken from."""
    measurement, architecture = world.measurement, world.architecture
    return sample_blocks(
        world.reference.unsqueeze(0),
        architecture,
        measurement.prompts,
        temperature=torch.ones(len(measurement.prompts), count, device=measurement.prompts.device),
        length=measurement.baseline.responses.shape[2],
        end=world.end,
        seed=measurement.seed,
        purpose="weighted",
        at_once=MAX_FLOATS // floats_per_prompt(architecture, measurement.prompts.shape[1]),
    )


def effective(weights: Tensor) -> Tensor:
    """How many responses of equal weight would have told as much, at the prompt where these are fewest, [R]."""
    return (weights.sum(dim=-1).square() / weights.square().sum(dim=-1)).amin(dim=-1)


def checked_weights(ratio: Tensor) -> Tensor:
    """pi / pi_ref from its logarithm [R, n, m]. Raises ConfigError where it is no ratio of two laws, or too uneven."""
    weights = ratio.exp()
    count = weights.shape[2]
    at_prompts, errors = weights.mean(dim=2), weights.std(dim=2) / count**0.5
    mean, error = at_prompts.mean(dim=1), errors.square().sum(dim=1).sqrt() / weights.shape[1]
    off = ((at_prompts - 1).abs() > MASS + TOO_FAR * errors).any(dim=1)
    wrong = off | ((mean - 1).abs() > MASS + TOO_FAR * error)
    if wrong.any():
        worst = at_prompts[wrong][0]
        worst = worst[(worst - 1).abs().argmax()]
        raise ConfigError(
            f"measure: the mean of pi / pi_ref under the reference is {worst:.3g} at a prompt, not 1: either "
            "the function does not give log pi(response | prompt) of the whole response, a sum over its tokens, in "
            "nats; or the policy says what the reference hardly ever says: then give responses that it draws, "
            "sample=function of (prompts [P, L], count)"
        )
    many = effective(weights)
    if not (many >= LEAST_EFFECTIVE).all():
        raise ConfigError(
            f"measure: the policy is too far from the reference to be measured by its log-probabilities alone: of "
            f"{ratio.shape[-1]} responses to a prompt {many.min():.1f} weigh anything, and at least "
            f"{LEAST_EFFECTIVE:g} must; see that the function sums over tokens and takes no mean, or give responses "
            "that it draws, sample=function of (prompts [P, L], count)"
        )
    return weights


def as_table(table: pd.DataFrame, columns: Columns, kl_source: str) -> pd.DataFrame:
    """Measured columns [R] beside what each policy is, in the order and types of `curves.parquet`."""
    measured = without_ledger({name: value.cpu().numpy() for name, value in columns.items()})
    rows = table.drop(columns=[name for name in measured if name in table]).assign(**measured)
    sound = np.isfinite(measured["kl"])
    rows = rows.assign(step=rows.get("step", 0), kl_source=kl_source, status=np.where(sound, "ok", "diverged"))
    found = tidy(rows)
    more = {name: measured[name] for name in measured if name not in found}
    kept = [name for name in found if name in measured or found[name].notna().any()]
    return found[kept].assign(**more).reset_index(drop=True)

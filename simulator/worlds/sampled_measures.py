"""How policies are measured and summarized on samples of their own; what the columns are, sampled.py says.

Shapes: R runs, n measured prompts, m responses to each, b of the baseline, T response length, D parameters, B bins of
gold.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gold_rewards import Gold
from simulator.languages.language import Language, grammar_breaks
from simulator.measurement.columns import QUANTITIES
from simulator.measurement.estimators import (
    Estimate,
    cluster_mean,
    implicit_reward,
    reweighted,
    sum_of_means,
    variance_of,
)
from simulator.measurement.exact import TIE_NATS, Columns, kl_estimates
from simulator.measurement.policy_summary import EDGES, LIKELY, PROMPTS, PolicySummary, bins_of, likeliest
from simulator.networks.architecture import Architecture
from simulator.networks.sampling import SampleBlocks
from simulator.networks.token_log_probs import response_log_probs, runs_per_block, sample_and_measure
from simulator.settings.world_spec import Measure
from simulator.worlds.listing import Scorer
from simulator.worlds.reference_sample import ReferenceSample, gold_score

SUMMARIZED = 8  # prompts that the law of gold is told at


@dataclass(frozen=True, kw_only=True)
class SampledMeasurement:
    """What all measurements in a world share: prompts, the reference, and its responses to compare with."""

    architecture: Architecture
    prompts: Tensor  # token ids [n, L]
    rows: Tensor  # of these among the world's prompts, [n]
    sampling_fraction: float  # n over the world's prompts
    reference: Tensor  # parameters of pi_ref, [D]
    baseline: ReferenceSample  # responses of the reference, [n, b, T]
    judge: Gold
    language: Language
    settings: Measure
    seed: int  # of the noise that responses are drawn with
    end: int | None  # the token that ends a response

    def gold_parts(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """The parts of the judge's scores, [K, R, P, m], of responses [R, P, m, T] to prompts [P, L]."""
        return self.gold_parts_of_each(prompts[:, None].expand(*responses.shape[:3], -1), responses)

    def gold_parts_of_each(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """As `judged`, for a prompt of its own for each response, [R, P, m, L]."""
        parts = self.judge.score_parts(prompts.flatten(0, 2).cpu().numpy(), responses.flatten(0, 2).cpu().numpy())
        return torch.from_numpy(parts).view(-1, *responses.shape[:3]).to(responses.device)

    def breaks(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """Which tokens of responses [n, K, T] to prompts [n, L] break the grammar, bool [n, K, T]."""
        asked = prompts.repeat_interleave(responses.shape[1], dim=0).cpu().numpy()
        found = grammar_breaks(self.language, asked, responses.flatten(0, 1).cpu().numpy())
        return torch.from_numpy(found).view(responses.shape).to(responses.device)

    def run_blocks(self, runs: int) -> Iterator[slice]:
        """The rows of so many runs, cut into those that are measured together."""
        drawn = SampleBlocks(prompts=len(self.prompts), responses=self.settings.samples)
        size = runs_per_block(self.architecture, self.prompts.shape[1], drawn)
        return (slice(first, first + size) for first in range(0, runs, size))


def measure_drawn(
    measurement: SampledMeasurement,
    parameters: Tensor,
    behaviour: tuple[Tensor, Tensor] | None,
    scorer: Scorer | None,
) -> Columns:
    """Every column that needs no pairs, [R] each, of policies with `parameters` [R, D], on responses that they draw.

    behaviour: responses of the behaviour policy to the measured prompts, [n, m, T], and their log pi_ref [n, m]; None
    where it is the reference, whose responses the baseline has.
    """
    baseline = measurement.baseline
    found = draw(measurement, parameters, measurement.prompts, "measure")
    at_baseline = log_ratios(measurement, parameters, baseline.responses, baseline.reference)
    at_behaviour = log_ratios(measurement, parameters, *behaviour) if behaviour else at_baseline
    return estimated_columns(measurement, found, at_baseline, at_behaviour, scorer)


def estimated_columns(
    measurement: SampledMeasurement,
    found: dict[str, Tensor],
    at_baseline: Tensor,
    at_behaviour: Tensor,
    scorer: Scorer | None,
    weights: Tensor | None = None,
) -> Columns:
    """Every column that needs no pairs, [R] each, from what policies say along responses that they drew.

    found: `responses` [R, n, m, T], and `kl`, `ratio`, `entropy` and `length` of each, [R, n, m]. at_baseline and
    at_behaviour: log pi - log pi_ref at responses of the reference and of the behaviour policy, [R, n, m']. weights
    [R, n, m]: pi over what the responses were drawn from, where that is another policy.
    """
    baseline, share = measurement.baseline, measurement.sampling_fraction
    judged = measurement.gold_parts(measurement.prompts, found["responses"])
    summed = {"kl": found["kl"]}
    summed |= {name: quantity.drawn(found) for name, quantity in QUANTITIES.items() if quantity.drawn}
    summed |= kl_estimates(found["ratio"], measurement.settings.kl_estimators)
    summed = {name: reweighted(values, weights) for name, values in summed.items()}
    estimates = {name: cluster_mean(values, share=share) for name, values in summed.items()} | {
        "gold": baseline.gold(judged, share=share, weights=weights),
        "fluency": baseline.fluency(judged, share=share, weights=weights),
        "win_rate": baseline.win_rate(judged, share=share, weights=weights),
        "proxy": implicit_reward(summed["kl"], at_baseline, share=share, least=TIE_NATS),
    }
    if scorer is not None:
        asked = measurement.rows.expand(len(judged[0]), -1)
        estimates["proxy"] = proxy_score(measurement, reweighted(scorer.of(asked, found["responses"]), weights), scorer)
    columns = {name: estimate.mean for name, estimate in estimates.items()}
    columns |= {f"{name}_se": estimate.error for name, estimate in estimates.items()}
    columns["mu_squared"] = variance_of(at_behaviour).mean(dim=-1)
    return columns


def log_ratios(
    measurement: SampledMeasurement, parameters: Tensor, responses: Tensor, reference: Tensor, count: int | None = None
) -> Tensor:
    """log pi - log pi_ref, [R, n, m], of the first m of the responses [n, m', T], whose log pi_ref is given.

    parameters [R, D] are the policies'. count: m, as many as are drawn of a policy unless said.
    """
    runs, some = len(parameters), responses[:, : count or measurement.settings.samples]
    prompts, same = measurement.prompts.expand(runs, -1, -1), some.expand(runs, -1, -1, -1)
    return response_log_probs(parameters, measurement.architecture, prompts, same) - reference[:, : some.shape[1]]


def proxy_score(measurement: SampledMeasurement, scores: Tensor, scorer: Scorer) -> Estimate:
    """The mean of proxies' scores [R, n, m] of a policy's responses; its error has the chance in zero and unit."""
    mean = scores.mean(dim=(1, 2), keepdim=True)
    return sum_of_means([scores, mean * scorer.drifts - scorer.tables], share=measurement.sampling_fraction)


def summarize(measurement: SampledMeasurement, parameters: Tensor, scorer: Scorer | None = None) -> PolicySummary:
    """What policies with `parameters` [R, D] say; the column `proxy` is log pi / pi_ref without a scorer.

    The likeliest of the responses that they draw, and of the baseline, with gold above the baseline's mean.
    """
    few = measurement.prompts[:SUMMARIZED]
    shown, count = few[:PROMPTS], min(LIKELY, measurement.settings.samples, measurement.baseline.responses.shape[1])
    zero = gold_score(measurement.baseline.parts).mean(dim=-1, keepdim=True)[: len(few)]
    zero_fluency = measurement.baseline.parts[1].mean(dim=-1, keepdim=True)[: len(shown)]
    known = measurement.baseline.responses[: len(few)]
    place = likeliest(measurement.baseline.reference[: len(shown)], count)
    usual = torch.stack([texts[rows] for texts, rows in zip(known, place, strict=False)])
    said_first: list[Tensor] = []
    found: dict[str, list[Tensor]] = {
        name: [] for name in ("log_probs", "reference", "gold", "fluency", "breaks", "proxy", "law")
    }
    for number in range(len(parameters)):
        policy = parameters[number : number + 1]
        drawn = draw(measurement, policy, few, "portrait")["responses"]
        gold = gold_score(measurement.gold_parts(few, drawn)) - zero
        found["law"].append(histogram(gold)[0])
        own = log_probs(measurement, policy, drawn[:, : len(shown)])
        best = torch.stack([texts[rows] for texts, rows in zip(drawn[0], likeliest(own[0], count), strict=False)])
        texts = torch.cat([best, usual], dim=1)[None]
        said_first.append(texts)
        found["log_probs"].append(log_probs(measurement, policy, texts)[0])
        found["reference"].append(log_probs(measurement, measurement.reference.unsqueeze(0), texts)[0])
        parts = measurement.gold_parts(shown, texts)
        found["gold"].append((gold_score(parts) - zero[: len(shown)])[0])
        found["fluency"].append((parts[1] - zero_fluency)[0])
        found["breaks"].append(measurement.breaks(shown, texts[0]))
        if scorer is None:
            found["proxy"].append(found["log_probs"][-1] - found["reference"][-1])
        else:
            rows = slice(number, number + 1)
            found["proxy"].append(scorer.rows(rows).of(measurement.rows[None, : len(shown)], texts)[0])
    return PolicySummary(
        prompts=shown,
        responses=torch.cat(said_first),
        reference_law=histogram((gold_score(measurement.baseline.parts)[: len(few)] - zero)[None])[0],
        **{name: torch.stack(values) for name, values in found.items()},
    )


def draw(measurement: SampledMeasurement, parameters: Tensor, prompts: Tensor, purpose: str) -> dict[str, Tensor]:
    """Responses of policies [R, D] to `prompts`, [R, n, m, T], with noise that all share, and what is known of them."""
    return sample_and_measure(
        parameters,
        measurement.reference.unsqueeze(0),
        measurement.architecture,
        prompts,
        responses=measurement.settings.samples,
        end=measurement.end,
        seed=measurement.seed,
        purpose=purpose,
    )


def log_probs(measurement: SampledMeasurement, parameters: Tensor, responses: Tensor) -> Tensor:
    """log pi of responses [R, n, m, T] to the first n measured prompts, [R, n, m], by policies [R, D]."""
    prompts = measurement.prompts[: responses.shape[1]].expand(len(responses), -1, -1)
    return response_log_probs(parameters, measurement.architecture, prompts, responses)


def histogram(gold: Tensor) -> Tensor:
    """The share of gold [R, n, m] in each bin, [R, B]."""
    where = bins_of(gold).flatten(1)
    share = torch.full_like(where, 1 / where.shape[1], dtype=torch.float64)
    return share.new_zeros(len(where), len(EDGES) - 1).scatter_add_(1, where, share)

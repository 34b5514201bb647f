"""How policies are measured and summarized on samples of their own; what the columns are, sampled.py says.

Shapes: R runs, n measured prompts, m responses to each, T response length, D parameters, B bins of gold.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from simulator.measurement.columns import QUANTITIES
from simulator.measurement.estimators import Estimate, cluster_mean, implicit_reward, sum_of_means
from simulator.measurement.exact import TIE, Columns, kl_estimates
from simulator.measurement.policy_summary import EDGES, LIKELY, PROMPTS, PolicySummary, bins_of, likeliest
from simulator.networks.parameters import Blocks, unstack
from simulator.networks.token_log_probs import response_log_probs, sample_and_measure
from simulator.settings.tables import Data
from simulator.worlds.listing import Scorer
from simulator.worlds.reference_sample import gold_score

if TYPE_CHECKING:
    from simulator.worlds.sampled import SampledWorld

PORTRAYED = 8  # prompts that the law of gold is told at


def measure_drawn(world: "SampledWorld", parameters: Tensor, data: Data, scorer: Scorer | None) -> Columns:
    """Every column that needs no pairs, [R] each, of policies with `parameters` [R, D], on responses that they draw."""
    blocks = unstack(parameters, world.architecture)
    found = sample_and_measure(
        blocks,
        world.reference_blocks,
        world.architecture,
        world.measured_prompts,
        responses=world.measure_settings.samples,
        end=world.end,
        seed=world.seed,
        purpose="measure",
    )
    at_baseline = log_ratios(world, blocks, world.baseline.responses, world.baseline.reference)
    at_behaviour = (
        at_baseline if data.behaviour == "reference" else log_ratios(world, blocks, *world.behaviour_sample(data))
    )
    judged = world.judged(world.measured_prompts, found["responses"])
    summed = {"kl": found["kl"]}
    summed |= {name: quantity.drawn(found) for name, quantity in QUANTITIES.items() if quantity.drawn}
    summed |= kl_estimates(found["ratio"], world.measure_settings.kl_estimators)
    estimates = {name: cluster_mean(values, share=world.sampling_fraction) for name, values in summed.items()} | {
        "gold": world.baseline.gold(judged, share=world.sampling_fraction),
        "win_rate": world.baseline.win_rate(judged, share=world.sampling_fraction),
        "proxy": implicit_reward(found["kl"], at_baseline, share=world.sampling_fraction, least=TIE),
    }
    if scorer is not None:
        asked = world.measured_rows.expand(len(parameters), -1)
        estimates["proxy"] = proxy_score(world, scorer.of(asked, found["responses"]), scorer)
    columns = {name: estimate.mean for name, estimate in estimates.items()}
    columns |= {f"{name}_se": estimate.error for name, estimate in estimates.items()}
    columns["mu_squared"] = at_behaviour.var(dim=-1).mean(dim=-1)
    return columns


def log_ratios(world: "SampledWorld", blocks: Blocks, responses: Tensor, reference: Tensor) -> Tensor:
    """log pi - log pi_ref, [R, n, m], of the first m of the responses [n, m', T], whose log pi_ref is given."""
    runs, some = blocks["token"].shape[0], responses[:, : world.measure_settings.samples]
    prompts = world.measured_prompts.repeat_interleave(some.shape[1], dim=0).expand(runs, -1, -1)
    single = some.flatten(0, 1).unsqueeze(1).expand(runs, -1, -1, -1)
    log_probs = response_log_probs(blocks, world.architecture, prompts, single).view(runs, *some.shape[:2])
    return log_probs - reference[:, : some.shape[1]]


def proxy_score(world: "SampledWorld", scores: Tensor, scorer: Scorer) -> Estimate:
    """The mean of proxies' scores [R, n, m] of a policy's responses; its error has the chance in zero and unit."""
    mean = scores.mean(dim=(1, 2), keepdim=True)
    return sum_of_means([scores, mean * scorer.drifts - scorer.tables], share=world.sampling_fraction)


def summarize(world: "SampledWorld", parameters: Tensor, scorer: Scorer | None = None) -> PolicySummary:
    """What policies with `parameters` [R, D] say; the column `proxy` is log pi / pi_ref without a scorer.

    The likeliest of the responses that they draw, and of the baseline, with gold above the baseline's mean.
    """
    few = world.measured_prompts[:PORTRAYED]
    shown, count = few[:PROMPTS], min(LIKELY, world.measure_settings.samples, world.baseline.responses.shape[1])
    zero = gold_score(world.baseline.parts).mean(dim=-1, keepdim=True)[: len(few)]
    known = world.baseline.responses[: len(few)]
    place = likeliest(world.baseline.reference[: len(shown)], count)
    usual = torch.stack([texts[rows] for texts, rows in zip(known, place, strict=False)])
    said_first: list[Tensor] = []
    found: dict[str, list[Tensor]] = {name: [] for name in ("log_probs", "reference", "gold", "proxy", "law")}
    for number in range(len(parameters)):
        blocks = unstack(parameters[number : number + 1], world.architecture)
        drawn = draw(world, blocks, few)
        gold = gold_score(world.judged(few, drawn)) - zero
        found["law"].append(histogram(gold)[0])
        own = log_probs(world, blocks, drawn[:, : len(shown)])
        best = torch.stack([texts[rows] for texts, rows in zip(drawn[0], likeliest(own[0], count), strict=False)])
        texts = torch.cat([best, usual], dim=1)[None]
        said_first.append(texts)
        found["log_probs"].append(log_probs(world, blocks, texts)[0])
        found["reference"].append(log_probs(world, world.reference_blocks, texts)[0])
        found["gold"].append((gold_score(world.judged(shown, texts)) - zero[: len(shown)])[0])
        if scorer is None:
            found["proxy"].append(found["log_probs"][-1] - found["reference"][-1])
        else:
            rows = slice(number, number + 1)
            found["proxy"].append(scorer.rows(rows).of(world.measured_rows[None, : len(shown)], texts)[0])
    return PolicySummary(
        prompts=shown,
        responses=torch.cat(said_first),
        reference_law=histogram((gold_score(world.baseline.parts)[: len(few)] - zero)[None])[0],
        **{name: torch.stack(values) for name, values in found.items()},
    )


def draw(world: "SampledWorld", blocks: Blocks, prompts: Tensor) -> Tensor:
    """Responses of policies to `prompts`, [R, n, m, T], with noise that all share."""
    found = sample_and_measure(
        blocks,
        world.reference_blocks,
        world.architecture,
        prompts,
        responses=world.measure_settings.samples,
        end=world.end,
        seed=world.seed,
        purpose="portrait",
    )
    return found["responses"]


def log_probs(world: "SampledWorld", blocks: Blocks, responses: Tensor) -> Tensor:
    """log pi of responses [R, n, m, T] to the first n measured prompts, [R, n, m]."""
    asked = world.measured_prompts[: responses.shape[1]].repeat_interleave(responses.shape[2], dim=0)
    single = responses.flatten(1, 2).unsqueeze(2)
    prompts = asked.expand(len(responses), -1, -1)
    return response_log_probs(blocks, world.architecture, prompts, single).view(responses.shape[:3])


def histogram(gold: Tensor) -> Tensor:
    """The share of gold [R, n, m] in each bin, [R, B]."""
    where = bins_of(gold).flatten(1)
    share = torch.full_like(where, 1 / where.shape[1], dtype=torch.float64)
    return share.new_zeros(len(where), len(EDGES) - 1).scatter_add_(1, where, share)

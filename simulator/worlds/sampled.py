"""A world of any size, where policies are measured on samples of their own.

Shapes: R runs, P prompts, of which n are measured on, L prompt length, m responses to each, T response
length, V vocabulary, D parameters, N pairs, b responses of the baseline to each measured prompt.

With y a response that the policy drew, s = log pi(y) - log pi_ref(y) in nats, and laws of the next token taken along y:

    kl          sum over tokens of KL(pi(. | y_<t) || pi_ref(. | y_<t)): the Rao-Blackwellized estimator, unbiased and
                never negative (Amini, Vieira & Cotterell 2025, arXiv:2504.10637)
    entropy     sum over tokens of the entropy of pi(. | y_<t)
    gold        gold(y), in standard deviations of gold over the baseline, which has mean 0 at each prompt
    win_rate    share of the baseline's responses to the same prompt that have less gold, ties counting half
    proxy       (E_pi s - E_ref s) / sd_ref(s), the first term being the KL above
                with a proxy: its score of y, which has mean 0 over the baseline at each prompt
    mu_squared  Var_mu(s) over draws of the behaviour policy
    kl_k1, …    the estimators at s; see simulator/measurement/exact.py

The baseline are responses of the reference. They are drawn once, so what chance does to them is shared by all runs;
the standard errors contain it. The noise that responses are drawn with is the same for all runs and checkpoints of a
world, too; see simulator/networks/sampling.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.forward_kl import POOL, DrawnUnderReference
from simulator.measurement.exact import Columns
from simulator.measurement.gibbs import no_rows
from simulator.measurement.policy_summary import PolicySummary
from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import EAGER, computing
from simulator.networks.sampling import sample_blocks
from simulator.networks.token_log_probs import MAX_FLOATS, floats_per_prompt, response_log_probs, whole_scores
from simulator.objectives.objective import UnderReference
from simulator.settings.data_table import Data
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.behaviour import (
    Answers,
    BehaviourPolicy,
    Candidates,
    PairsDraw,
    behaviour_of,
    behaviour_temperature,
    redraw_alike,
)
from simulator.worlds.components import Components, sizes
from simulator.worlds.listing import Listing, Scorer
from simulator.worlds.policy_classes.policy_class import PolicyClass
from simulator.worlds.policy_classes.transformers import Transformers
from simulator.worlds.recent_draws import RecentDraws
from simulator.worlds.reference_sample import draw_reference_sample, gold_score, list_baseline
from simulator.worlds.sampled_measures import SampledMeasurement, log_ratios, measure_drawn, summarize

PAIRS_BYTES = BEHAVIOUR_BYTES = 2**24  # of pairs, and of responses of behaviour policies, kept for the next stack
UNSEEN = 1024  # texts that the reference's cross-entropy is measured on

Array = np.ndarray


def recent_pairs() -> RecentDraws[PairsDraw, Candidates]:
    """A store of pairs."""

    def bytes_of(pairs: Candidates) -> int:
        return pairs.prompt.nbytes + pairs.responses.nbytes + pairs.reference.nbytes + pairs.draws.nbytes

    return RecentDraws(PAIRS_BYTES, bytes_of)


def recent_behaviour() -> RecentDraws[BehaviourPolicy, tuple[Tensor, Tensor]]:
    """A store of responses of behaviour policies, and their log pi_ref."""
    return RecentDraws(BEHAVIOUR_BYTES, lambda drawn: drawn[0].nbytes + drawn[1].nbytes)


@dataclass(frozen=True, kw_only=True)
class SampledWorld:
    """What all runs in a world share."""

    spec: WorldSpec
    architecture: Architecture
    prompts: Tensor  # token ids [P, L]
    reference: Tensor  # parameters of pi_ref, [D]
    end: int | None  # the token that ends a response
    measurement: SampledMeasurement  # how policies are measured, on n of the prompts
    listing: Listing  # the baseline's responses
    facts: dict[str, Any]  # what `world.json` says of the world
    pairs: RecentDraws[PairsDraw, Candidates] = field(default_factory=recent_pairs, compare=False)
    behaviour: RecentDraws[BehaviourPolicy, tuple[Tensor, Tensor]] = field(
        default_factory=recent_behaviour, compare=False
    )
    kl_source: str = "sampled"
    lists_responses: bool = False

    @property
    def policy_class(self) -> PolicyClass:
        """Transformers, which need no list of responses."""
        return Transformers(architecture=self.architecture, prompts=self.prompts, start=self.reference, end=self.end)

    def candidates(self, data: Data, seed: int, pairs: int, purpose: str, responses: int = 2) -> Candidates:
        """Pairs of a seed from the behaviour policy, without labels; they follow from (seed, purpose)."""
        draw = PairsDraw(
            behaviour=behaviour_of(data),
            distinct=data.distinct,
            seed=seed,
            purpose=purpose,
            pairs=pairs,
            responses=responses,
        )
        return self.pairs.of(draw, lambda: self._draw_pairs(draw))

    def log_reference(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi_ref of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        asked, same = self.prompts[prompt].flatten(0, 1)[None], responses.flatten(0, 1)[None]
        return response_log_probs(self.reference[None], self.architecture, asked, same).view(responses.shape[:3])

    def gold_of(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """Gold of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K].

        It has no zero at each prompt: what is compared are responses to the same one.
        """
        asked = self.prompts[prompt].unsqueeze(2).expand(*responses.shape[:3], -1)
        return gold_score(self.measurement.gold_parts_of_each(asked, responses))

    def under_reference(self, seeds: Sequence[int]) -> UnderReference:
        """The mean over responses of the reference that each run has drawn for it."""
        data = Data(behaviour="reference")
        drawn = [self.candidates(data, seed, POOL, "under reference") for seed in seeds]
        return DrawnUnderReference(
            architecture=self.architecture,
            prompts=torch.stack([self.prompts[pairs.prompt] for pairs in drawn]),
            responses=torch.stack([pairs.responses for pairs in drawn]),
            reference=torch.stack([pairs.reference for pairs in drawn]),
        )

    def score_listed(self, parameters: Tensor, architecture: Architecture) -> Tensor:
        """What networks with `parameters` [M, D] say of the listing, float64 [M, n, b]."""
        listed = self.measurement.baseline.responses
        return whole_scores(parameters, architecture, self.measurement.prompts, listed)

    def _draw_pairs(self, draw: PairsDraw) -> Candidates:
        """Pairs that are the world's: drawn alike whatever computes the runs that ask for them."""
        with computing(EAGER):
            return self._drawn_pairs(draw)

    def _drawn_pairs(self, draw: PairsDraw) -> Candidates:
        draws = random_stream(draw.seed, draw.purpose).random((draw.pairs, 2))
        row = torch.from_numpy((draws[:, 0] * len(self.prompts)).astype(np.int64)).to(self.prompts.device)
        prompts = self.prompts[row]
        responses = self._behave(draw.behaviour, prompts, draw.responses, draw.seed, draw.purpose)
        if draw.distinct:
            responses = self._apart(draw, prompts, responses)
        return Candidates(
            prompt=row,
            responses=responses,
            reference=response_log_probs(
                self.reference.unsqueeze(0), self.architecture, prompts.unsqueeze(0), responses.unsqueeze(0)
            )[0],
            draws=draws[:, 1],
        )

    def _apart(self, draw: PairsDraw, prompts: Tensor, responses: Tensor) -> Tensor:
        """Responses [N, K, T] to `prompts` [N, L], those that are alike to one prompt drawn again."""

        def again(turn: int) -> Array:
            purpose = f"{draw.purpose} again {turn}"
            return self._behave(draw.behaviour, prompts, draw.responses, draw.seed, purpose).cpu().numpy()

        return torch.from_numpy(redraw_alike(responses.cpu().numpy(), again)).to(responses.device)

    def measure(
        self, parameters: Tensor, pairs: Answers | None, data: Data, scorer: Scorer | None = None
    ) -> tuple[Columns, Tensor]:
        """Every column that needs no loss, [R] each, for parameters [R, D]; and the log-ratios of the first pairs.

        Those are [R, n, 2] for the first n = `measure.pairs` of each run's pairs, or all; none without pairs. With a
        scorer, the column `proxy` is its scores' and not the implicit reward's.
        """
        columns: Columns = {}
        few = pairs.first(self.measurement.settings.pairs) if pairs else None
        shape = few.reference.shape if few else (len(parameters), 0, 2)
        ratios = torch.empty(shape, dtype=torch.float64, device=parameters.device)
        behaviour = None if data.behaviour == "reference" else self.behaviour_sample(data)
        for rows in self.measurement.run_blocks(len(parameters)):
            if few:
                ratios[rows] = self._on_pairs(parameters[rows], few.rows(rows))
            of_rows = scorer and scorer.rows(rows)
            for name, value in measure_drawn(self.measurement, parameters[rows], behaviour, of_rows).items():
                columns.setdefault(name, value.new_empty(len(parameters)))[rows] = value
        return columns, ratios

    def summarize(self, parameters: Tensor, scorer: Scorer | None = None) -> PolicySummary:
        """What policies with `parameters` [R, D] say; the column `proxy` is log pi / pi_ref without a scorer."""
        return summarize(self.measurement, parameters, scorer)

    def oracle(self, name: str) -> pd.DataFrame:
        """No rows: the best policy is known where every response can be listed."""
        return no_rows()

    def _behave(self, policy: BehaviourPolicy, prompts: Tensor, responses: int, seed: int, purpose: str) -> Tensor:
        """Responses of the behaviour policy to `prompts`, [P, m, T]."""
        uniform = random_stream(seed, purpose, "temperature").random((len(prompts), responses))
        temperature = behaviour_temperature(policy, uniform)
        return sample_blocks(
            self.reference.unsqueeze(0),
            self.architecture,
            prompts,
            temperature=torch.from_numpy(temperature).to(prompts.device),
            length=self.measurement.baseline.responses.shape[2],
            end=self.end,
            seed=seed,
            purpose=purpose,
            at_once=MAX_FLOATS // floats_per_prompt(self.architecture, prompts.shape[1]),
        )

    def _on_pairs(self, parameters: Tensor, pairs: Answers) -> Tensor:
        prompts = self.prompts[pairs.prompt]
        return response_log_probs(parameters, self.architecture, prompts, pairs.responses) - pairs.reference

    def behaviour_sample(self, data: Data) -> tuple[Tensor, Tensor]:
        """Responses of the behaviour policy to the measured prompts, [n, m, T], and their log pi_ref [n, m]."""
        measurement, policy = self.measurement, behaviour_of(data)

        def draw() -> tuple[Tensor, Tensor]:
            count, seed = measurement.settings.samples, measurement.seed
            with computing(EAGER):
                drawn = self._behave(policy, measurement.prompts, count, seed, "behaviour")
                nothing = torch.zeros(drawn.shape[:2], dtype=torch.float64, device=drawn.device)
                return drawn, log_ratios(measurement, self.reference.unsqueeze(0), drawn, nothing)[0]

        return self.behaviour.of(policy, draw)


def cross_entropy(spec: WorldSpec, ground: Components, reference: Tensor) -> float:
    """The reference's cross-entropy on texts that it has not seen, in nats per response."""
    rng = random_stream(spec.world.seed, "unseen")
    texts = ground.language.draw_unseen(count=UNSEEN, prompt_length=ground.prompts.shape[1], rng=rng)
    prompts, responses = (torch.from_numpy(tokens).to(reference.device)[None] for tokens in texts)
    rows = reference.unsqueeze(0)
    return float(-response_log_probs(rows, ground.architecture, prompts, responses.unsqueeze(2)).mean())


def sample_world(spec: WorldSpec, ground: Components, device: torch.device) -> SampledWorld:
    """The world of `spec` on `ground`. Raises ConfigError where gold has no scale."""
    prompts, reference = torch.from_numpy(ground.prompts).to(device), ground.reference.to(device)
    end = ground.language.end
    few = random_stream(spec.world.seed, "measured").permutation(len(prompts))[: spec.measured_prompts]
    rows = torch.from_numpy(np.sort(few)).to(device)
    measured = prompts[rows]
    judge, baseline, facts = draw_reference_sample(spec, ground, measured, reference, end)
    unseen = cross_entropy(spec, ground, reference)
    measurement = SampledMeasurement(
        architecture=ground.architecture,
        prompts=measured,
        rows=rows,
        sampling_fraction=spec.measured_prompts / spec.world.prompts,
        reference=reference,
        baseline=baseline,
        judge=judge,
        language=ground.language,
        settings=spec.measure,
        seed=spec.world.seed,
        end=end,
    )
    return SampledWorld(
        spec=spec,
        architecture=ground.architecture,
        prompts=prompts,
        reference=reference,
        end=end,
        measurement=measurement,
        listing=list_baseline(baseline, rows),
        facts={**sizes(spec, ground), "reference_cross_entropy": unseen, **facts},
    )

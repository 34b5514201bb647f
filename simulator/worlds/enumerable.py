"""A world whose every response is listed, so that policies are measured exactly.

Shapes: R runs, P prompts, L prompt length, G responses of up to T tokens, M inner nodes of the prefix tree, V
vocabulary, D parameters, N pairs. Gold is in standard deviations under the reference: content and fluency
each, and once more their sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.measurement.exact import TABLES, Columns, ReferenceLaw, columns_of_law, columns_of_sums, sums_under
from simulator.measurement.gibbs import oracle_rows
from simulator.measurement.ledger import places, with_pairs
from simulator.measurement.listed_sums import sums_of
from simulator.measurement.policy_summary import EDGES, LIKELY, PROMPTS, PolicySummary, bins_of, likeliest
from simulator.measurement.probability_mass import checked_mass
from simulator.networks.architecture import Architecture
from simulator.networks.listing.prefix_tree import leaf_scores
from simulator.networks.listing.response_list import ResponseList
from simulator.networks.token_log_probs import whole_scores
from simulator.objectives.objective import UnderReference
from simulator.settings.data_table import Data
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.behaviour import (
    Answers,
    Candidates,
    behaviour_distribution,
    behaviour_of,
    draw_pairs,
    redraw_alike,
    sample_sides,
    side_distributions,
)
from simulator.worlds.listing import (
    Listing,
    Scorer,
    nash_columns,
)
from simulator.worlds.policy_classes.build import listed_under_reference
from simulator.worlds.policy_classes.policy_class import PolicyClass

MOST_MEASURED = 2**18  # P * G * runs measured at once, so that memory does not grow with the stack

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class EnumerableWorld:
    """What all runs in a world share."""

    spec: WorldSpec
    architecture: Architecture
    prompts: Tensor  # token ids [P, L]
    response_list: ResponseList  # all responses, [G, T]
    reference: Tensor  # parameters of pi_ref, [D]
    reference_nodes: Tensor  # pi_ref's next-token log-probabilities, [P, M, V]
    reference_law: ReferenceLaw
    kl_estimators: tuple[str, ...]  # those recorded beside the KL
    policy_class: PolicyClass  # how the law of a policy follows from its parameters
    listing: Listing  # all responses, with the reference's probabilities
    breaks: Tensor  # whether a token breaks the grammar, of the prompts that are summarized, bool [n, G, T]
    ungrammatical: Tensor  # whether some token of a response does, bool [P, G]
    facts: dict[str, Any]  # what `world.json` says of the world
    kl_source: str = "exact"
    lists_responses: bool = True

    def to(self, device: torch.device) -> "EnumerableWorld":
        """The same world with its tensors on `device`."""
        kinds = Tensor | ReferenceLaw | ResponseList
        own: dict[str, Any] = {name: each.to(device) for name, each in vars(self).items() if isinstance(each, kinds)}
        return replace(self, **own, policy_class=self.policy_class.to(device))

    @property
    def responses(self) -> Tensor:
        """Token ids of all responses, in the order of their numbers, [G, T]."""
        return self.response_list.responses

    @property
    def end(self) -> int | None:
        """The token that ends a response; None where every response has all tokens."""
        return self.response_list.end

    def side_distributions(self, data: Data) -> tuple[Array, Array]:
        """The laws of the two responses of a pair, [P, G] each."""
        cpu = torch.device("cpu")
        nodes, gold = self.reference_nodes.cpu(), self.reference_law.gold.cpu()
        return side_distributions(behaviour_of(data), nodes, self.response_list.to(cpu), gold)

    def behaviour_distribution(self, data: Data) -> Array:
        """mu over all responses, [P, G]."""
        return behaviour_distribution(self.side_distributions(data))

    @property
    def reference_log_probs(self) -> Tensor:
        """log pi_ref of every response, [P, G]."""
        return self.reference_law.reference

    def candidates(self, data: Data, seed: int, pairs: int, purpose: str, responses: int = 2) -> Candidates:
        """Pairs of a seed from the behaviour policy, without labels; they follow from (seed, purpose).

        Raises ConfigError where `data.distinct` asks for different responses that do not come.
        """
        prompt, response, draws = draw_pairs(
            self.side_distributions(data), pairs=pairs, rng=random_stream(seed, purpose), responses=responses
        )
        if data.distinct:
            response = redraw_alike(response, lambda turn: self._again(data, prompt, seed, purpose, responses, turn))
        row, number = (torch.from_numpy(index).to(self.prompts.device) for index in (prompt, response))
        return Candidates(
            prompt=row,
            responses=self.responses[number],
            reference=self.reference_law.reference[row.unsqueeze(1), number],
            draws=draws,
        )

    def _again(self, data: Data, prompt: Array, seed: int, purpose: str, responses: int, turn: int) -> Array:
        """Other responses [N, K] to the prompts of these rows [N]."""
        draws = random_stream(seed, purpose, "again", turn).random((len(prompt), responses))
        return sample_sides(self.side_distributions(data), prompt, draws)

    def log_reference(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi_ref of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        return self.reference_law.reference[prompt.unsqueeze(2), self.response_list.number(responses)]

    def gold_of(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """Gold of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        return self.reference_law.gold[prompt.unsqueeze(2), self.response_list.number(responses)]

    def under_reference(self, seeds: Sequence[int]) -> UnderReference:
        """The exact expectation under the reference."""
        return listed_under_reference(self.policy_class, self.reference_nodes)

    def score_listed(self, parameters: Tensor, architecture: Architecture) -> Tensor:
        """What networks with `parameters` [M, D] say of the listing, float64 [M, P, G]."""
        found = torch.empty(
            (len(parameters), *self.reference_log_probs.shape), dtype=torch.float64, device=parameters.device
        )
        if self.end is not None:
            texts = self.responses.expand(len(self.prompts), -1, -1)
            return whole_scores(parameters, architecture, self.prompts, texts)
        size = max(1, MOST_MEASURED // (4 * self.reference_log_probs.shape[1] * max(1, architecture.width // 64)))
        for number in range(len(parameters)):
            network = parameters[number : number + 1]
            for first in range(0, len(self.prompts), size):
                some = slice(first, first + size)
                found[number, some] = leaf_scores(network, architecture, self.prompts[some], self.responses.shape[1])[0]
        return found

    def measure_distribution(self, log_probs: Tensor, data: Data, scorer: Scorer | None = None) -> Columns:
        """Every column that needs no pairs, [R] each, of policies with log pi = `log_probs` [R, P, G]."""
        columns, sums = self._measured(log_probs, self._behaviour(data), scorer, self._ungrammatical(len(log_probs)))
        nash = nash_columns(data, self.listing.gold, self.responses)
        return columns_of_sums(sums_of(sums, TABLES)) | columns | nash(log_probs)

    def _behaviour(self, data: Data) -> Tensor:
        """mu over all responses, [P, G]. Raises MassError."""
        law = checked_mass(self.behaviour_distribution(data), "the behaviour policy")
        return torch.from_numpy(law).to(self.prompts.device)

    def _measured(
        self, log_probs: Tensor, behaviour: Tensor, scorer: Scorer | None, parts: Tensor
    ) -> tuple[Columns, Tensor]:
        """The columns that need the laws themselves, those of a scorer with them, and the sums for the others."""
        sums = sums_under(log_probs, self.reference_law, behaviour, parts)
        columns = columns_of_law(log_probs, self.reference_law, self.kl_estimators)
        if scorer is not None:
            tables, law = scorer.tables, log_probs.exp()
            mean = (law * tables).sum(dim=-1)
            columns["proxy"] = mean.mean(dim=-1)
            centred = tables - mean.unsqueeze(-1)
            columns["proxy_variance"] = (law * centred.square()).sum(dim=-1).mean(dim=-1)
        return columns, sums

    def _ungrammatical(self, runs: int) -> Tensor:
        """Where the ledger of runs without pairs counts each response, uint8 [R, P, G]."""
        return self.ungrammatical.to(torch.uint8).expand(runs, -1, -1).contiguous()

    def measure(
        self, parameters: Tensor, pairs: Answers | None, data: Data, scorer: Scorer | None = None
    ) -> tuple[Columns, Tensor]:
        """Every column that needs no loss, [R] each, for parameters [R, D]; and the log-ratios of pairs, [R, N, 2].

        With a scorer, the column `proxy` is its scores' and not the implicit reward's. Without pairs, N is 0.
        """
        prompts, responses = self.reference_law.reference.shape
        size = max(1, MOST_MEASURED // (prompts * responses))
        behaviour, nash = self._behaviour(data), nash_columns(data, self.listing.gold, self.responses)
        ratios = (
            torch.empty_like(pairs.reference) if pairs else self.reference_log_probs.new_empty(len(parameters), 0, 2)
        )
        numbers = self.response_list.number(pairs.responses) if pairs else None
        columns, every = Columns(), []
        for first in range(0, len(parameters), size):
            rows = slice(first, first + size)
            log_probs = self._laws(parameters[rows], alone=size == 1)
            here, judge = pairs and pairs.rows(rows), scorer and scorer.rows(rows)
            parts = self._ungrammatical(len(log_probs))
            if here and numbers is not None:
                place = places(here.prompt, numbers[rows], log_probs.shape)
                ratios[rows] = log_probs.flatten()[place] - here.reference
                parts = with_pairs(parts, place, here.weights)
            found, sums = self._measured(log_probs, behaviour, judge, parts)
            every.append(sums)
            for name, value in (found | nash(log_probs)).items():
                columns.setdefault(name, value.new_empty(len(parameters)))[rows] = value
        return columns_of_sums(sums_of(torch.cat(every), TABLES)) | columns, ratios

    def summarize(self, parameters: Tensor, scorer: Scorer | None = None) -> PolicySummary:
        """What policies with `parameters` [R, D] say; the column `proxy` is log pi / pi_ref without a scorer."""
        runs, prompts, bins = len(parameters), min(PROMPTS, len(self.prompts)), len(EDGES) - 1
        where = bins_of(self.reference_law.gold)
        known = likeliest(self.reference_log_probs[:prompts], LIKELY)
        shape = (runs, prompts, 2 * known.shape[1])
        tables = {"reference": self.reference_log_probs, "gold": self.reference_law.gold}
        tables["fluency"] = self.reference_law.fluency
        found = {name: self.reference_log_probs.new_empty(shape) for name in ("log_probs", "proxy", *tables)}
        numbers = where.new_empty(shape)
        law = self.reference_log_probs.new_empty(runs, bins)
        size = max(1, MOST_MEASURED // self.reference_log_probs.numel())
        for first in range(0, runs, size):
            rows = slice(first, first + size)
            log_probs = self._laws(parameters[rows], alone=size == 1)
            law[rows] = self._binned(log_probs.exp(), where)
            shown = log_probs[:, :prompts]
            place = torch.cat([likeliest(shown, LIKELY), known.expand(len(shown), -1, -1)], dim=-1)
            numbers[rows] = place
            found["log_probs"][rows] = shown.gather(-1, place)
            scores = (
                shown - self.reference_log_probs[:prompts] if scorer is None else scorer.rows(rows).tables[:, :prompts]
            )
            found["proxy"][rows] = scores.gather(-1, place)
            for name, table in tables.items():
                found[name][rows] = table[:prompts].expand_as(shown).gather(-1, place)
        return PolicySummary(
            prompts=self.prompts[:prompts],
            responses=self.responses[numbers],
            breaks=self.breaks[torch.arange(prompts, device=numbers.device)[:, None], numbers],
            law=law,
            reference_law=self._binned(self.reference_log_probs.exp()[None], where)[0],
            **found,
        )

    def _binned(self, laws: Tensor, where: Tensor) -> Tensor:
        """Probability in the bins `where` [P, G] of laws [R, P, G], as a mean over prompts, [R, B]."""
        flat = checked_mass(laws, "a policy").flatten(1) / len(self.prompts)
        return flat.new_zeros(len(flat), len(EDGES) - 1).index_add_(1, where.flatten(), flat)

    def _laws(self, parameters: Tensor, *, alone: bool) -> Tensor:
        """log pi of every response, [R, P, G], of policies [R, D], each taken alone or all together."""
        return self.policy_class.measured_laws(parameters, alone=alone)

    def oracle(self, name: str) -> pd.DataFrame:
        """Records of the oracle frontier of this world, whose name is `name`."""
        return oracle_rows(self.reference_law, name)

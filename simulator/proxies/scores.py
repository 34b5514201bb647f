"""What a proxy says, in gold's unit, of responses at hand.

Shapes: R runs, m members of an ensemble, n prompts and G responses to each of a listing, N pairs, B prompts, K
responses to each, T response length, D parameters.

Every world has a listing: responses to prompts with a probability and gold for each. Where all responses can be listed
they are all there and the probability is the reference's; elsewhere they are a sample of the reference. It gives scores
their zero and their unit; see simulator/measurement/ensemble.py. Planted proxies are in gold's unit as they are, and
take their zero alone from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.measurement.ensemble import COMBINATIONS, Unit, gold_unit, standard_unit
from simulator.networks.architecture import Architecture
from simulator.networks.listing.response_list import ResponseList
from simulator.networks.packing import whole_packing
from simulator.networks.token_log_probs import MAX_FLOATS, floats_per_prompt
from simulator.networks.transformer import sequence_scores
from simulator.proxies.planting import Planted
from simulator.worlds.listing import Listing, Scorer
from simulator.worlds.protocol import World, as_listed

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network: parameters [D], and its scores [n, G] of the listing, as it gives them."""

    architecture: Architecture
    parameters: Tensor
    scores: Array


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One score made of the members of an ensemble, each in its own unit; `table` [n, G]: of the listing.

    drift [n, G]: what each response of the listing does to the logarithm of the last unit, where the listing is a
    sample; see `drift_of`. Of planted ones it is 0: the unit is gold's, and not estimated from what the proxy says.
    """

    members: tuple[Trained, ...] | tuple[Planted, ...]
    units: tuple[Unit, ...]
    combine: str
    uncertainty: float
    unit: Unit
    table: Array
    drift: Array


def drift_of(table: Array, listing: Listing, gold_gaps: Array) -> Array:
    """The influence of each response of a sampled listing on log a, a being the number of `recalibration`, [n, G].

    a is where the mean over pairs of psi = (sigma(a gap) - sigma(gold gap)) gap vanishes, so a pair moves log a by
    -psi / mean (sigma'(a gap) a gap^2). It is written twice on the pair's first response, so that the mean over
    responses is that over pairs, and so is its variance. table: the scores in that unit.
    """
    from scipy.special import expit  # a tenth of what the command imports

    row, first, second = listing.pairs.T
    gaps = table[row, first] - table[row, second]
    slope = float((expit(gaps) * expit(-gaps) * gaps**2).mean())
    drift = np.zeros(table.shape)
    if slope > 0:
        pairs_each = len(row) / table.size  # for each response of the listing
        np.add.at(drift, (row, first), -(expit(gaps) - expit(gold_gaps)) * gaps / slope / pairs_each)
    return drift


def plant_proxy(members: Sequence[Planted], listing: Listing, *, combine: str, uncertainty: float) -> Proxy:
    """The proxy that planted members are: recentred at each prompt, and combined in gold's unit."""
    law = listing.reference_probs
    units = tuple(centred(law, member.scores) for member in members)
    each = np.stack([unit.apply(member.scores) for unit, member in zip(units, members, strict=True)])
    combined = COMBINATIONS[combine](each, uncertainty)
    unit = centred(law, combined)
    return Proxy(
        members=tuple(members),
        units=units,
        combine=combine,
        uncertainty=uncertainty,
        unit=unit,
        table=unit.apply(combined),
        drift=np.zeros(combined.shape),
    )


def centred(law: Array, scores: Array) -> Unit:
    """The unit in which scores [n, G] have mean 0 at each prompt under `law`, and else are what they are."""
    return Unit(centre=(law * scores).sum(axis=1), factor=1.0)


def make_proxy(members: Sequence[Trained], listing: Listing, *, combine: str, uncertainty: float) -> Proxy:
    """The proxy that an ensemble of trained networks is."""
    units = tuple(standard_unit(listing.reference_probs, member.scores) for member in members)
    each = np.stack([unit.apply(member.scores) for unit, member in zip(units, members, strict=True)])
    combined = COMBINATIONS[combine](each, uncertainty)
    row, first, second = listing.pairs.T
    gold_gaps = listing.gold[row, first] - listing.gold[row, second]
    unit = gold_unit(listing.reference_probs, combined, combined[row, first] - combined[row, second], gold_gaps)
    table = unit.apply(combined)
    return Proxy(
        members=tuple(members),
        units=units,
        combine=combine,
        uncertainty=uncertainty,
        unit=unit,
        table=table,
        drift=drift_of(table, listing, gold_gaps),
    )


@dataclass(frozen=True, kw_only=True)
class TableScorer:
    """Scores looked up where every response is listed, in the order of their numbers."""

    tables: Tensor
    listed: ResponseList

    @property
    def drifts(self) -> Tensor:
        """Zero: where all responses are listed there is no chance in them."""
        return torch.zeros_like(self.tables)

    def of(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """Scores of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        run = torch.arange(len(prompt), device=prompt.device)[:, None, None]
        return self.tables[run, prompt.unsqueeze(2), self.listed.number(responses)]

    def rows(self, rows: slice) -> "TableScorer":
        """The proxies of some of the runs."""
        return TableScorer(tables=self.tables[rows], listed=self.listed)


@dataclass(frozen=True, kw_only=True)
class AnewScorer:
    """Scores of responses as they come, by networks or with planted errors.

    prompts [P, L]; listed [P]: the row of each in the listing, or -1.
    The zero of a prompt that is not in the listing is the mean of those that are.
    """

    proxies: tuple[Proxy, ...]
    prompts: Tensor
    listed: Tensor

    @property
    def tables(self) -> Tensor:
        """Scores of the listing, float64 [R, n, G]."""
        return torch.from_numpy(np.stack([proxy.table for proxy in self.proxies])).to(self.prompts.device)

    def rows(self, rows: slice) -> "AnewScorer":
        """The proxies of some of the runs."""
        return AnewScorer(proxies=self.proxies[rows], prompts=self.prompts, listed=self.listed)

    @property
    def drifts(self) -> Tensor:
        """What each response of the listing does to the proxies' units, float64 [R, n, G]."""
        return torch.from_numpy(np.stack([proxy.drift for proxy in self.proxies])).to(self.prompts.device)

    def of(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """Scores of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        found = torch.empty(responses.shape[:3], dtype=torch.float64, device=responses.device)
        for proxy in {id(proxy): proxy for proxy in self.proxies}.values():
            rows = [row for row, other in enumerate(self.proxies) if other is proxy]
            found[rows] = self._by(proxy, prompt[rows], responses[rows])
        return found

    def _by(self, proxy: Proxy, prompt: Tensor, responses: Tensor) -> Tensor:
        asked = prompt.unsqueeze(2).expand(responses.shape[:3]).flatten()
        raw = self._raw(proxy.members, asked, responses.flatten(0, 2))
        place = self.listed[asked].cpu().numpy()
        each = np.stack(
            [(scores - _centre(unit, place)) * unit.factor for scores, unit in zip(raw, proxy.units, strict=True)]
        )
        combined = COMBINATIONS[proxy.combine](each, proxy.uncertainty)
        scores = (combined - _centre(proxy.unit, place)) * proxy.unit.factor
        return torch.from_numpy(scores).to(prompt.device).view(responses.shape[:3])

    def _raw(self, members: Sequence[Trained | Planted], asked: Tensor, responses: Tensor) -> Array:
        """What each member says of responses [N, T] to the prompts of rows `asked` [N], in its own unit, [m, N]."""
        planted = [member.score(asked, responses) for member in members if isinstance(member, Planted)]
        if planted:
            return np.stack(planted)
        return self._by_networks([member for member in members if isinstance(member, Trained)], asked, responses)

    def _by_networks(self, members: Sequence[Trained], asked: Tensor, responses: Tensor) -> Array:
        """What networks say of responses [N, T] to the prompts of rows `asked` [N], [m, N]."""
        architecture = members[0].architecture
        parameters = torch.stack([member.parameters for member in members]).to(asked.device)
        prompt_length = self.prompts.shape[1]
        packed = whole_packing(
            prompt_length=prompt_length, response_length=responses.shape[1], responses=1, device=asked.device
        )
        texts = responses.unsqueeze(1)
        raw = torch.empty(len(members), len(asked), dtype=torch.float64, device=asked.device)
        size = max(1, MAX_FLOATS // (floats_per_prompt(architecture, prompt_length) * len(parameters)))
        for first in range(0, len(asked), size):
            some = slice(first, first + size)
            shape = (len(parameters), -1, -1)
            raw[:, some] = sequence_scores(
                parameters,
                architecture,
                packed,
                self.prompts[asked[some]].expand(shape),
                texts[some].expand(*shape, -1),
            )[..., 0]
        return raw.cpu().numpy()


def _centre(unit: Unit, place: Array) -> Array:
    return np.where(place < 0, unit.centre.mean(), unit.centre[place])


def scorer_of(world: World, proxies: Sequence[Proxy]) -> Scorer:
    """The proxies of a stack of runs, to score with: looked up where every response is listed."""
    device = world.prompts.device
    if world.lists_responses:
        tables = torch.from_numpy(np.stack([proxy.table for proxy in proxies])).to(device)
        return TableScorer(tables=tables, listed=as_listed(world).response_list)
    rows = torch.from_numpy(world.listing.rows).to(device)
    listed = torch.full((len(world.prompts),), -1, device=device)
    listed[rows] = torch.arange(len(rows), device=device)
    return AnewScorer(proxies=tuple(proxies), prompts=world.prompts, listed=listed)

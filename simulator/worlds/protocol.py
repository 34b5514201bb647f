"""Worlds: what all runs of a sweep, or of one point of it, share.

Only methods that have a closed form in one kind of world ask beyond this interface.

Shapes: R runs, P prompts, L prompt length, D parameters, N pairs.
"""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
from torch import Tensor

from simulator.measurement.exact import Columns
from simulator.measurement.policy_summary import PolicySummary
from simulator.networks.architecture import Architecture
from simulator.networks.listing.response_list import ResponseList
from simulator.objectives.objective import UnderReference
from simulator.settings.data_table import Data
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.behaviour import Answers, Candidates
from simulator.worlds.listing import Listing, Scorer
from simulator.worlds.policy_classes.policy_class import PolicyClass


class World(Protocol):
    """A place where policies are trained and measured; simulator/worlds/enumerable.py and simulator/worlds/sampled.py
    are two.
    """

    @property
    def architecture(self) -> Architecture:
        """The network of the reference, and of policies that are transformers."""
        ...

    @property
    def prompts(self) -> Tensor:
        """Token ids [P, L]."""
        ...

    @property
    def reference(self) -> Tensor:
        """The parameters of pi_ref, a transformer whatever the class of policies, [D]."""
        ...

    @property
    def policy_class(self) -> PolicyClass:
        """How the law of a policy follows from its row of parameters."""
        ...

    @property
    def spec(self) -> WorldSpec:
        """What it was made from."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What `world.json` says of the world."""
        ...

    @property
    def kl_source(self) -> str:
        """How KL comes about: "exact" or "sampled"."""
        ...

    @property
    def end(self) -> int | None:
        """The token that ends a response; None where every response has all tokens."""
        ...

    @property
    def lists_responses(self) -> bool:
        """Whether every response is listed, so that laws are known; such a world is a `ListedWorld`."""
        ...

    @property
    def listing(self) -> Listing:
        """Responses of the reference that give proxies their zero and their unit."""
        ...

    def candidates(self, data: Data, seed: int, pairs: int, purpose: str, responses: int = 2) -> Candidates:
        """Pairs of a seed from the behaviour policy, without labels; they follow from (seed, purpose)."""
        ...

    def log_reference(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi_ref of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        ...

    def gold_of(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """Gold of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        ...

    def under_reference(self, seeds: Sequence[int]) -> UnderReference:
        """The expectation under the reference that some objectives ask for, for runs of these seeds."""
        ...

    def score_listed(self, parameters: Tensor, architecture: Architecture) -> Tensor:
        """What networks with `parameters` [M, D] say of the listing, float64 [M, n, G]."""
        ...

    def measure(
        self, parameters: Tensor, pairs: Answers | None, data: Data, scorer: Scorer | None = None
    ) -> tuple[Columns, Tensor]:
        """Every column that needs no loss, [R] each, for parameters [R, D]; and log-ratios of pairs, [R, n, 2].

        The pairs of the runs are [R, N, …]; the first n of them are looked at. With a scorer, the column `proxy` is its
        scores' and not the implicit reward's.
        """
        ...

    def summarize(self, parameters: Tensor, scorer: Scorer | None = None) -> PolicySummary:
        """What policies with `parameters` [R, D] say; the column `proxy` is log pi / pi_ref without a scorer."""
        ...

    def oracle(self, name: str) -> pd.DataFrame:
        """Records of the oracle frontier of this world, whose name is `name`; no rows where it is not known."""
        ...


class ListedWorld(World, Protocol):
    """A world whose every response is listed; G responses to each prompt."""

    @property
    def responses(self) -> Tensor:
        """Token ids of all responses, in the order of their numbers, [G, T]."""
        ...

    @property
    def response_list(self) -> ResponseList:
        """All responses, with their numbers."""
        ...

    @property
    def reference_log_probs(self) -> Tensor:
        """log pi_ref of every response, [P, G]."""
        ...

    def side_distributions(self, data: Data) -> tuple[np.ndarray, np.ndarray]:
        """The probability of every response on each side of a pair, float64 [P, G] each."""
        ...

    def behaviour_distribution(self, data: Data) -> np.ndarray:
        """The behaviour policy's probability of every response, float64 [P, G]."""
        ...

    def measure_distribution(self, log_probs: Tensor, data: Data, scorer: Scorer | None = None) -> Columns:
        """Every column that needs no pairs, and the ledger, [R] each, for log pi = `log_probs` [R, P, G]."""
        ...


def as_listed(world: World) -> ListedWorld:
    """The world, for what only a listing allows. Raises TypeError where responses are not listed."""
    if not world.lists_responses:
        raise TypeError("responses of this world are not listed")
    return cast(ListedWorld, world)

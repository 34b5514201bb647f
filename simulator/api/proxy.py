"""Proxy reward models as users see them. Shapes: P prompts, L prompt length, M responses to each, T response length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from simulator.api.arguments import tokens_of
from simulator.api.pairs import rows_of
from simulator.common.errors import ConfigError
from simulator.networks.compute_mode import one_thread
from simulator.proxies.scores import Proxy as Ensemble
from simulator.proxies.scores import scorer_of
from simulator.settings.tables import Settings
from simulator.worlds.protocol import World


@dataclass(frozen=True, kw_only=True, eq=False)
class Proxy:
    """A reward model, or an ensemble of them, that learned from labelled pairs, made by `train_proxy`; or gold with an
    error, made by `planted_proxy`.
    """

    settings: Settings = field(repr=False)
    """Every setting that it was made with."""
    seed: int
    """Of its parameters and batches, or of its error."""
    facts: pd.DataFrame
    """What is known of each member, a row each: accuracy and loss on its pairs, on held-out ones, and against gold; the
    columns of `proxies.parquet`."""
    ensemble: Ensemble = field(repr=False)
    """The proxy as sweeps use it; no part of the public surface."""
    simulated: World = field(repr=False)
    """Its world as sweeps use it; no part of the public surface."""
    learned_from_seed: bool = field(default=True, repr=False)
    """Whether its pairs are those that its world draws at its seed; no part of the public surface."""

    def __repr__(self) -> str:
        """Its size, and what it learned from; of a planted one its error."""
        proxy = self.settings.proxy
        if proxy.planted:
            return f"Proxy(error={proxy.error!r}, noise={proxy.noise:g}, members={proxy.members}, seed={self.seed})"
        return (
            f"Proxy(width={proxy.width}, members={proxy.members}, pairs={self.settings.data.pairs}, seed={self.seed})"
        )

    def score(self, prompts: Any, responses: Any) -> Tensor:
        """The score of responses [P, M, T] to prompts [P, L] of its world, float64 [P, M].

        In deviations of gold under the reference: of trained ones on the scale on which differences predict labels
        best. Raises ConfigError.
        """
        world, vocabulary = self.simulated, self.simulated.architecture.vocabulary
        length = world.prompts.shape[1]
        asked = tokens_of(prompts, "prompts", ("P", length), vocabulary)
        shape = (len(asked), "M", world.architecture.context - length + 1)
        given = tokens_of(responses, "responses", shape, vocabulary, end=world.end)
        row = rows_of(asked, world, "prompts")
        with one_thread(), torch.no_grad():
            return scorer_of(world, [self.ensemble]).of(row[None], given.to(row.device)[None])[0]


def check_proxy(proxy: object, world: World, name: str) -> None:
    """Raises ConfigError where something is no proxy, or one of another world."""
    if not isinstance(proxy, Proxy):
        raise ConfigError(f"{name}: must be a Proxy, such as train_proxy(world, pairs), not {type(proxy).__name__}")
    theirs = proxy.simulated
    same_reference = world.facts["reference_sha256"] == theirs.facts["reference_sha256"]
    if not same_reference or not torch.equal(world.prompts.cpu(), theirs.prompts.cpu()):
        raise ConfigError(f"{name}: was trained in a world of another reference or other prompts; train one here")


def check_proxies_of(world: World, data: Iterable[object], proxy: Proxy | None) -> None:
    """Raises ConfigError where a proxy is of another world."""
    for datum in data:
        if isinstance(datum, Proxy):
            check_proxy(datum, world, "data")
    if proxy is not None:
        check_proxy(proxy, world, "proxy")


def check_first_pairs(data: Sequence[object], seeds: Sequence[int]) -> None:
    """Raises ConfigError where rounds, which draw the pairs of the first by the run's seed, would get others."""
    rule = 'data: method = "iterated" keeps the pairs of the first round, which are those of the run\'s seed: '
    hint = "give train_proxy(world, world.preferences(N, seed=s), seed=s) for each seed s"
    for datum, seed in zip(data, seeds, strict=True):
        if isinstance(datum, Proxy) and datum.seed != seed:
            raise ConfigError(f"{rule}the proxy must have seed {seed}, not {datum.seed}; {hint}")
        if isinstance(datum, Proxy) and not datum.learned_from_seed:
            raise ConfigError(f"{rule}the proxy must have learned from these, and it learned from others; {hint}")

"""Worlds as users see them.

Shapes: P prompts of L tokens, G responses of T, M of them to each prompt, N pairs, K responses to one, R policies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.api.arguments import count_of, numbers_of, plain, seed_of, tokens_of
from simulator.api.measuring import LogProb, Sample, as_table, function_values, measure_listed, measure_sampled
from simulator.api.oracle import best_possible
from simulator.api.pairs import (
    Drawn,
    Pairs,
    draw_pairs,
    pairs_of,
    pairs_of_file,
    preferences_of,
    rows_of,
    settings_of_pairs,
)
from simulator.api.policies import Policies, check_class
from simulator.api.proxy import Proxy, check_proxy
from simulator.common.errors import ConfigError, shown
from simulator.measurement.exact import Columns, measure_pairs
from simulator.methods.algorithms.final_tables import spell
from simulator.networks.compute_mode import one_thread
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.proxies.scores import scorer_of
from simulator.settings.data_table import Data
from simulator.settings.tables import Settings
from simulator.worlds.listing import Scorer
from simulator.worlds.policy_classes.tilted import as_tilted
from simulator.worlds.protocol import World as SimulatedWorld
from simulator.worlds.protocol import as_listed


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A language, prompts in it, a reference that learned it, and a gold reward; made by `make_world`."""

    settings: Settings = field(repr=False)
    """Every setting of the sweep that the world was made from; `train` begins with these."""
    simulated: SimulatedWorld = field(repr=False)
    """The world as sweeps use it; no part of the public surface."""

    def __repr__(self) -> str:
        """The sizes of the world."""
        return (
            f"World(kind={self.facts['kind']!r}, prompts={len(self.prompts)}, vocabulary={self.vocabulary}, "
            f"response_length={self.response_length}, gold={self.facts['gold_reward']!r})"
        )

    @property
    def prompts(self) -> Tensor:
        """Token ids [P, L]; a copy."""
        return self.simulated.prompts.clone()

    @property
    def responses(self) -> Tensor:
        """Token ids of every response that there is, [G, T]. Raises ConfigError in a sampled world."""
        self._needs_listing("responses")
        return as_listed(self.simulated).responses.clone()

    @property
    def vocabulary(self) -> int:
        """V: token ids are from 0 to V - 1."""
        return self.simulated.architecture.vocabulary

    @property
    def response_length(self) -> int:
        """T."""
        return self.simulated.architecture.context - self.prompts.shape[1] + 1

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the world: sizes, seeds, entropies in nats, the scale of gold; as in `world.json`."""
        return self.simulated.facts

    @property
    def reference(self) -> Policies:
        """The policy that pairs are drawn from, and that training starts from and is measured against."""
        table = pd.DataFrame({"run_id": ["reference"], "method": ["reference"]})
        return self.policies(self.simulated.policy_class.start[None].clone(), table)

    def policies(self, parameters: Tensor, table: pd.DataFrame, curves: pd.DataFrame | None = None) -> Policies:
        """Policies of this world with `parameters` [R, D]; `table` says what each is."""
        return Policies(
            parameters=parameters,
            architecture=self.simulated.architecture,
            prompt_length=self.prompts.shape[1],
            end=self.simulated.end,
            table=table,
            reference_sha256=self.facts["reference_sha256"],
            tilted=as_tilted(self.simulated.policy_class),
            curves=pd.DataFrame() if curves is None else curves,
        )

    def spell(self, tokens: Any) -> str:
        """Token ids [T] as people read them: text in worlds of text, letters where they suffice, or else numbers."""
        return spell(plain(tokens), self.settings)

    def gold(self, prompts: Any, responses: Any) -> Tensor:
        """Gold of responses [P, M, T] to prompts [P, L] of this world, float64 [P, M].

        In standard deviations under the reference, whose mean is 0 at each prompt. In a sampled world that zero is not
        taken off: only differences between responses to one prompt mean something. Raises ConfigError.
        """
        row, given = self._responses_to(prompts, responses)
        with one_thread(), torch.no_grad():
            return self.simulated.gold_of(row[None], given[None])[0]

    def preferences(
        self,
        pairs: int | None = None,
        *,
        seed: int = 0,
        labels: str | None = None,
        temperature: float | None = None,
        label_noise: float | None = None,
        flip_toward: str | None = None,
        tie_strength: float | None = None,
        cycle: float | None = None,
        length_bias: float | None = None,
        annotators: int | None = None,
        disagreement: float | None = None,
        behaviour: str | None = None,
        behaviour_temperature: float | None = None,
        uniform_share: float | None = None,
        behaviour_n: int | None = None,
        one_from_reference: bool | None = None,
        distinct: bool | None = None,
        file: str | None = None,
        responses: int = 2,
        labeller: Proxy | None = None,
    ) -> Pairs:
        """Labelled pairs of responses: those that a sweep with this seed trains on.

        pairs: N; a sweep of the same seed has the first N of them. The next 16 are the keys of `[data]` of a sweep
        file, and None is what the world's sweep says. responses: K; more than two are ranked by gold, for the losses
        that rank. labeller: a proxy that labels in gold's place, without noise. Raises ConfigError.
        """
        keys = set(Data.model_fields) - {"labeller"}
        changes = {name: value for name, value in locals().items() if name in keys}
        if labeller is not None:
            check_proxy(labeller, self.simulated, "labeller")
        settings = settings_of_pairs(self.settings, changes, None if labeller is None else labeller.settings)
        stream, count = seed_of(seed), count_of(responses, "responses", 2)
        ensemble = None if labeller is None else labeller.ensemble
        with one_thread(), torch.no_grad():
            preferences = draw_pairs(self.simulated, settings.data, stream, count, ensemble)
        return pairs_of(
            Drawn(world=self.simulated, settings=settings, seed=stream, preferences=preferences, labeller=ensemble)
        )

    def read_pairs(self, path: str | Path) -> Pairs:
        """All pairs of a file of your own that this world can use, labelled as they are there, and with gold.

        Parquet or JSON lines (docs/howto/own_pairs.md). A warning says how many cannot be used, and why. Raises
        ConfigError where none can be.
        """
        return pairs_of_file(str(path), self.simulated, self.settings)

    def measure(
        self,
        policies: Policies | LogProb,
        *,
        pairs: Pairs | None = None,
        proxy: Proxy | None = None,
        sample: Sample | None = None,
    ) -> pd.DataFrame:
        """What policies are, a row each: `kl`, `gold`, `win_rate`, `entropy` and the other columns of `curves.parquet`.

        policies: Policies, or a function of token ids, prompts [P, L] and responses [P, M, T], that gives log pi of
        whole responses in nats, [P, M], as anything that numpy reads; [R, P, M] are R policies. Where every response is
        listed, everything is exact, and `kl_se` and so on are 0. In a sampled world they are standard errors; a
        function is measured there on responses that `sample(prompts [P, L], count)` gives, [P, count, T], or else on
        weighted responses of the reference, of which `effective_samples` count.

        pairs: adds `train_accuracy`, `chosen_logratio`, `rejected_logratio`, `displaced` and quantiles of the margin on
        these. proxy: the column `proxy` is its score, and not the implicit reward. Raises ConfigError.
        """
        preferences = None if pairs is None else preferences_of(pairs, self.simulated, "pairs")
        if proxy is not None:
            check_proxy(proxy, self.simulated, "proxy")
        if sample is not None and (isinstance(policies, Policies) or not callable(sample)):
            raise ConfigError("sample: must be a function of (prompts [P, L], count), beside one of log-probabilities")
        with torch.no_grad():
            if isinstance(policies, Policies):
                self._check_ours(policies)
                columns, ratios = self._measure_ours(policies, preferences, proxy)
                table = policies.table
            elif callable(policies):
                columns, ratios = self._measure_function(policies, preferences, proxy, sample)
                table = pd.DataFrame({"method": ["external"] * len(columns["kl"])})
            else:
                raise ConfigError(
                    "measure: must be given Policies, or a function of prompts [P, L] and responses [P, M, T], not "
                    f"{type(policies).__name__}"
                )
        if ratios is not None:
            weights = None if preferences is None else preferences.weights
            on_pairs = measure_pairs(ratios, ratios.new_zeros(len(ratios)), weights)
            columns |= {name: value for name, value in on_pairs.items() if name != "train_loss"}
        return as_table(table, columns, self.simulated.kl_source)

    def oracle(self, kl: Any) -> Any:
        """The most gold that any policy can have at these KL: that of the Gibbs policies pi_ref exp(gold / tau) / Z.

        kl: nats, a number or any shape of numbers; gold has the same shape. Beyond the KL of the policy that always
        gives the best response there is no more gold to be had. Rafailov et al. 2023, arXiv:2305.18290, Eq. 4. Raises
        ConfigError in a sampled world, where the best policy is not known.
        """
        self._needs_listing("oracle")
        try:
            asked = np.asarray(kl, float)
        except (TypeError, ValueError):
            raise ConfigError(f"kl = {shown(kl)}: must be numbers of nats of at least 0") from None
        numbers_of(asked.ravel().tolist(), "kl", "a number of nats of at least 0", lambda value: 0 <= value < np.inf)
        reference = as_listed(self.simulated).reference_log_probs.exp().cpu().numpy()
        found = list(map(best_possible(reference, self.simulated.listing.gold), asked.ravel().tolist()))
        return np.array(found).reshape(asked.shape) if asked.ndim else found[0]

    def _measure_ours(
        self, policies: Policies, pairs: Preferences | None, proxy: Proxy | None
    ) -> tuple[Columns, Tensor | None]:
        parameters = policies.parameters.to(self.prompts.device)
        stacked = None if pairs is None else stack_preferences([pairs] * len(parameters))
        data, scorer = self.settings.data, self._scorer(proxy)(len(parameters))
        with one_thread():
            columns, ratios = self.simulated.measure(parameters, stacked, data, scorer)
        return columns, None if pairs is None else ratios

    def _measure_function(
        self, function: LogProb, pairs: Preferences | None, proxy: Proxy | None, sample: Sample | None
    ) -> tuple[Columns, Tensor | None]:
        data, scorer = self.settings.data, self._scorer(proxy)
        if self.simulated.lists_responses:
            columns = measure_listed(function, self.simulated, data, scorer)
        else:
            columns = measure_sampled(function, sample, self.simulated, data, scorer)
        if pairs is None:
            return columns, None
        return columns, function_values(function, self.prompts[pairs.prompt], pairs.responses) - pairs.reference

    def _scorer(self, proxy: Proxy | None) -> Callable[[int], Scorer | None]:
        """The scorer of so many policies."""
        return lambda runs: None if proxy is None else scorer_of(self.simulated, [proxy.ensemble] * runs)

    def _check_ours(self, policies: Policies) -> None:
        """Raises ConfigError where policies are not of this world."""
        sizes = self.simulated.architecture, self.prompts.shape[1]
        if not len(policies):
            raise ConfigError("policies: must be at least one")
        if (policies.architecture, policies.prompt_length) != sizes:
            raise ConfigError(
                f"policies: are of another network ({policies.architecture}) than this world's ({sizes[0]})"
            )
        if policies.reference_sha256 != self.facts["reference_sha256"]:
            raise ConfigError(
                "policies: were trained from another reference than this world's; to measure them here all the same, "
                "give their probabilities: world.measure(policies.log_prob)"
            )
        check_class(policies, self.simulated)

    def _responses_to(self, prompts: Any, responses: Any) -> tuple[Tensor, Tensor]:
        """Rows of the prompts [P], and the responses [P, M, T]."""
        asked = tokens_of(prompts, "prompts", ("P", self.prompts.shape[1]), self.vocabulary)
        shape = (len(asked), "M", self.response_length)
        given = tokens_of(responses, "responses", shape, self.vocabulary, end=self.simulated.end)
        return rows_of(asked, self.simulated, "prompts"), given.to(self.prompts.device)

    def _needs_listing(self, name: str) -> None:
        if not self.simulated.lists_responses:
            raise ConfigError(f'{name}: needs world.kind = "enumerable", where every response is listed')

"""Training as users see it: policies on labelled pairs, or by reinforcement learning against a proxy.

Shapes: R policies of a stack, N pairs, K responses to a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from simulator.api.arguments import numbers_of, once, seeds_of
from simulator.api.pairs import Pairs
from simulator.api.policies import Policies
from simulator.api.proxy import Proxy
from simulator.api.stack import Loss, check_no_world_keys, check_world, losses_of, new_stack, warn
from simulator.api.world import World
from simulator.common.errors import ConfigError
from simulator.engine.checkpoints import checkpoints_of, curve_rows
from simulator.engine.loop import PolicyLearner, measured_checkpoints
from simulator.engine.recorder import Recorder
from simulator.measurement.ledger import ledger_rows
from simulator.methods.method import Choices
from simulator.networks.compute_mode import one_thread
from simulator.settings.run import Run
from simulator.storage.tables import tidy


class Training:
    """A stack of policies in training: going through it trains, and gives what is measured at each checkpoint.

    Stop with `break`, and go on with another loop. `policies` are the policies as they stand.
    """

    def __init__(self, world: World, runs: Sequence[Run], learner: PolicyLearner) -> None:
        """A stack before its first step; made by `training`."""
        self._world, self._runs, self._learner = world, runs, learner
        self._steps = checkpoints_of(runs)
        self._reached = measured_checkpoints(learner, self._steps, Recorder())
        self._rows = self._measured_rows()
        self._interrupted = False

    def __iter__(self) -> Iterator[pd.Series]:
        """A row of `curves.parquet` for each policy at each checkpoint, as soon as it is measured.

        Raises ConfigError after an interrupt, which may have come inside a step.
        """
        if self._interrupted:
            raise ConfigError("training was interrupted, perhaps inside a step: begin it again")
        return self._rows

    def __len__(self) -> int:
        """R."""
        return len(self._runs)

    @property
    def step(self) -> int:
        """How many steps the policies have taken."""
        return self._learner.step

    @property
    def policies(self) -> Policies:
        """The policies as they stand; a copy, which further training does not change."""
        names = [run.columns() | {"step": self.step} for run in self._runs]
        table = pd.DataFrame(names).dropna(axis="columns", how="all")
        return self._world.policies(self._learner.state.parameters.clone(), table, self.curves)

    @property
    def curves(self) -> pd.DataFrame:
        """What was measured so far, with the columns of `curves.parquet`: a row a policy and checkpoint."""
        reached = self._learner.track.row
        return self._table(slice(0, reached))

    @property
    def ledger(self) -> pd.DataFrame:
        """Where probability went so far, with the columns of `ledger.parquet`; no rows in a sampled world."""
        reached = self._learner.track.row
        measured = {name: values[:reached] for name, values in self._learner.track.measured.items()}
        return ledger_rows([run.run_id for run in self._runs], self._steps[:reached], measured)

    def _measured_rows(self) -> Iterator[pd.Series]:
        ended: set[str] = set()
        while True:
            self._interrupted = True
            with one_thread(), torch.no_grad():
                ended_here = next(self._reached, None) is None
            self._interrupted = False
            if ended_here:
                return
            last = self._learner.track.row
            rows = self._table(slice(last - 1, last))
            for _, row in rows.iterrows():
                if row["run_id"] not in ended:
                    yield row
                if row["status"] != "ok":
                    ended.add(row["run_id"])

    def _table(self, checkpoints: slice) -> pd.DataFrame:
        measured = {name: values[checkpoints] for name, values in self._learner.track.measured.items()}
        diverged_at = self._learner.state.diverged_at.cpu().numpy()
        source = self._world.simulated.kl_source
        return tidy(curve_rows(self._runs, self._steps[checkpoints], measured, diverged_at, kl_source=source))


def train(
    world: World,
    data: Pairs | Proxy | Sequence[Pairs | Proxy],
    *,
    method: str = "gpo",
    loss: Loss = "logistic",
    beta: Any = 0.1,
    penalty: Any = 0.0,
    seed: Any = 0,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    checkpoints: int | None = None,
    divergence: str | None = None,
    proxy: Proxy | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Policies:
    """Train policies from the reference, all at once, and measure them on the way.

    world: where they live. data: the pairs that they learn from; for methods "rl" and "iterated" the proxy that they
    climb first. With several, `seed` has as many values, one for each. method: "gpo", training on pairs, "rl", or
    "iterated", rounds of it with new pairs and proxies. loss: the name of an objective (`OBJECTIVES`), of a sum of
    several ("logistic + 0.5 sft"), of a function in a file of yours ("mine.py:half"), a function f(z) of tensors at z
    = beta rho, or one of several of chosen, rejected, beta, … (docs/howto/own_loss.md); or a list of them. beta:
    strength of the loss for "gpo", a number or several. penalty: of KL for "rl" and "iterated", in deviations of gold
    to a nat. seed: of the order of batches, and of what is drawn in RL; a number or several. steps, batch,
    learning_rate, checkpoints: keys of `[train]` of a sweep file; None is what the world's sweep says. divergence:
    whose link margins are differences of, such as "chi2_kl"; one of those of `train.divergence`. proxy: labels online
    pairs, or gives the rewards that an objective reads, where settings say "proxy". settings: any other key, such as
    {"online.refresh": 50}.

    There is a policy for each loss, value of beta and seed, in that order. All train as one stack, in memory at once.
    The same pairs, loss, beta and seed give the same policy to the last bit, alone, in any stack, or in a sweep. Raises
    ConfigError.
    """
    stack = training(
        world,
        data,
        method=method,
        loss=loss,
        beta=beta,
        penalty=penalty,
        seed=seed,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        checkpoints=checkpoints,
        divergence=divergence,
        proxy=proxy,
        settings=settings,
    )
    for _ in stack:
        pass
    return stack.policies


def training(
    world: World,
    data: Pairs | Proxy | Sequence[Pairs | Proxy],
    *,
    method: str = "gpo",
    loss: Loss = "logistic",
    beta: Any = 0.1,
    penalty: Any = 0.0,
    seed: Any = 0,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    checkpoints: int | None = None,
    divergence: str | None = None,
    proxy: Proxy | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Training:
    """The stack that `train` trains, to follow as it goes: going through it trains, and gives what is measured.

    Its arguments are those of `train`. A row is a pandas Series for each policy at each checkpoint, with the columns of
    `curves.parquet`. Nothing is trained before the first is asked for; `break` stops. `.policies` and `.curves` are
    what there is so far. Raises ConfigError.
    """
    named = {
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "checkpoints": checkpoints,
        "divergence": divergence,
    }
    check_no_world_keys(settings or {}, "train")
    changes = once({f"train.{key}": value for key, value in named.items()}, settings, "train")
    check_world(world)
    choices = Choices(
        loss=losses_of(loss, world.settings.source.base_folder),
        beta=numbers_of(beta, "beta", "a number above 0", lambda value: 0 < value < math.inf),
        penalty=numbers_of(penalty, "penalty", "a number of at least 0", lambda value: 0 <= value < math.inf),
    )
    with one_thread(), torch.no_grad():
        runs, learner, cautions = new_stack(world, data, method, choices, seeds_of(seed), proxy, changes)
    warn(*cautions)
    return Training(world, runs, learner)

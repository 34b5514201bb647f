"""Which sweeps have pairs whose values can be computed. Nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.errors import ConfigError, shown

if TYPE_CHECKING:
    from simulator.settings.run import Run
    from simulator.sweeps.sweep import Sweep

KIND = "policy.kind"
FEWEST = 20  # pairs, so that 5 % are one
QUICK = ("data.pairs=96", "train.steps=100", "sweep.seeds=3")


def quick_settings(settings: tuple[str, ...]) -> tuple[str, ...]:
    """What is set, behind what the quick form sets where that is not among it."""
    given = {text.partition("=")[0].strip() for text in settings}
    return (*(text for text in QUICK if text.partition("=")[0] not in given), *settings)


def check_sweep(sweep: Sweep) -> None:
    """Raises ConfigError where the grid has more than one loss, one beta and classes of policies, or one seed."""
    table = sweep.sweep
    if tuple(table.method) != ("gpo",):
        told = shown(list(table.method))
        raise ConfigError(f'sweep.method (={told}): influence needs ["gpo"], which learns from pairs')
    for key, values in (("loss", table.loss), ("beta", table.beta)):
        if len(values) != 1:
            raise ConfigError(
                f"sweep.{key}: has {len(values)} values; influence needs one: sweep.{key} = [{shown(values[0])}]"
            )
    for key, values in table.axes.items():
        if key != KIND and len(values) > 1:
            raise ConfigError(
                f'sweep."{key}": has {len(values)} values; influence needs one, and takes no axis but "{KIND}"'
            )
    if len(table.seed_values) < 2:
        raise ConfigError("sweep.seeds (=1): influence needs 2 data sets or more, each seed being one; 12 tell much")


def check_run(run: Run) -> None:
    """Raises ConfigError where the pairs of a run have no values of their own, or these are not exact."""
    settings, data = run.settings, run.settings.data
    if not settings.spec.lists_responses:
        raise ConfigError('world.kind (="sampled"): influence needs "enumerable", where gold of a policy is exact')
    if run.objective is None or run.objective.f is None:
        raise ConfigError(
            f"sweep.loss (={shown([run.loss])}): influence needs a loss that is a function of beta rho alone, such as "
            '["logistic"]'
        )
    wrong = [
        ("data.population", data.population, False, "drawn pairs"),
        ("data.labeller", data.labeller, "gold", "labels by gold"),
        ("data.filter", data.filter, "none", "all pairs"),
        ("data.file", data.file, "", "pairs that differ by seed"),
        ("online.refresh", settings.online.refresh, 0, "pairs that are there before training"),
        ("train.reference_sync", settings.train.reference_sync, 0, "a reference that stays"),
        ("train.divergence", settings.train.divergence, "kl", "margins of log-ratios"),
    ]
    for key, value, usual, what in wrong:
        if value != usual:
            raise ConfigError(f"{key} (={shown(value)}): influence needs {what}: {key} = {shown(usual)}")
    if data.labels == "ties":
        raise ConfigError('data.labels (="ties"): influence needs one chosen response; take "bradley_terry"')
    if data.pairs < FEWEST:
        raise ConfigError(f"data.pairs (={data.pairs}): influence needs {FEWEST} or more, of which 5 % are dropped")

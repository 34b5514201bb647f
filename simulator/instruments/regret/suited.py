"""Which runs the ledger can split."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.settings.run import Run

WITH_WEIGHTS = ("additive", "motif")  # golds of which `golds` knows the weights


def why_not(run: Run) -> str:
    """Why the regret of a run is not split, for people; nothing where it is."""
    settings, data = run.settings, run.settings.data
    if run.method != "gpo" or run.objective is None:
        return f"method {run.method} does not train on pairs"
    reasons = {
        "responses are not listed": not settings.spec.lists_responses,
        f"loss {run.loss} is no function of beta rho alone": run.objective.f is None,
        "a proxy labels pairs": data.labeller == "proxy",
        "pairs come from a file": bool(data.file),
        "pairs are the whole population": data.population,
        "pairs are filtered": data.filter != "none",
        "pairs are drawn during training": settings.online.rounds(settings.train.steps) > 0,
        "the reference follows the policy": settings.train.moves_reference,
        f"margins are linked by {settings.train.divergence}": settings.train.divergence != "kl",
        f"labels are {data.labels}": data.labels == "intransitive",
        "labels are sure, and this gold has no weights that chains could begin at": sure(run),
        "annotators disagree": data.disagreement > 0,
        f"labels are flipped toward {data.flip_toward} responses": data.label_noise > 0 and data.flip_toward != "any",
        "labels depend on length": data.length_bias != 0,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def sure(run: Run) -> bool:
    """Whether labels leave no room for most golds, of which none is known that they allow."""
    data, reward = run.settings.data, run.settings.gold.reward
    return data.labels == "deterministic" and data.label_noise == 0 and reward not in WITH_WEIGHTS

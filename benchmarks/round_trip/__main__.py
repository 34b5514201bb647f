"""`python -m benchmarks.round_trip [DIR]`: our sweep and TRL's trainer on its pairs, in one figure, and how far apart.

A sweep is run, exported, trained again by TRL on the exported pairs with the same optimizer, batch size and steps, and
scored. TRL draws other batches, so runs of one seed share their data and no more. What is printed is the mean
difference in KL and gold at each loss and beta, paired by seed, with its 95 % interval, beside the spread over seeds.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from benchmarks.round_trip.by_trl import LOSSES, in_silence, pairs_of, train
from simulator.common.terminal import say
from simulator.sweeps.sweep import Sweep

SWEEP: dict[str, dict[str, Any]] = {
    "world": {"prompts": 8},
    "data": {"pairs": 256},
    "train": {"steps": 200, "batch": 32, "learning_rate": 0.003, "clip": 0.0, "checkpoints": 8},
    "sweep": {"loss": list(LOSSES), "beta": [0.1, 0.3, 1.0], "seeds": 8},
}


def label(loss: str) -> str:
    """What TRL's runs of a loss of ours are called."""
    return f"TRL {LOSSES[loss]}"


def round_trip(folder: Path, sweep: Sweep) -> None:
    """Run a sweep into `folder`/sweep, train its export with TRL, and score the results."""
    from simulator import run_sweep
    from simulator.interchange.exporting import export_sweep
    from simulator.interchange.scored_rows import Asked
    from simulator.interchange.scoring import score_models

    out, export = run_sweep(sweep, folder / "sweep"), folder / "export"
    export_sweep(out, export, ("none",), lambda text: None)
    train_settings, data = sweep.train, sweep.data
    how = {"steps": train_settings.steps, "batch": train_settings.batch, "learning_rate": train_settings.learning_rate}
    how["tokens"] = sweep.world.response_length
    for seed in sweep.sweep.seed_values:
        pairs = pairs_of(export, seed, data.pairs)
        for loss in sweep.sweep.loss:
            models = []
            for beta in sweep.sweep.beta:
                to = folder / "trl" / f"{loss}-{beta:g}-{seed}"
                models.append(str(train(export, to, pairs, loss=loss, beta=beta, seed=seed, **how)))
            asked = Asked(models=len(models), label=(label(loss),), beta=sweep.sweep.beta, seed=(seed,))
            score_models(out, models, asked, (), lambda *lines: None)


def distances(curves: pd.DataFrame) -> pd.DataFrame:
    """TRL's less ours at the end of training: for each loss and beta the mean over seeds, its interval, the spread."""
    ended = curves[curves["status"] == "ok"]
    ours = ended[ended["method"] == "gpo"].groupby(["loss", "beta", "seed"])[["kl", "gold"]].last()
    theirs = ended[ended["method"] == "external"].copy()
    theirs["loss"] = theirs["loss"].map({label(loss): loss for loss in LOSSES})
    difference = (theirs.set_index(["loss", "beta", "seed"])[["kl", "gold"]] - ours).reset_index()
    rows = []
    for (loss, beta), some in difference.groupby(["loss", "beta"]):
        row = {"loss": loss, "beta": beta, "seeds": len(some)}
        for name in ("kl", "gold"):
            values, spread = some[name].to_numpy(), ours.loc[(loss, beta), name].std()
            half = (
                student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
                if len(values) > 1
                else np.nan
            )
            row |= {f"{name}_ours": ours.loc[(loss, beta), name].mean(), f"{name}_difference": values.mean()}
            row |= {f"{name}_half": half, f"{name}_spread": spread}
        rows.append(row)
    return pd.DataFrame(rows)


def lines_of(table: pd.DataFrame) -> list[str]:
    """The distances for a terminal."""
    lines = ["loss      beta  KL, ours  TRL less ours   spread  gold, ours  TRL less ours   spread"]
    for row in table.to_dict("records"):
        lines.append(f"{row['loss']:9} {row['beta']:4g}  {numbers(row, 'kl')}  {numbers(row, 'gold')}")
    return lines


def numbers(row: Mapping[str, float], name: str) -> str:
    """What is said of KL, or of gold: ours, the difference with its interval, the spread over seeds."""
    difference = f"{row[f'{name}_difference']:+.3f} ± {row[f'{name}_half']:.3f}"
    return f"{row[f'{name}_ours']:8.3f}  {difference}  {row[f'{name}_spread']:7.3f}"


def main(arguments: list[str]) -> None:
    """Make the round trip, and print the distances."""
    import analysis
    from analysis.figures.drawing import draw_all

    with tempfile.TemporaryDirectory() as place, in_silence():
        folder = Path(arguments[0]) if arguments else Path(place)
        round_trip(folder, Sweep.model_validate(SWEEP))
        draw_all(folder / "sweep", lambda name: name.startswith("external"))
        say(*lines_of(distances(analysis.load(folder / "sweep"))))


if __name__ == "__main__":
    main(sys.argv[1:])

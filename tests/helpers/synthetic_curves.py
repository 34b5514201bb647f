"""Sweeps whose truth is known: curves drawn around a planted trade-off, in the columns of a result directory."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

Array = np.ndarray
BETAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def hump(kl: Array) -> Array:
    """Gold that rises, peaks at 2.25 nats with 1.125 and falls: d (1.5 - 0.5 d), d = sqrt(KL)."""
    d = np.sqrt(kl)
    return d * (1.5 - 0.5 * d)


def sweep(
    rng: np.random.Generator,
    *,
    seeds: int,
    truth: dict[str, Callable[[Array], Array]],
    betas: Sequence[float] = BETAS,
    spread: float = 0.1,
    shared: float = 0.0,
    noise: float = 0.0,
    steps: int = 6,
) -> pd.DataFrame:
    """The curves of losses whose gold at each KL is, in the mean over seeds, truth[loss].

    A seed moves gold up or down by about `spread`, half of it for all losses alike. noise: the standard error of a
    measurement, which is told, of which all seeds and losses share the variance's part `shared`.
    """
    rows = []
    common = rng.normal(0, spread / np.sqrt(2), seeds)
    for_all = rng.normal(0, noise * np.sqrt(shared))
    for loss, gold_of in truth.items():
        for seed in range(seeds):
            own = common[seed] + rng.normal(0, spread / np.sqrt(2))
            bend = rng.normal(0, spread)
            for beta in betas:
                far = 5.5 / (1 + 4 * beta) * np.exp(rng.normal(0, 0.1))
                for step in range(steps):
                    kl = far * (step / (steps - 1)) ** 1.5
                    moved = own * np.sqrt(kl) / 1.5 + bend * kl * (kl - 3) / 9
                    measured = (for_all + rng.normal(0, noise * np.sqrt(1 - shared))) * (step > 0)
                    rows.append((loss, beta, seed, step, kl, gold_of(np.array(kl)) + moved + measured))
    table = pd.DataFrame(rows, columns=["loss", "beta", "seed", "step", "kl", "gold"])
    table["run_id"] = table["loss"] + "-" + table["beta"].map(str) + "-" + table["seed"].map(str)
    return table.assign(method="gpo", kappa=0.5, status="ok", pairs=64, label_noise=0.0, gold_se=noise, kl_se=0.0)


def oracle(kl: Sequence[float], gold: Sequence[float]) -> pd.DataFrame:
    """The rows of an oracle frontier through these points."""
    beta = np.linspace(1.0, 0.1, len(kl))
    return pd.DataFrame({"kl": kl, "gold": gold, "beta": beta}).assign(
        run_id="oracle", method="oracle", status="ok", step=0
    )

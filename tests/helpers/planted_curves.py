"""Curves of a sweep on a parabola: the gold of every KL, and where it peaks, is known."""

import numpy as np
import pandas as pd

STEPS = np.array([0, 1, 3, 10, 30, 100])


def planted(
    *, seeds: int = 4, losses: tuple[str, ...] = ("logistic", "hinge"), noise: float = 0.0, hump: float = 4.0, **more
) -> pd.DataFrame:
    """Curves on gold = kl - kl^2 / hump; KL grows with the step and falls with beta."""
    rng = np.random.default_rng(5)
    rows = []
    for loss in losses:
        for beta in (0.1, 1.0, 10.0):
            for seed in range(seeds):
                off = noise * rng.normal()
                for step in STEPS:
                    kl = 4.0 * step / (100 * (1 + beta)) * (1 + 0.02 * seed)
                    gold = kl - kl**2 / hump + off * (step > 0)
                    rows.append(
                        {
                            "run_id": f"{loss}-{beta}-{seed}-{more}",
                            "method": "gpo",
                            "loss": loss,
                            "beta": beta,
                            "kappa": 0.5,
                            "seed": seed,
                            "pairs": 64,
                            "label_noise": 0.0,
                            "step": step,
                            "kl": kl,
                            "gold": gold,
                            "mu_squared": 2 * kl,
                            "status": "ok",
                            **more,
                        }
                    )
    return pd.DataFrame(rows)

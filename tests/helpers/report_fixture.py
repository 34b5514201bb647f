"""A result directory planted by hand for tests of the page: every number of it is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

BETAS = (0.1, 0.5, 2.0)
STEPS = (0, 1, 4, 16)
EVIL = "</script><img src=x onerror=\"document.title='owned'\">&amp;"
CLAIM = {
    "paper": "Somebody 2024",
    "name": "peak",
    "statement": "Gold peaks <b>within</b> training",
    "source": "Fig. 1",
    "estimate": 0.25,
    "interval": [0.1, 0.4],
    "unit": "sd",
    "rule": "holds where the interval lies above 0",
    "verdict": "holds",
    "note": "",
    "quick": True,
    "date": "2026-01-01",
    "version": "0.1.0",
}


def kl_of(loss: int, beta: float, seed: int, step: int) -> float:
    """KL of a planted run."""
    return float(np.log1p(step) * (1 + 0.1 * loss) * (1 + 0.07 * seed) / (0.3 + beta))


def gold_of(kl: float, seed: int) -> float:
    """Gold of a planted run, which peaks at 4 nats."""
    return float(np.sqrt(kl) - kl / 4 + 0.05 * seed * np.sqrt(kl))


def rows_of(losses: tuple[str, ...], seeds: int, betas: tuple[float, ...] = BETAS, **more: Any) -> pd.DataFrame:
    """The checkpoints of all losses, betas and seeds."""
    tag = "-".join(map(str, more.values()))
    rows = []
    for place, loss in enumerate(losses):
        for beta in betas:
            for seed in range(seeds):
                for step in STEPS:
                    kl = kl_of(place, beta, seed, step)
                    run = f"gpo-{loss}-{beta:g}-{seed}{tag}"
                    rows.append((run, "gpo", loss, beta, 0.5, seed, 64, step, kl, gold_of(kl, seed), "ok"))
    names = ["run_id", "method", "loss", "beta", "kappa", "seed", "pairs", "step", "kl", "gold", "status"]
    return pd.DataFrame(rows, columns=names).astype({"seed": "Int64", "pairs": "Int64"}).assign(**more)


def oracle() -> pd.DataFrame:
    """The best that can be."""
    kl = np.linspace(0.01, 4.0, 9)
    rows = {"run_id": [f"oracle-{i}" for i in range(9)], "method": "oracle", "beta": 1 / kl, "kl": kl}
    return pd.DataFrame({**rows, "gold": np.sqrt(kl), "step": 0, "status": "ok"})


def best_of_n(seeds: int) -> pd.DataFrame:
    """Paths of best-of-n against a proxy."""
    n = np.array([1, 2, 4, 8, 16])
    kl = np.log(n) - 1 + 1 / n
    tables = [
        pd.DataFrame({"run_id": f"best_of_n-{seed}", "seed": seed, "step": n, "n": n.astype(float), "kl": kl})
        for seed in range(seeds)
    ]
    table = pd.concat(tables, ignore_index=True).astype({"seed": "Int64"})
    table["gold"] = np.sqrt(table["kl"]) - table["kl"] / 3 + 0.01 * table["seed"].astype(float)
    return table.assign(method="best_of_n", proxy=np.sqrt(table["kl"]), status="ok")


def beside(curves: pd.DataFrame, text: str = "abc") -> dict[str, pd.DataFrame]:
    """Responses and laws of gold of the runs, which depend on the run."""
    responses, laws = [], []
    for number, run in enumerate(curves.loc[curves["method"] == "gpo", "run_id"].unique()):
        likely = (number + 1) / 100
        for prompt in ("p", "q"):
            for response, policy, reference, gold in ((text, likely, 0.01, 1.5), (f"{prompt}z", 1e-9, 0.2, -0.5)):
                responses.append((run, prompt, response, policy, reference, gold, np.log(policy / reference)))
        laws.append(pd.DataFrame({"run_id": run, "gold": [-0.375, 0.125, 1.375], "reference": [0.5, 0.4, 0.1]}))
        laws[-1]["probability"] = [0.5 - likely / 2, 0.5 - likely / 2, likely]
    names = ["run_id", "prompt", "response", "probability", "reference", "gold", "proxy"]
    return {"responses": pd.DataFrame(responses, columns=names), "gold_law": pd.concat(laws, ignore_index=True)}


def runs_of(curves: pd.DataFrame) -> pd.DataFrame:
    """The table of runs."""
    names = curves.loc[curves["method"] != "oracle", "run_id"].unique()
    return pd.DataFrame({"run_id": names, "status": "finished", "wall_seconds": 0.5, "torch_version": "2.9"})


def plant(folder: Path, curves: pd.DataFrame, tables: dict[str, pd.DataFrame] | None = None) -> Path:
    """Write a result directory, with one figure."""
    (folder / "figures").mkdir(parents=True)
    curves.to_parquet(folder / "curves.parquet")
    for kind, table in ({"runs": runs_of(curves)} | (tables or {})).items():
        table.to_parquet(folder / f"{kind}.parquet")
    world = {"kind": "enumerable", "prompts": 2, "vocabulary": 4, "response_length": 3, "gold_best": 2.2}
    (folder / "world.json").write_text(json.dumps(world))
    (folder / "config.toml").write_text('[world]\nkind = "enumerable" # <i>\n')
    Image.linear_gradient("L").resize((1600, 800)).save(folder / "figures" / "tradeoff.png")
    return folder


def data_in(page: str) -> Any:
    """What the page's controls choose from."""
    return json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])

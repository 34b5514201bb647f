# %% [markdown]
# # Reading records
#
# A sweep leaves tables. Here you read them with pandas, with `analysis`, and while the sweep still runs, and ask
# questions of them that we did not think of.

# %%
import json
import tempfile
from pathlib import Path

import pandas as pd

from analysis import compare, load, tradeoffs, variants
from simulator import Sweep, run_sweep

folder = run_sweep(
    Sweep.from_toml(
        "quickstart",
        [
            "world.prompts=6",
            "data.pairs=256",
            "train.steps=300",
            'sweep.loss=["logistic", "squared"]',
            "sweep.beta=[0.03, 0.1, 0.3, 1.0]",
            "sweep.seeds=3",
            "sweep.data.label_noise=[0.0, 0.2]",
        ],
    ),
    Path(tempfile.mkdtemp()) / "records",
)

# %% [markdown]
# ## With pandas alone
#
# Every setting that varies stands in the row, so a row can be understood alone.

# %%
curves = pd.read_parquet(folder / "curves.parquet")
ends = curves[curves["method"] == "gpo"].groupby("run_id").last()
ends.pivot_table(index=["loss", "label_noise"], columns="beta", values="gold").round(2)

# %% [markdown]
# `tables.json` says what each column is, with its unit.

# %%
about = json.loads((folder / "tables.json").read_text(encoding="utf-8"))["columns"]
pd.DataFrame(about).T.loc[["kl", "gold", "win_rate", "mu_squared", "chosen_logratio"]]

# %% [markdown]
# ## A question of your own
#
# Does the probability of chosen responses fall while training improves gold? Both are columns.

# %%
clean = curves[(curves["label_noise"] == 0) & (curves["loss"] == "logistic")]
means = clean.groupby(["beta", "step"])[["gold", "chosen_logratio", "rejected_logratio"]]
means.mean().groupby("beta").last().round(2)

# %% [markdown]
# ## With `analysis`
#
# It knows which rows belong together, and puts an interval beside every number. Nothing that varies is averaged
# unasked: label noise has a column, or is chosen.

# %%
read = load(folder)
variants(read)[["loss", "label_noise"]].drop_duplicates().dropna()

# %%
tradeoffs(read).round(2)

# %%
without_noise = read[~(read["label_noise"] > 0)]
found = compare(without_noise, "logistic", "squared")
found.verdict, round(found.smallest_margin, 3)

# %% [markdown]
# The verdict is about gold at equal KL, with the margin of 0.2 deviations. `smallest_margin` is the margin at which the
# two would count as equal: with three seeds it is wide. **To try:** ten seeds.

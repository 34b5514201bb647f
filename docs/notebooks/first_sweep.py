# %% [markdown]
# # A first sweep
#
# You train the same policy at several strengths of regularization, β, and see how far each moves from the reference
# and what it earns. A sweep is a table in, and tables and a page out.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from analysis import frontier, load, peaks
from simulator import Sweep, run_sweep

# %% [markdown]
# ## What varies
#
# `quickstart` is a sweep that ships. Here it has a smaller world, one loss, five β and three seeds: 15 runs.

# %%
sweep = Sweep.from_toml(
    "quickstart",
    [
        "world.prompts=6",
        "data.pairs=256",
        "train.steps=400",
        'sweep.loss="logistic"',
        "sweep.beta=[0.01, 0.03, 0.1, 0.3, 1.0]",
        "sweep.seeds=3",
    ],
)
folder = run_sweep(sweep, Path(tempfile.mkdtemp()) / "first")
sorted(path.name for path in folder.iterdir())

# %% [markdown]
# ## What came out
#
# `curves.parquet` has a row for each run and checkpoint. `load` reads it, also while a sweep still runs.

# %%
curves = load(folder)
trained = curves[curves["method"] == "gpo"]
trained[["run_id", "beta", "seed", "step", "kl", "gold", "win_rate"]].tail()

# %% [markdown]
# KL is in nats, and gold in standard deviations under the reference, which has 0. Each line below is one β, as a mean
# over seeds; the dashed line is the most gold that any policy can have at that KL.

# %%
best = curves[curves["method"] == "oracle"].sort_values("kl")
for beta, rows in trained.groupby("beta"):
    mean = rows.groupby("step")[["kl", "gold"]].mean()
    plt.plot(mean["kl"], mean["gold"], marker=".", label=f"β = {beta:g}")
plt.plot(best["kl"], best["gold"], "k--", label="oracle")
plt.xlim(0, trained["kl"].max())
plt.xlabel("KL to the reference [nats]")
plt.ylabel("gold [deviations]")
plt.legend()
plt.show()

# %% [markdown]
# ## Numbers with intervals
#
# `frontier` gives gold along KL across β, with a 95 % interval over seeds. `peaks` says where each curve is highest,
# and how far it falls after that.

# %%
frontier(curves, by="loss").iloc[::15]

# %%
peaks(curves)

# %% [markdown]
# **To try:** set `data.label_noise=0.25`, and see what happens to the weakest β. Then look at the page:
# `python run.py sweep quickstart` writes `report.html`.

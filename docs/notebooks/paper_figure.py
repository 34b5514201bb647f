# %% [markdown]
# # A frontier for a paper
#
# You draw gold against KL for three losses, with bands over seeds, in a figure of one column that is ready for LaTeX.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from analysis import frontier, load, peaks
from simulator import Sweep, run_sweep

folder = Path(tempfile.mkdtemp())
records = run_sweep(
    Sweep.from_toml(
        "quickstart",
        [
            "world.prompts=6",
            "data.pairs=256",
            "train.steps=300",
            'sweep.loss=["logistic", "hinge", "exponential"]',
            "sweep.beta=[0.01, 0.03, 0.1, 0.3, 1.0, 3.0]",
            "sweep.seeds=4",
        ],
    ),
    folder / "records",
)
curves = load(records)

# %% [markdown]
# ## Statistics first
#
# `frontier` computes means and 95 % intervals over seeds at equal KL. The figure only draws what it says.

# %%
lines = frontier(curves, by="loss")
oracle = curves[curves["method"] == "oracle"].sort_values("kl")
lines.groupby("loss")[["kl", "gold"]].max().round(2)

# %% [markdown]
# ## Then the figure
#
# One column is 3.25 inches wide. Fonts are embedded, and letters are as large as the text beside them.

# %%
STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
}
NAMES = {"logistic": "DPO (logistic)", "hinge": "SLiC (hinge)", "exponential": "exponential"}
COLORS = {"logistic": "#0072B2", "hinge": "#D55E00", "exponential": "#009E73"}

with plt.rc_context(STYLE):
    figure, axes = plt.subplots(figsize=(3.25, 2.4), layout="constrained")
    for loss, rows in lines.groupby("loss"):
        axes.plot(rows["kl"], rows["gold"], color=COLORS[loss], label=NAMES[loss])
        low, high = rows["low"], rows["high"]
        axes.fill_between(rows["kl"], low, high, color=COLORS[loss], alpha=0.15, lw=0)
    axes.plot(oracle["kl"], oracle["gold"], "k--", linewidth=1, label="best possible")
    axes.set_xlim(0, lines["kl"].max())
    axes.set_ylim(bottom=min(0, lines["gold"].min()))
    axes.set_xlabel("KL to the reference [nats]")
    axes.set_ylabel("gold [deviations]")
    figure.legend(loc="outside upper center", ncols=2, fontsize=7)
    figure.savefig(folder / "frontier.pdf")
    plt.show()

# %% [markdown]
# ## What to write below it
#
# A caption says what a point, a band and a unit are, and of how many seeds they are. The numbers come from the records.

# %%
seeds, betas = int(lines["seeds"].min()), curves.loc[curves["method"] == "gpo", "beta"].nunique()
print(
    f"Gold against KL at the end of training, across {betas} values of β. "
    f"Gold is in standard deviations under the reference. Bands: 95 % intervals over {seeds} seeds. "
    "Dashed: the most gold that any policy can have at that KL."
)
peaks(curves).round(2)

# %% [markdown]
# Keep `runs.parquet` with the figure: its column `results_source` is the hash of the code that made the numbers.

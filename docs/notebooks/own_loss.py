# %% [markdown]
# # Your own loss
#
# A loss of pairs is one function. You write it, train with it beside ours, and compare the two at equal KL.

# %%
import matplotlib.pyplot as plt
import torch
from torch import Tensor

import simulator as sim

world = sim.make_world("quickstart", {"world.prompts": 6, "train.steps": 300})
pairs = [world.preferences(256, seed=seed) for seed in range(3)]
BETAS = [0.03, 0.1, 0.3, 1.0]

# %% [markdown]
# ## A function of z
#
# With ρ the margin, in nats, a function of one argument is f(z) at z = βρ. It must work elementwise on tensors.


# %%
def half(z: Tensor) -> Tensor:
    """(z - 1/2)^2"""
    return (z - 0.5).square()


# %% [markdown]
# ## A function of more
#
# A function of several arguments gets what it names: `chosen` and `rejected` are the log-ratios log π/π_ref of the two
# responses, tensors [runs, pairs]; `beta` is [runs, 1].


# %%
def bounded(chosen: Tensor, rejected: Tensor, beta: Tensor) -> Tensor:
    """1 - σ(β chosen) + σ(β rejected)"""
    return torch.sigmoid(-beta * chosen) + torch.sigmoid(beta * rejected)


# %% [markdown]
# ## Train all of it in one stack
#
# Three losses, four β and three seeds are 36 policies. They train at once.

# %%
losses = ["logistic", half, bounded]
policies = sim.train(world, pairs, loss=losses, beta=BETAS, seed=[0, 1, 2])
measured = world.measure(policies)
measured.groupby(["loss", "beta"])[["kl", "gold", "win_rate"]].mean().round(3)

# %%
for loss, rows in measured.groupby("loss"):
    mean = rows.groupby("beta")[["kl", "gold"]].mean()
    plt.plot(mean["kl"], mean["gold"], marker="o", label=loss)
plt.xlabel("KL to the reference [nats]")
plt.ylabel("gold [deviations]")
plt.legend()
plt.show()

# %% [markdown]
# ## What is refused
#
# A loss is tried before it is trained with. This one looks at all pairs at once where it should give a value for each.

# %%
try:
    sim.train(world, pairs[0], loss=lambda z: z.mean(), beta=0.1)
except sim.ConfigError as error:
    print(error)

# %% [markdown]
# **To try:** put `half` into a file `mine.py`, and run a whole sweep with it:
# `python run.py sweep --set 'sweep.loss=["logistic", "mine.py:half"]' --out results/mine`.

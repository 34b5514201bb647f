# %% [markdown]
# # Your own training loop, measured exactly
#
# You train a policy with plain torch, in a network that is not ours. The world gives the pairs, and measures the
# policy over every response that there is. So your numbers have no sampling error.

# %%
from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor

import simulator as sim

world = sim.make_world("quickstart", {"world.prompts": 6})
pairs = world.preferences(2048, seed=0)
both = torch.stack([pairs.chosen, pairs.rejected], dim=1)  # [N, 2, T]

# %% [markdown]
# ## A policy of your own
#
# It is a table of logits: for each prompt, place and token before, one for each next token. Whatever you use instead,
# it has to give log π of whole responses [P, M, T] to prompts [P, L], in nats, as [P, M].


# %%
class Table(torch.nn.Module):
    """A bigram policy for each prompt of the world and each place."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (len(world.prompts), world.response_length, world.vocabulary, world.vocabulary)
        self.logits = torch.nn.Parameter(torch.zeros(sizes))

    def forward(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """log π of responses [P, M, T] to prompts [P, L], in nats, [P, M]."""
        row = (prompts[:, None] == world.prompts).all(dim=-1).int().argmax(dim=1)
        first = prompts[:, -1, None, None].expand(-1, responses.shape[1], 1)
        before = torch.cat([first, responses[..., :-1]], dim=-1)
        place = torch.arange(responses.shape[-1])
        laws = self.logits.log_softmax(dim=-1)[row[:, None, None], place, before]
        return laws.gather(-1, responses[..., None])[..., 0].sum(dim=-1)


def fit(policy: Table, loss: Callable[[], Tensor], steps: int) -> None:
    """Minimize a loss with Adam."""
    adam = torch.optim.Adam(policy.parameters(), lr=0.03)
    for _ in range(steps):
        adam.zero_grad()
        loss().backward()
        adam.step()


# %% [markdown]
# ## Supervised first
#
# Both responses of a pair come from the reference. Fitting them is maximum likelihood, so the table becomes a copy of
# the reference, as good as a bigram can be.

# %%
policy = Table()
fit(policy, lambda: -policy(pairs.prompts, both).mean(), steps=300)
start = policy(pairs.prompts, both).detach()
world.measure(policy)[["kl", "gold", "win_rate", "entropy"]].round(3)

# %% [markdown]
# KL is to the world's reference. It is not 0: that is what the table cannot express, and what 2,048 pairs do not say.
#
# ## Then DPO
#
# `measure` is called along the way. Each call sums over all responses.

# %%
BETA = 0.1


def dpo() -> Tensor:
    """-log σ(β ρ), with ρ against the table as it was after supervised training."""
    ratio = policy(pairs.prompts, both) - start
    return torch.nn.functional.softplus(-BETA * (ratio[:, 0] - ratio[:, 1])).mean()


rows = [world.measure(policy).assign(step=0)]
for step in range(10, 301, 10):
    fit(policy, dpo, steps=10)
    rows.append(world.measure(policy).assign(step=step))
table = pd.concat(rows, ignore_index=True)
table[["step", "kl", "gold", "win_rate"]].iloc[::6].round(3)

# %% [markdown]
# ## Beside the best possible, and beside ours

# %%
ours = sim.train(world, pairs, beta=BETA, steps=300, seed=0).curves
grid = pd.Series(range(0, 61)) / 10
plt.plot(grid, world.oracle(grid), "k--", label="oracle")
plt.plot(table["kl"], table["gold"], marker=".", label="this loop")
plt.plot(ours["kl"], ours["gold"], marker=".", label="sim.train")
plt.xlabel("KL to the reference [nats]")
plt.ylabel("gold [deviations]")
plt.legend()
plt.show()

# %% [markdown]
# **To try:** start from the reference's own probabilities instead: fit the table to `world.reference.log_prob` over all
# of `world.responses`. Which part of the gap to the oracle was the start's fault?

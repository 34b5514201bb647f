"""A file with losses of a user's own, right and wrong, and sweeps of them."""

from pathlib import Path

from simulator import Sweep
from tests.conftest import small_sweep

MINE = '''
import torch
from torch.nn.functional import softplus

FACTOR = 2

def again(z):
    """log(1 + exp(-z)), written by a user. Not ours."""
    return softplus(-z)

def with_default(z, power=2):
    return (z - 1) ** power

def by_pairs(chosen, rejected, beta):
    return softplus(-beta * (chosen - rejected))

def free(chosen_log_prob, rejected_log_prob, chosen_length, rejected_length):
    return torch.exp(rejected_log_prob / rejected_length) - torch.exp(chosen_log_prob / chosen_length)

def raises(z):
    raise RuntimeError("no such thing\\nas a loss")

def raises_later(chosen, rejected, beta):
    if (chosen > 3).any():
        raise RuntimeError("too far")
    return softplus(-beta * (chosen - rejected))

def a_number(z):
    return 3.0

def a_mean(z):
    return softplus(-z).mean()

def nan_at_zero(z):
    return torch.log(z)

def detached(z):
    return softplus(-z.detach())

def flat(z):
    return 0 * z

def backwards(z):
    return softplus(z)

def pairs_backwards(chosen, rejected):
    return chosen - rejected

def neighbours(z):
    return softplus(-z) + z.roll(1, dims=-1)

def mixes(chosen, rejected):
    return softplus(rejected - chosen) * chosen.exp().mean()

def no_argument():
    return 1

def wants(chosen, rejcted):
    return chosen

class Stateful:
    pass
'''


def sweep_of(folder: Path, *losses: str, **tables: dict[str, object]) -> Sweep:
    """A small sweep file in `folder` with these losses."""
    path = folder / "sweep.toml"
    grid = {"loss": list(losses), "beta": [0.3], "seeds": 2} | tables.pop("sweep", {})
    path.write_text(small_sweep(sweep=grid, **tables).to_toml())
    return Sweep.from_toml(path)

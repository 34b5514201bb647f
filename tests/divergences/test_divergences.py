"""Every divergence against what others define by its name, and its functions against each other by differentiation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import wrightomega
from scipy.stats import entropy

from simulator.divergences import DIVERGENCES, Divergence, divergence_of

Array = np.ndarray
EVERY = [*DIVERGENCES.values(), divergence_of("alpha", 0.03), divergence_of("alpha", 0.9)]
TOPS = {"forward_kl": 1.0, "jensen_shannon": math.log(2)}  # what a link stays below; 0 where there is no top
every = pytest.mark.parametrize("divergence", EVERY, ids=lambda one: one.label)


def alpha_of(divergence: Divergence) -> float:
    """Read off the label, which is for people."""
    return float(divergence.label.rpartition(" ")[2])


def top_of(divergence: Divergence) -> float:
    return 1 / alpha_of(divergence) if divergence.name == "alpha" else TOPS.get(divergence.name, 0.0)


VALUES: dict[str, Callable[[Array, Array], float]] = {  # of laws p and q, by formulas without f
    "kl": lambda p, q: float(entropy(p, q)),
    "forward_kl": lambda p, q: float(entropy(q, p)),
    "chi2": lambda p, q: float((p**2 / q).sum() - 1) / 2,
    "chi2_kl": lambda p, q: float((p**2 / q).sum() - 1) / 2 + float(entropy(p, q)),
    "jensen_shannon": lambda p, q: 2 * float(jensenshannon(p, q)) ** 2,
}


@every
def test_its_value_is_what_others_define(divergence: Divergence, rng: np.random.Generator) -> None:
    for _ in range(3):
        p, q = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(7))
        ours = float((torch.from_numpy(q) * divergence.generator(torch.from_numpy(p / q))).sum())
        if divergence.name == "alpha":
            alpha = alpha_of(divergence)
            assert ours == pytest.approx((1 - (p ** (1 - alpha) * q**alpha).sum()) / (alpha * (1 - alpha)))
        else:
            assert ours == pytest.approx(VALUES[divergence.name](p, q))


@every
def test_f_is_convex_and_its_link_is_its_derivative(divergence: Divergence) -> None:
    u = torch.logspace(-3, 3, 401, dtype=torch.float64).requires_grad_()
    (first,) = torch.autograd.grad(divergence.generator(u).sum(), u, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), u)
    s, plain = u.detach().log(), u.detach()
    assert (second > 0).all()
    assert divergence.link(s).numpy() == pytest.approx(first.detach().numpy(), rel=1e-9, abs=1e-9)
    assert divergence.rise(plain).numpy() == pytest.approx(1 / second.numpy(), rel=1e-9)
    one = torch.ones(1, dtype=torch.float64)
    assert float(divergence.generator(one)) == pytest.approx(0, abs=1e-14)
    assert float(divergence.link(0 * one)) == 0


@every
def test_the_depth_of_a_link_and_its_inverse_agree(divergence: Divergence) -> None:
    s = torch.linspace(-15, 15, 301, dtype=torch.float64)
    depth = divergence.depth(s)
    assert (depth.diff() < 0).all()
    assert (top_of(divergence) - depth).numpy() == pytest.approx(divergence.link(s).numpy(), rel=1e-9, abs=1e-9)
    back = s if divergence.name != "chi2" else s[s > -9]  # below, 1 - u is 1 to nearly all digits
    assert divergence.log_ratio(divergence.depth(back)).numpy() == pytest.approx(back.numpy(), abs=1e-9)


@every
def test_links_rise_and_stay_finite_at_any_log_ratio(divergence: Divergence) -> None:
    s = torch.tensor([-3e4, -300.0, -30.0, 0.0, 30.0, 300.0, 3e4], requires_grad=True)
    value = divergence.link(s)
    (slope,) = torch.autograd.grad(value.sum(), s)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    assert (value.diff() >= 0).all()


def test_chi2_kl_inverts_by_wrights_omega() -> None:
    v = torch.cat([torch.linspace(-60, 60, 4001), torch.logspace(0, 12, 200)]).double()
    ours = DIVERGENCES["chi2_kl"].log_ratio(1 - v).exp()
    assert ours.numpy() == pytest.approx(wrightomega(v.numpy()), rel=1e-13)
    assert float(DIVERGENCES["chi2_kl"].log_ratio(torch.tensor(5001.0).double())) == -5000.0


def test_alpha_goes_from_one_kl_to_the_other() -> None:
    s = torch.linspace(-1, 1, 9, dtype=torch.float64)
    near, far = (divergence_of("alpha", alpha).link(s) for alpha in (1e-6, 1 - 1e-6))
    assert near.numpy() == pytest.approx(DIVERGENCES["kl"].link(s).numpy(), abs=1e-5)
    assert far.numpy() == pytest.approx(DIVERGENCES["forward_kl"].link(s).numpy(), abs=1e-5)

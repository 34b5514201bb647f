"""Statistics of next-token laws against sums over the vocabulary."""

import numpy as np
import pytest
import torch

from simulator.networks.token_log_probs import next_token_kl


def test_the_kl_of_a_token_is_exact_finite_and_never_negative() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(3, 2, 50, 9)) * np.reshape([1.0, 1e-4, 40.0], (3, 1, 1, 1)))
    log_pi, log_ref = logits.log_softmax(dim=-1).unbind(dim=1)
    found = next_token_kl(log_pi, log_ref - log_pi)
    assert found.numpy() == pytest.approx((log_pi.exp() * (log_pi - log_ref)).sum(dim=-1).numpy(), rel=1e-6, abs=1e-15)
    assert (found >= 0).all()
    extreme = torch.tensor([[0.0, -800.0], [0.0, 0.0]], dtype=torch.float64).log_softmax(dim=-1)
    assert next_token_kl(extreme[0], extreme[1] - extreme[0]).item() == pytest.approx(np.log(2))
    assert next_token_kl(extreme[1], extreme[0] - extreme[1]).item() == pytest.approx(400 - np.log(2))

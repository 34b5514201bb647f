"""Estimators make nothing on a device of their own choosing."""

import torch

from simulator.measurement.estimators import cluster_mean, implicit_reward, win_probability
from tests.helpers.one_device import META, OnOneDevice


def test_estimating_stays_on_its_device() -> None:
    values, ratio = (torch.ones(3, 4, 5, dtype=torch.float64, device=META) for _ in range(2))
    baseline = torch.ones(4, 9, dtype=torch.float64, device=META)
    with OnOneDevice({"meta"}):
        found = [
            cluster_mean(values, share=0.5),
            implicit_reward(values, ratio, share=1.0, least=1e-5),
            win_probability(values, baseline, share=1.0),
        ]
    assert all(each.mean.device == META for each in found)

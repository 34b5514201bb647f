"""What a policy says of every response has the same bits alone as in any stack, whatever the sizes of the world."""

import pandas as pd
import pytest
import torch

import simulator as sim

SIZES = [(3, 3, 6, 16, 1), (7, 2, 9, 32, 1), (2, 5, 3, 64, 1), (16, 4, 8, 16, 1), (5, 3, 5, 8, 2)]


@pytest.mark.parametrize(("prompts", "length", "vocabulary", "width", "layers"), SIZES)
def test_a_policy_is_measured_alike_alone(prompts: int, length: int, vocabulary: int, width: int, layers: int) -> None:
    sizes = {"world.prompts": prompts, "world.response_length": length, "world.vocabulary": vocabulary}
    network = {"policy.width": width, "policy.layers": layers, "reference.steps": 5}
    world = sim.make_world("quickstart", sizes | network)
    start = world.reference.parameters
    noise = 0.1 * torch.randn(24, start.shape[1], generator=torch.Generator().manual_seed(0))
    table = pd.DataFrame({"run_id": [str(row) for row in range(24)]})
    policies = world.policies(start + noise * (start != 0), table)
    alone = [world.measure(policies[row : row + 1])["kl"][0] for row in range(24)]
    for stacked in (2, 5, 18, 24):
        together = world.measure(policies[:stacked])["kl"]
        assert together.tolist() == alone[:stacked]

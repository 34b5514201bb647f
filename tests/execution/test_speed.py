"""What a step is counted to cost."""

from simulator.execution.planning.speed import layer_cost
from simulator.networks.architecture import Architecture


def test_cost_is_that_of_the_matrices() -> None:
    architecture = Architecture(vocabulary=5, context=4, layers=3, width=8, heads=2)
    matrices = sum(
        rows * columns for name, (rows, columns) in architecture.shapes.items() if name not in ("token", "position")
    )
    assert layer_cost(architecture)[0] == matrices

"""What training a stack holds in memory. Shapes: d width, H heads, S places of a packed pair, V vocabulary, T response
length.
"""

from simulator.engine.gradient_steps import BATCHES_DRAWN
from simulator.settings.tables import Settings
from simulator.settings.world_spec import Network

SLACK = 1.3  # what an allocator loses between tensors


LANES = 16  # sequences that go through the compiled engine together, filled up where there are fewer
FLOAT, WIDE = 4, 8  # bytes of a number
STACK_LIMIT = 64  # how many train together at most


def step_bytes(network: Network, vocabulary: int, sequences: int, places: int) -> int:
    """What a forward and a backward pass hold for sequences of so many places: what is kept, and what passes."""
    sequences = -(-sequences // LANES) * LANES
    kept = network.layers * (16 * network.width + 2 * network.heads * places)
    passing = 12 * network.width + 4 * network.heads * places + 4 * vocabulary
    return FLOAT * sequences * places * (kept + passing)


def pairs_bytes(settings: Settings, pairs: int) -> int:
    """What labelled pairs take, as drawn and as trained on."""
    read_together = 40 if settings.data.population else 0  # numbers of a pair in a step, in both orders
    return WIDE * pairs * (settings.world.prompt_length + 4 * settings.world.response_length + 12 + read_together)


def order_bytes(steps: int, batch: int) -> int:
    """What the order of the batches takes that is drawn at once, and that which recorded steps look theirs up in."""
    return 2 * WIDE * min(BATCHES_DRAWN, steps) * batch

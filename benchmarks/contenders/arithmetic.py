"""What a training step has to multiply, counted from the architecture.

Shapes: N sequences of S places, of which Q are computed in the last block and U are read; d width, V vocabulary.

A multiplication with its addition counts as two operations. A place goes through 12 d² multiplications in a block (3 d²
to queries, keys and values, d² behind attention, 8 d² in the MLP), and S d each for its scores and for what it reads;
logits take d V. Attention counts in full, though half of it is hidden by the mask: it is computed. In the last block,
places that are not read need no more than keys and values; who makes use of that has Q < S there, though all 3 d² are
computed. Backwards, a product takes two of its size, one for each of its factors, so a step is three times the forward
pass. What is no product of matrices (norms, softmax, Adam) is not counted, though it takes time.
"""

from dataclasses import dataclass

from benchmarks.contenders.cases import Case
from simulator.networks.architecture import Architecture

PASSES = 3  # forward, and backward twice


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the pairs of a step lie: sequences N, places S, in_last_block Q, read U, of each sequence."""

    sequences: int
    places: int
    in_last_block: int
    read: int


def packed(case: Case) -> Layout:
    """Both responses behind one prompt, less their last tokens: S = L + 2 (T - 1), as in
    simulator/networks/transformer.py.
    """
    inner = 2 * (case.response_length - 1)
    return Layout(sequences=case.batch, places=case.prompt_length + inner, in_last_block=1 + inner, read=1 + inner)


def apart(case: Case) -> Layout:
    """Each response behind a prompt of its own, as in benchmarks/contenders/by_hand.py."""
    places = case.length - 1
    return Layout(sequences=2 * case.batch, places=places, in_last_block=places, read=case.response_length)


def step_operations(architecture: Architecture, layout: Layout) -> int:
    """Operations of one training step of one run."""
    width, places, last = architecture.width, layout.places, layout.in_last_block

    def block(computed: int) -> int:
        projected = places * 3 * width**2
        attention = 2 * computed * places * width
        return projected + attention + computed * 9 * width**2

    blocks = (architecture.layers - 1) * block(places) + block(last)
    logits = layout.read * width * architecture.vocabulary
    return 2 * PASSES * layout.sequences * (blocks + logits)

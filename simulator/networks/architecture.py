"""The sizes of one network, the names of its weights, and how they lie in a row of parameters."""

from dataclasses import dataclass

FILL = -1  # the id behind the end of a response
ALIGNMENT = 64  # numbers; a whole step of any vectorized loop on today's machines


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of one network. `context` is the number of input positions: L + T - 1 for a policy, L + T for a judge.

    outputs: numbers that are read at a place; 0 for one for each token of the vocabulary.
    """

    vocabulary: int
    context: int
    layers: int
    width: int
    heads: int
    outputs: int = 0

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every weight, in the order in which they lie in a row."""
        d = self.width
        shapes = {"token": (self.vocabulary, d), "position": (self.context, d)}
        for layer in range(self.layers):
            shapes |= {
                f"{layer}.attend": (d, 3 * d),
                f"{layer}.merge": (d, d),
                f"{layer}.up": (d, 4 * d),
                f"{layer}.down": (4 * d, d),
            }
        return shapes | {"unembed": (d, self.outputs or self.vocabulary)}

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    @property
    def row(self) -> int:
        """D: `parameters` filled up to a multiple of ALIGNMENT."""
        return -(-self.parameters // ALIGNMENT) * ALIGNMENT

"""What a class of policies is: how log pi of responses follows from a row of parameters.

Shapes: R runs, D numbers of one run's row, P prompts of the world, G responses in all, B prompts of a batch, N pairs, K
responses to a prompt, T response length.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from simulator.engine.problem import TokenValues, Value


class PolicyClass(Protocol):
    """Transformers are one; policies that tilt the reference's law are others."""

    @property
    def start(self) -> Tensor:
        """The parameters at which a policy is the reference, float32 [D]."""
        ...

    @property
    def value(self) -> Value:
        """log pi of responses, which training takes gradients of; its prompts are what `asked` gives."""
        ...

    @property
    def listed_value(self) -> Value:
        """The same in float64, of rows of prompts [R, N, 1], where responses are listed and many pairs share them."""
        ...

    @property
    def tokens(self) -> TokenValues:
        """What policies say of single tokens, for objectives that read them; prompts are those of `value`."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """What log pi is computed in while training."""
        ...

    @property
    def is_network(self) -> bool:
        """Whether policies are transformers of the reference's sizes."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same class with its tensors on `device`."""
        ...

    def asked(self, prompt: Tensor) -> Tensor:
        """The prompts of these rows [R, N] as `value` reads them, [R, N, …]."""
        ...

    def laws(self, parameters: Tensor) -> Tensor:
        """log pi of every response, float64 [R, P, G], where responses are listed; it can be differentiated."""
        ...

    def measured_laws(self, parameters: Tensor, *, alone: bool) -> Tensor:
        """The same to be measured, of the same bits in every stack.

        alone: whether policies are always taken one by one.
        """
        ...

    def token_log_probs(self, parameters: Tensor, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi of every token, [R, B, K, T], of responses [R, B, K, T] to the prompts of these rows [R, B]."""
        ...

    def draw(
        self, parameters: Tensor, prompt: Tensor, *, seeds: Sequence[int], responses: int, purpose: Sequence[str | int]
    ) -> Tensor:
        """Responses [R, B, K, T] of the policies [R, D] to the prompts of these rows [R, B].

        A run's noise is that of (its seed, *purpose), whatever else is in the stack.
        """
        ...

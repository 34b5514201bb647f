"""What laws say of responses. Shapes: R runs, P prompts, G responses in all, N pairs, K responses to a prompt."""

from torch import Tensor


def looked_up(laws: Tensor, prompt: Tensor, number: Tensor) -> Tensor:
    """What laws [R, P, G] say of responses of these numbers [R, N, K] to the prompts of these rows [R, N]."""
    place = prompt.unsqueeze(-1) * laws.shape[2] + number
    return laws.flatten(1).gather(1, place.flatten(1)).view(place.shape)

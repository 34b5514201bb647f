"""Responses among all that are listed, and what laws say of them.

Shapes: R runs, P prompts, G responses in all, N pairs, K responses to a prompt, T response length.
"""

from torch import Tensor


def numbers(responses: Tensor, vocabulary: int) -> Tensor:
    """Where responses [..., T] stand in the list of all, [...]; without a number that a GPU would have to be given."""
    number = responses[..., 0]
    for place in range(1, responses.shape[-1]):
        number = number * vocabulary + responses[..., place]
    return number


def looked_up(laws: Tensor, prompt: Tensor, number: Tensor) -> Tensor:
    """What laws [R, P, G] say of responses of these numbers [R, N, K] to the prompts of these rows [R, N]."""
    place = prompt.unsqueeze(-1) * laws.shape[2] + number
    return laws.flatten(1).gather(1, place.flatten(1)).view(place.shape)

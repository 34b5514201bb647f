"""Features φ(x, y) of responses, which the scores of linear policies weigh.

    tokens      how often each token comes in the response, F = V
    positions   which token stands at each place, F = T V
    bigrams     how often each pair of neighbours comes, the prompt's last token and the first of the response included,
                F = V V

They are counts, so that θ = 0 says nothing. Shapes: P prompts, L prompt length, G responses, T response length, V
vocabulary, F features. A token of -1, behind the end of a response, has none.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def one_hot(tokens: Tensor, vocabulary: int) -> Tensor:
    """Which token each [...] is, float64 [..., V]."""
    return (tokens.unsqueeze(-1) == torch.arange(vocabulary, device=tokens.device)).double()


def tokens(prompts: Tensor, responses: Tensor, vocabulary: int) -> Tensor:
    """Counts of tokens, [P, G, V]."""
    return one_hot(responses, vocabulary).sum(dim=1).expand(len(prompts), -1, -1)


def positions(prompts: Tensor, responses: Tensor, vocabulary: int) -> Tensor:
    """The token at each place, [P, G, T V]."""
    return one_hot(responses, vocabulary).flatten(1).expand(len(prompts), -1, -1)


def bigrams(prompts: Tensor, responses: Tensor, vocabulary: int) -> Tensor:
    """Counts of neighbours, [P, G, V V]; the prompt's last token is the neighbour of the first."""
    said = one_hot(responses, vocabulary)
    inner = (said[:, :-1, :, None] * said[:, 1:, None, :]).sum(dim=1)
    before = one_hot(prompts[:, -1], vocabulary)
    first = before[:, None, :, None] * said[None, :, 0, None, :]
    return first.add_(inner).flatten(2)


def features_count(name: str, *, vocabulary: int, length: int) -> int:
    """F, for responses of `length` tokens."""
    return vocabulary * {"tokens": 1, "positions": length, "bigrams": vocabulary}[name]


FEATURES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "tokens": tokens,
    "positions": positions,
    "bigrams": bigrams,
}

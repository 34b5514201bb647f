"""The network behind the gold reward "transformer"; see gold_rewards/rewards/transformer.py.

Shapes: N pairs of prompt and response, L prompt length, T response length, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

WIDTH, HEADS, LAYERS = 32, 4, 2
AT_ONCE = 4096  # texts, and numbers that one layer holds of them, so that memory does not grow with the world
NUMBERS = 2**22
ROUND = 64  # texts are filled up to such a number, or a score would depend on its company in the last bit


@dataclass(frozen=True, kw_only=True)
class TransformerReward:
    """Scores from a frozen encoder; `place` embeds positions, `readout` is the scored direction."""

    token: Tensor
    place: Tensor
    encoder: nn.Module
    readout: Tensor

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Content score [N] of responses [N, T] to prompts [N, L], in arbitrary units."""
        texts = torch.from_numpy(np.concatenate([prompts, responses], axis=1))
        ended, scores = (texts < 0).any(dim=1), torch.empty(len(texts))
        for alike in (ended, ~ended):
            if alike.any():
                scores[alike] = self._scores(texts[alike], prompts.shape[1])
        return scores.double().numpy()

    def _scores(self, texts: Tensor, prompt_length: int) -> Tensor:
        """Scores [N] of texts [N, L + T], a bounded number at once, filled up so that none depends on the others."""
        places = texts.shape[1]
        at_once = max(1, min(AT_ONCE, NUMBERS // (places * (4 * WIDTH + HEADS * places))) // ROUND) * ROUND
        filled = torch.cat([texts, texts[-1:].expand(-len(texts) % ROUND, -1)])
        with torch.inference_mode():
            return torch.cat([self._read(some, prompt_length) for some in filled.split(at_once)])[: len(texts)].clone()

    def _read(self, text: Tensor, prompt_length: int) -> Tensor:
        over = text < 0
        if not over.any():
            read = self.encoder(self.token[text] + self.place)[:, prompt_length:]
            return read.mean(dim=1) @ self.readout
        read = self.encoder(self.token[text.clamp(min=0)] + self.place, src_key_padding_mask=over)[:, prompt_length:]
        said = (~over[:, prompt_length:]).unsqueeze(2)
        return (read * said).sum(dim=1) / said.sum(dim=1) @ self.readout

    def row(self) -> Tensor:
        """All weights one after another, for whoever computes otherwise.

        Tokens, places; of each layer what projects to queries, keys and values, merges, goes up and goes down, [out,
        in] each; and the readout. Norms scale by 1, and there are no biases.
        """
        layers = [weight for weight in self.encoder.parameters() if weight.dim() == 2]
        return torch.cat([weight.flatten() for weight in (self.token, self.place, *layers, self.readout)])

    def rules(self) -> list[str]:
        """What the score is made of: nothing that can be read."""
        return [f"a fixed random transformer encoder of {LAYERS} layers and width {WIDTH}"]


def make_encoder(
    *, vocabulary: int, prompt_length: int, response_length: int, rng: np.random.Generator
) -> TransformerReward:
    """Draw the network: normal matrices from `rng`, no biases, nothing from torch's own generator."""

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(rng.normal(scale=scale, size=shape)).float()

    # Not in eval mode: torch then takes another path, with other last bits, unless a default device is set.
    with torch.random.fork_rng(devices=[]):  # torch draws weights of its own, which are overwritten below
        block = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True)
        encoder = nn.TransformerEncoder(block, LAYERS, enable_nested_tensor=False).requires_grad_(False)
    for name, weight in encoder.named_parameters():
        if weight.dim() == 2:
            weight.copy_(normal(*weight.shape, scale=weight.shape[1] ** -0.5))
        else:
            weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return TransformerReward(
        token=normal(vocabulary, WIDTH),
        place=normal(prompt_length + response_length, WIDTH),
        encoder=encoder,
        readout=normal(WIDTH),
    )

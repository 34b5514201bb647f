"""A causal language model of Hugging Face transformers as a policy of a world: its log-probabilities, its responses.

Shapes: P prompts, L prompt length, M responses to each, T response length, N sequences, V tokens of the world.

A model may know more tokens than the world has, as one that was given a token to pad with. Its policy here is its law
over the world's tokens, renormalized; the mass that it gives to others is reported.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simulator.common.errors import ConfigError, short
from simulator.interchange.spelling import spelling_of
from simulator.networks.architecture import FILL
from simulator.settings.tables import Settings
from simulator.user_code.model_folders import WEIGHTS, check_files, config_in, missing_weights, read_quietly
from simulator.worlds.protocol import World

AT_ONCE = 2**22  # numbers of logits
NAMED = 8  # tokens that a message names


@dataclass(kw_only=True)
class CausalModel:
    """A model as a policy. ids [V]: which of its tokens each of the world's is; outside: mass that it gave others."""

    model: Any = field(repr=False)
    ids: Tensor
    response_length: int
    end: int | None
    outside: list[float] = field(default_factory=list)

    def log_prob(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """log pi of responses [P, M, T] to prompts [P, L], nats, float64 [P, M]."""
        count = responses.shape[1]
        asked = prompts.unsqueeze(1).expand(-1, count, -1).flatten(0, 1)
        said = responses.flatten(0, 1)
        read = torch.cat([asked, said[:, :-1].clamp(min=0)], dim=1)
        distinct, place = torch.unique(read, dim=0, return_inverse=True)
        found = torch.zeros(len(said), dtype=torch.float64)
        order = place.argsort(stable=True)
        size = max(1, AT_ONCE // (read.shape[1] * len(self.ids)))
        for first in range(0, len(distinct), size):
            rows = order[(place[order] >= first) & (place[order] < first + size)]
            laws = self.laws(distinct[first : first + size], prompts.shape[1] - 1)[place[rows] - first]
            tokens = said[rows]
            of_tokens = laws.gather(2, tokens.clamp(min=0).unsqueeze(2))[..., 0]
            found[rows] = of_tokens.masked_fill(tokens < 0, 0.0).sum(dim=1)
        return found.view(len(prompts), count)

    def laws(self, tokens: Tensor, first: int) -> Tensor:
        """log pi of the next token of the world after each place from `first` on, float64 [N, places, V]."""
        with torch.inference_mode():
            logits = self.model(input_ids=self.ids[tokens]).logits[:, first:].double()
        inside = logits[..., self.ids]
        total = inside.logsumexp(dim=-1, keepdim=True)
        if logits.shape[-1] > len(self.ids):
            self.outside.append(float(1 - (total[..., 0] - logits.logsumexp(dim=-1)).exp().mean()))
        return inside - total

    def sample(self, prompts: Tensor, count: int) -> Tensor:
        """`count` responses to each of prompts [P, L], [P, count, T]; the same each time."""
        rng = torch.Generator().manual_seed(0)
        tokens = prompts.repeat_interleave(count, dim=0)
        ended = torch.zeros(len(tokens), dtype=torch.bool)
        responses = torch.full((len(tokens), self.response_length), FILL)
        for place in range(self.response_length):
            size = max(1, AT_ONCE // (tokens.shape[1] * len(self.ids)))
            laws = torch.cat([self.laws(some, some.shape[1] - 1)[:, 0] for some in tokens.split(size)])
            drawn = torch.multinomial(laws.exp(), 1, generator=rng)[:, 0]
            responses[:, place] = torch.where(ended, FILL, drawn)
            tokens = torch.cat([tokens, drawn.unsqueeze(1)], dim=1)
            if self.end is not None:
                ended |= drawn == self.end
        return responses.view(len(prompts), count, -1)


def read_causal_model(folder: Path, name: str, world: World, settings: Settings) -> CausalModel:
    """The causal language model in a folder, in a world. Raises ConfigError where it cannot speak there."""

    def error(rule: str) -> ConfigError:
        return ConfigError(f"{name}: {rule}")

    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        check_files(files, error, "AutoModelForCausalLM")
    except OSError as fault:
        raise error(f"cannot be read ({fault.strerror})") from None
    config_in(folder, error)
    with read_quietly(error, "a causal language model") as offline:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model, loading = AutoModelForCausalLM.from_pretrained(folder, **WEIGHTS, **offline)
        has_tokenizer = any(path.name.startswith("tokenizer") for path in files)
        known = AutoTokenizer.from_pretrained(folder, **offline).get_vocab() if has_tokenizer else None
    needed = world.architecture.context
    places = getattr(model.config, "max_position_embeddings", None) or needed
    if places < needed:
        raise error(f"reads at most {places} tokens, and a prompt with its response here has {needed} to be read")
    ids = token_ids(model.config.vocab_size, known, world, settings, error)
    if missing := missing_weights(loading):
        raise error(f"is no causal language model: it has no weights for {short(missing[0])}, or of another size")
    if wrong := [key for key, value in model.state_dict().items() if not value.isfinite().all()]:
        raise error(f"has weights that are not finite, such as {short(wrong[0])}; it is damaged, or diverged")
    return CausalModel(
        model=model.eval().requires_grad_(False),
        ids=ids,
        response_length=needed - world.prompts.shape[1] + 1,
        end=world.end,
    )


def token_ids(size: int, known: dict[str, int] | None, world: World, settings: Settings, error: Any) -> Tensor:
    """Which token of a model of `size` each of the world's is, [V]; by its tokenizer's words `known`, if it has one.

    Raises ConfigError.
    """
    count, signs = world.architecture.vocabulary, spelling_of(settings, world.end).vocabulary_signs
    if known is None:
        if size != count:
            raise error(
                f"has a vocabulary of {size} and no tokenizer, and the world has {count} tokens; put the tokenizer "
                "beside it, as `export` writes one"
            )
        return torch.arange(count)
    missing = [sign for sign in signs if known.get(sign, size) >= size]
    if missing:
        more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
        raise error(
            f"has a vocabulary of {size}, without {len(missing):,} of the world's {count} tokens: "
            f"{', '.join(short(sign) for sign in missing[:NAMED])}{more}"
        )
    return torch.tensor([known[sign] for sign in signs])

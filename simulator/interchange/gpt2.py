"""Our networks as the folders that `GPT2LMHeadModel.from_pretrained` of transformers reads.

Shapes: D numbers of one policy, V vocabulary, L prompt length, T response length, d width.

A network of ours is a GPT-2 (Radford et al. 2019) with ReLU, without biases and gains, whose output weights are its
own. GPT-2 has these numbers, so biases are written as 0 and gains as 1. Both have queries, keys and values side by
side, heads one after another, scores divided by the root of a head's channels, and 1e-5 in the norm. What is read at a
place is the same to rounding. GPT-2 has one place more, L + T, since others also feed the last token; its embedding
is 0.
"""

import json
from typing import Any

from safetensors.torch import save
from torch import Tensor, ones, zeros

from simulator.networks.architecture import Architecture
from simulator.networks.backbone import EPSILON
from simulator.networks.parameters import unstack

LINEAR = {"attend": "attn.c_attn", "merge": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}


def gpt2_tensors(parameters: Tensor, architecture: Architecture) -> dict[str, Tensor]:
    """The tensors of a GPT-2 by their names there, float32, from one policy's parameters [D]."""
    blocks = {name: weight[0] for name, weight in unstack(parameters[None].cpu().float(), architecture).items()}
    width = architecture.width
    found = {
        "transformer.wte.weight": blocks["token"],
        "transformer.wpe.weight": zeros(architecture.context + 1, width),
        "lm_head.weight": blocks["unembed"].T,
    }
    found["transformer.wpe.weight"][:-1] = blocks["position"]
    norms = ["transformer.ln_f"]
    for layer in range(architecture.layers):
        place = f"transformer.h.{layer}"
        norms += [f"{place}.ln_1", f"{place}.ln_2"]
        for ours, theirs in LINEAR.items():
            weight = blocks[f"{layer}.{ours}"]
            found |= {f"{place}.{theirs}.weight": weight, f"{place}.{theirs}.bias": zeros(weight.shape[1])}
    for norm in norms:
        found |= {f"{norm}.weight": ones(width), f"{norm}.bias": zeros(width)}
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}


def gpt2_config(architecture: Architecture, end: int | None) -> dict[str, Any]:
    """`config.json`. end: the token that ends a response; without one, none ends and none pads."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": architecture.vocabulary,
        "n_positions": architecture.context + 1,
        "n_embd": architecture.width,
        "n_layer": architecture.layers,
        "n_head": architecture.heads,
        "n_inner": None,
        "activation_function": "relu",
        "layer_norm_epsilon": EPSILON,
        "tie_word_embeddings": False,
        "scale_attn_weights": True,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
        "dtype": "float32",
        **special_tokens(end),
    }


def generation_config(response_length: int, end: int | None) -> dict[str, Any]:
    """`generation_config.json`: responses of up to T tokens, each drawn from the whole of the policy's law."""
    return {
        "do_sample": True,
        "max_new_tokens": response_length,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        **special_tokens(end),
    }


def special_tokens(end: int | None) -> dict[str, int | None]:
    """What begins, ends and pads."""
    return {"bos_token_id": None, "eos_token_id": end, "pad_token_id": end}


def model_files(
    parameters: Tensor, architecture: Architecture, *, response_length: int, end: int | None
) -> dict[str, bytes]:
    """The files of a model by their names; parameters [D]."""
    return {
        "config.json": as_json(gpt2_config(architecture, end)),
        "generation_config.json": as_json(generation_config(response_length, end)),
        "model.safetensors": save(gpt2_tensors(parameters, architecture), metadata={"format": "pt"}),
    }


def as_json(value: Any) -> bytes:
    """A value as a file of JSON that people can read."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()

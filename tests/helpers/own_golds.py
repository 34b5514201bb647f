"""A file with gold rewards of a user's own, right and wrong, and a small classifier of text in a folder."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

GOLD = '''
import time
import numpy as np

WEIGHTS = np.array([0.5, -1.0, 2.0, 0.25])

def reward(prompts, responses):
    """The sum of what each token is worth."""
    counts = np.stack([(responses == token).sum(axis=1) for token in range(4)], axis=1)
    return (counts * WEIGHTS).sum(axis=1)

def by_name(responses):
    return reward(None, responses)

def as_a_list(responses, *, more=1.0):
    return [more * float(value) for value in reward(None, responses)]

def constant(prompts, responses):
    return np.ones(len(responses))

def vowels(response_texts):
    """Vowels."""
    return [sum(sign in "aeiou" for sign in text) for text in response_texts]

def both(prompt_texts, response_texts):
    return [len(one) - text.count("e") for one, text in zip(prompt_texts, response_texts)]

def raises(prompts, responses):
    raise RuntimeError("no such thing\\nas a reward")

def nothing(prompts, responses):
    return None

def one_number(prompts, responses):
    return 3.0

def a_table(prompts, responses):
    return WEIGHTS[responses]

def not_finite(prompts, responses):
    return np.where(responses[:, 0] == 2, np.nan, 1.0)

def words(prompts, responses):
    return ["good"] * len(responses)

def complex_numbers(prompts, responses):
    return responses[:, 0] * 1j

def many(prompts, responses):
    if len(responses) > 60:
        raise RuntimeError("too many")
    return responses[:, 0]

def random(prompts, responses):
    return np.random.random(len(responses))

CALLS = []

def counts_calls(prompts, responses):
    CALLS.append(1)
    return responses[:, 0] + 0.01 * len(CALLS)

def across(prompts, responses):
    return responses[:, 0] - responses[:, 0].mean()

def ranks(prompts, responses):
    return np.argsort(np.argsort(responses[:, 0]))

def forever(prompts, responses):
    while True:
        pass

def stubborn(prompts, responses):
    while True:
        try:
            time.sleep(60)
        except Exception:
            raise

def wants(prompts, respones, gold):
    return 0.0

def in_place(prompts, responses):
    responses[:] = 0
    return responses[:, 0] + prompts[:, 0]
'''


def classifier(
    folder: Path, *, labels: tuple[str, ...] = ("NEGATIVE", "POSITIVE"), seed: int = 0, places: int = 64
) -> None:
    """Write a small classifier of characters, with random weights, as `save_pretrained` does."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
    from transformers.utils import logging

    signs = {sign: place for place, sign in enumerate(["[PAD]", "[UNK]", *map(chr, range(32, 127))])}
    made = Tokenizer(models.WordLevel(signs, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    config = BertConfig(
        vocab_size=len(signs),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=places,
        id2label=dict(enumerate(labels)),
        label2id={name: place for place, name in enumerate(labels)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)

"""Texts become exactly the ids that they are of, by the library that reads tokenizer.json."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.interchange.spelling import Spelling, is_text
from tests.interchange.conftest import Exported

tokenizers = pytest.importorskip("tokenizers", reason="it comes with transformers, of the extra `hf`")
KINDS = ("letters", "letters-end", "numbers", "numbers-end", "bytes", "bytes-end")
CASES = [
    Spelling(kind="letters", vocabulary=8, end=None),
    Spelling(kind="letters", vocabulary=26, end=25),
    Spelling(kind="numbers", vocabulary=200, end=None),
    Spelling(kind="numbers", vocabulary=132, end=131),
    Spelling(kind="numbers", vocabulary=40, end=3),  # of a language that somebody added
    Spelling(kind="bytes", vocabulary=256, end=None),
    Spelling(kind="bytes", vocabulary=256, end=10),
    Spelling(kind="bytes", vocabulary=256, end=ord(".")),
]


def read(spelling: Spelling) -> Any:
    return tokenizers.Tokenizer.from_str(json.dumps(spelling.tokenizer()))


@pytest.mark.parametrize("spelling", CASES, ids=str)
def test_random_ids_come_back(spelling: Spelling) -> None:
    """A prompt and a response put together are tokenized as both alone, whatever the ids."""
    rng, reader = np.random.default_rng(5), read(spelling)
    for _ in range(200):
        prompt, response = rng.integers(spelling.vocabulary, size=(2, 6)).tolist()
        text = spelling.separator.join([spelling.text(prompt), spelling.text(response)])
        assert reader.encode(text).ids == prompt + response


@pytest.mark.parametrize("end", [None, 10, ord("<"), ord("p")])
@pytest.mark.parametrize(
    "text", ["Grüße\n", "a<pad>b", "Ċ", "\ue0c3\ue000\uf8ff", "<", "<p", "�", "ĊĊ<pad><pad>\n", "\x00\x7f", "ꙮ𝄞"]
)
def test_texts_that_look_like_something_else_come_back(text: str, end: int | None) -> None:
    spelling = Spelling(kind="bytes", vocabulary=256, end=end)
    ids, reader = list(text.encode()), read(spelling)
    for cut in range(len(ids) + 1):
        assert reader.encode(spelling.text(ids[:cut]) + spelling.text(ids[cut:])).ids == ids


def test_plain_text_is_itself() -> None:
    spelling = Spelling(kind="bytes", vocabulary=256, end=10)
    assert spelling.text([*"Grüße, x < y\n".encode(), -1, -1]) == "Grüße, x < y\n"
    assert is_text([*"ü".encode(), -1])
    assert not is_text([*"ü".encode()[:1], -1])
    assert read(spelling).decode(list("Grüße\n".encode()), skip_special_tokens=True) == "Grüße"


def test_what_is_no_token_is_an_error() -> None:
    for spelling in CASES[:4]:
        with pytest.raises(Exception, match="Missing"):
            read(spelling).encode("?")


@pytest.mark.slow(but=("letters", "numbers-end", "bytes-end"))
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_tokenizes_messages_to_our_ids(kind: str, exported: Callable[[str], Exported]) -> None:
    """By the chat template, from the tokenizer's folder and from a model's, without a token of its own."""
    transformers = pytest.importorskip("transformers")
    from pyarrow.parquet import read_table

    made = exported(kind)
    pairs = read_table(made.path / "data" / "preferences.parquet").to_pylist()
    end, count = made.world.simulated.end, made.world.vocabulary
    for folder in ("tokenizer", "reference"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(made.path / folder)
        assert tokenizer.eos_token_id == tokenizer.pad_token_id == (count if end is None else end)
        assert len(tokenizer) == count + (end is None)
        for pair in pairs:
            for side in ("chosen", "rejected"):
                ids = tokenizer.apply_chat_template(pair["prompt"] + pair[side], return_dict=True)["input_ids"]
                assert ids == pair["prompt_tokens"] + pair[f"{side}_tokens"]

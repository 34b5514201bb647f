"""Counted n-grams against a second implementation that keeps dictionaries, and against what probabilities must do."""

from collections import Counter

import numpy as np
import pytest

from simulator.languages import ngram

TEXT = b"the cat sat on the mat. the rat ate the oat. a cat and a rat sat."


def plainly(data: bytes, context: bytes, byte: int) -> float:
    """Interpolated Witten-Bell, one probability at a time."""
    p = 1 / 256
    for order in range(1, ngram.ORDER + 1):
        if order - 1 > len(context):
            break
        tail = context[len(context) - order + 1 :]
        grams = Counter(data[i : i + order] for i in range(len(data) - order + 1))
        after = {gram: count for gram, count in grams.items() if gram[:-1] == tail}
        if after:
            kinds, total = len(after), sum(after.values())
            p = (after.get(tail + bytes([byte]), 0) + kinds * p) / (total + kinds)
    return p


@pytest.mark.parametrize("said", [b"the cat", b"a rat ate", b"xyz\x00\xff", b"mat. the"])
def test_probabilities_are_those_of_a_plain_count(said: bytes) -> None:
    model = ngram.fit(np.frombuffer(TEXT, dtype=np.uint8))
    found = ngram.log_probs(model, np.frombuffer(said, dtype=np.uint8)[None].astype(np.int64), 2)
    expected = [np.log(plainly(TEXT, said[:i], said[i])) for i in range(2, len(said))]
    assert found[0] == pytest.approx(expected, rel=1e-12)


def test_probabilities_of_all_bytes_sum_to_one() -> None:
    model = ngram.fit(np.frombuffer(TEXT, dtype=np.uint8))
    for context in (b"the ca", b"qqqqqq", b"t"):
        data = np.array([[*context, byte] for byte in range(256)])
        assert np.exp(ngram.log_probs(model, data, len(context))).sum() == pytest.approx(1)


def test_every_distinct_gram_is_a_parameter() -> None:
    model = ngram.fit(np.frombuffer(b"abab", dtype=np.uint8))
    assert ngram.parameters(model) == 2 + 2 + 2 + 1

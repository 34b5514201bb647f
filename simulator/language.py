"""A synthetic language with structure: most strings are ungrammatical, and rarely said.

Shapes: K topics, V vocabulary, P prompts, L prompt length, N responses, T response length.

The first token of a prompt sets the topic. Within a topic, tokens follow a Markov chain whose grammar
lets `branching` successors follow each token; they share the probability 1 - slip unevenly (Dirichlet),
and the other V - branching tokens share `slip`, the chance that a speaker breaks the grammar. With
branching = V^(2/3), the default, the entropy is about two thirds of the largest possible.

The structure matters to the experiment: pairs drawn from a model of this language hardly ever show a
string that breaks the grammar, so a policy pushed far learns nothing that keeps it out of there.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Language:
    """`transition[k, u, v]`: probability, under topic k, that v follows u. Shape [K, V, V]."""

    transition: Array

    @property
    def topics(self) -> int:
        """K."""
        return self.transition.shape[0]

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.transition.shape[1]


def make_language(*, vocabulary: int, topics: int, branching: int, slip: float, rng: np.random.Generator) -> Language:
    """Draw a language. Needs 1 <= topics <= V, 1 <= branching <= V, and 0 <= slip < 1.

    Where every successor is grammatical (branching = V) there is nothing to slip to, and slip is unused.
    """
    rows = topics * vocabulary
    order = rng.permuted(np.tile(np.arange(vocabulary), (rows, 1)), axis=1)
    share = rng.dirichlet(np.full(branching, 2.0), size=rows)
    ungrammatical = vocabulary - branching
    leak = slip if ungrammatical else 0.0
    transition = np.full((rows, vocabulary), leak / max(ungrammatical, 1))
    np.put_along_axis(transition, order[:, :branching], (1 - leak) * share, axis=1)
    return Language(transition=transition.reshape(topics, vocabulary, vocabulary))


def say(language: Language, topic: Array, last: Array, length: int, rng: np.random.Generator) -> Array:
    """Continue after token `last` [N] under `topic` [N] for `length` tokens. Returns tokens [N, length]."""
    cumulative = language.transition.cumsum(axis=-1)
    spoken = np.empty((len(topic), length), dtype=np.int64)
    for t in range(length):
        below = cumulative[topic, last] < rng.random((len(topic), 1))
        last = spoken[:, t] = np.minimum(below.sum(axis=1), language.vocabulary - 1)
    return spoken


def draw_prompts(language: Language, *, prompts: int, length: int, rng: np.random.Generator) -> Array:
    """Distinct prompts [P, L]: a topic's token, then L - 1 tokens of the chain under that topic.

    Raises ValueError when the language does not readily say that many different ones.
    """
    found: dict[tuple[int, ...], None] = {}
    for _ in range(100):
        topic = rng.integers(language.topics, size=2 * prompts)
        rest = say(language, topic, topic, length - 1, rng)
        found.update(dict.fromkeys(map(tuple, np.column_stack([topic, rest]).tolist())))
        if len(found) >= prompts:
            return np.array(list(found)[:prompts])
    raise ValueError(f"the language has only about {len(found)} different prompts of length {length}")


def draw_responses(language: Language, prompts: Array, length: int, rng: np.random.Generator) -> Array:
    """One response [N, T] to each of the prompts [N, L]."""
    return say(language, prompts[:, 0], prompts[:, -1], length, rng)


def log_likelihood(language: Language, prompts: Array, responses: Array) -> Array:
    """log p(response | prompt) in nats, shape [N], for prompts [N, L] and responses [N, T]."""
    said = np.concatenate([prompts[:, -1:], responses], axis=1)
    with np.errstate(divide="ignore"):
        log_transition = np.log(language.transition)
    return log_transition[prompts[:, :1], said[:, :-1], said[:, 1:]].sum(axis=1)


def entropy(language: Language, prompts: Array, length: int) -> Array:
    """Exact entropy of a response of `length` tokens to each prompt, in nats, shape [P]."""
    p = language.transition
    row_entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(axis=-1)
    topic = prompts[:, 0]
    state = np.eye(language.vocabulary)[prompts[:, -1]]
    total = np.zeros(len(prompts))
    for _ in range(length):
        total += (state * row_entropy[topic]).sum(axis=1)
        state = np.einsum("pu,puv->pv", state, p[topic])
    return total

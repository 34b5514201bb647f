"""A synthetic language with structure: most strings are ungrammatical, and rarely said.

Shapes: K topics, V vocabulary, U spoken tokens, P prompts, L prompt length, N responses, T response length.

The first token of a prompt sets the topic. Within a topic, tokens follow a Markov chain whose grammar
lets `branching` successors follow each token; they share the probability 1 - slip unevenly (Dirichlet),
and the other U - branching tokens share `slip`, the chance that a speaker breaks the grammar. With
branching = U^(2/3), the default, the entropy is about two thirds of the largest possible. Before every token of a
response, the first one too, a speaker stops with probability `stop`; the last token of the vocabulary then says
so, and U = V - 1. Without stopping U = V, and every response has T tokens.

The structure matters to the experiment: pairs drawn from a model of this language hardly ever show a
string that breaks the grammar, so a policy pushed far learns nothing that keeps it out of there.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simulator.languages.language import Array, fill_after_end
from simulator.networks.architecture import FILL

DRAWS = 100  # of twice as many prompts as are wanted, until there are enough different ones


@dataclass(frozen=True, kw_only=True)
class Markov:
    """`transition[k, u, v]`: probability, under topic k, that v follows u. Shape [K, U, U].

    branching, slip and stop: what it was drawn with. length: T.
    """

    transition: Array
    branching: int
    slip: float
    stop: float
    length: int

    @property
    def topics(self) -> int:
        """K."""
        return self.transition.shape[0]

    @property
    def chain_vocabulary(self) -> int:
        """U."""
        return self.transition.shape[1]

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.chain_vocabulary + (self.end is not None)

    @property
    def end(self) -> int | None:
        """The last token, where speakers stop."""
        return self.chain_vocabulary if self.stop else None

    @property
    def fingerprint(self) -> str:
        """A hash of all probabilities."""
        return hashlib.sha256(self.transition.tobytes() + repr((self.stop, self.length)).encode()).hexdigest()

    @cached_property
    def log_transition(self) -> Array:
        """The logarithms of all probabilities, [K, U, U]."""
        with np.errstate(divide="ignore"):
            return np.log(self.transition)

    def continue_texts(self, topic: Array, last: Array, length: int, rng: np.random.Generator) -> Array:
        """Continue after token `last` [N] under `topic` [N] for `length` tokens without a stop, [N, length]."""
        cumulative = self.transition.cumsum(axis=-1)
        spoken = np.empty((len(topic), length), dtype=np.int64)
        for t in range(length):
            below = cumulative[topic, last] < rng.random((len(topic), 1))
            last = spoken[:, t] = np.minimum(below.sum(axis=1), self.chain_vocabulary - 1)
        return spoken

    def draw_prompts(self, *, prompts: int, length: int, rng: np.random.Generator) -> Array:
        """Distinct prompts [P, L]: a topic's token, then L - 1 tokens of the chain under that topic.

        Raises ValueError when the language does not readily say that many different ones.
        """
        found: dict[tuple[int, ...], None] = {}
        for _ in range(DRAWS):
            topic = rng.integers(self.topics, size=2 * prompts)
            rest = self.continue_texts(topic, topic, length - 1, rng)
            found.update(dict.fromkeys(map(tuple, np.column_stack([topic, rest]).tolist())))
            if len(found) >= prompts:
                return np.array(list(found)[:prompts])
        raise ValueError(f"the language has only about {len(found)} different prompts of length {length}")

    def draw_responses(self, prompts: Array, rng: np.random.Generator) -> Array:
        """One response [N, T] to each of the prompts [N, L]."""
        said = self.continue_texts(prompts[:, 0], prompts[:, -1], self.length, rng)
        if self.end is None:
            return said
        return fill_after_end(np.where(rng.random(said.shape) < self.stop, self.end, said), self.end)

    def draw_texts(self, *, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Fresh prompts [N, L], which may repeat, and a response [N, T] to each."""
        topic = rng.integers(self.topics, size=count)
        prompts = np.column_stack([topic, self.continue_texts(topic, topic, prompt_length - 1, rng)])
        return prompts, self.draw_responses(prompts, rng)

    def draw_unseen(self, *, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """As `draw_texts`: a grammar says nothing twice."""
        return self.draw_texts(count=count, prompt_length=prompt_length, rng=rng)

    def log_likelihood(self, prompts: Array, responses: Array) -> Array:
        """log p(response | prompt) in nats, shape [N], for prompts [N, L] and responses [N, T]."""
        said = np.concatenate([prompts[:, -1:], responses], axis=1)
        with np.errstate(divide="ignore"):
            log_stop, log_go = np.log(self.stop), np.log1p(-self.stop)
        speaks = (responses != FILL) & (responses != self.end)
        before, after = np.where(speaks, said[:, :-1], 0), np.where(speaks, responses, 0)
        steps = self.log_transition[prompts[:, :1], before, after] + log_go
        silent = np.where(responses == self.end, log_stop, 0.0) if self.end is not None else 0.0
        return np.where(speaks, steps, silent).sum(axis=1)

    @cached_property
    def forbidden(self) -> Array:
        """Which steps are no successors of the grammar, bool [K, U, U]: those that share `slip` evenly."""
        others = self.chain_vocabulary - self.branching
        if not others:
            return np.zeros(self.transition.shape, dtype=bool)
        return self.transition == (self.slip / others)

    def breaks(self, prompts: Array, responses: Array) -> Array:
        """Whether each token of responses [N, T] to prompts [N, L] breaks the grammar, bool [N, T]."""
        said = np.concatenate([prompts[:, -1:], responses], axis=1)
        speaks = (responses != FILL) & (responses != self.end)
        before, after = np.where(speaks, said[:, :-1], 0), np.where(speaks, responses, 0)
        return speaks & self.forbidden[prompts[:, :1], before, after]

    def facts(self, prompts: Array) -> dict[str, Any]:
        """Sizes of the grammar, and the language's entropy in nats per response."""
        return {
            "topics": self.topics,
            "branching": self.branching,
            "slip": self.slip,
            "stop": self.stop,
            "language_entropy": float(self.entropy(prompts).mean()),
        }

    def entropy(self, prompts: Array) -> Array:
        """Exact entropy of a response to each prompt, in nats, shape [P]."""
        p, go = self.transition, 1 - self.stop
        row_entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(axis=-1)
        whether = -(self.stop * np.log(self.stop) + go * np.log(go)) if self.stop else 0.0
        topic = prompts[:, 0]
        state = np.eye(self.chain_vocabulary)[prompts[:, -1]]  # probability of being there and not having stopped
        total = np.zeros(len(prompts))
        for _ in range(self.length):
            total += state.sum(axis=1) * whether + go * (state * row_entropy[topic]).sum(axis=1)
            state = go * np.einsum("pu,puv->pv", state, p[topic])
        return total


def make_language(
    *, vocabulary: int, length: int, topics: int, branching: int, slip: float, stop: float, rng: np.random.Generator
) -> Markov:
    """Draw a language whose responses have up to `length` tokens. Needs 1 <= topics, branching <= U and
    0 <= slip, stop < 1.

    Where every successor is grammatical (branching = U) there is nothing to slip to, and slip is unused.
    """
    spoken = vocabulary - (stop > 0)
    rows = topics * spoken
    order = rng.permuted(np.tile(np.arange(spoken), (rows, 1)), axis=1)
    share = rng.dirichlet(np.full(branching, 2.0), size=rows)
    ungrammatical = spoken - branching
    leak = slip if ungrammatical else 0.0
    transition = np.full((rows, spoken), leak / max(ungrammatical, 1))
    np.put_along_axis(transition, order[:, :branching], (1 - leak) * share, axis=1)
    chain = transition.reshape(topics, spoken, spoken)
    return Markov(transition=chain, branching=branching, slip=slip, stop=stop, length=length)

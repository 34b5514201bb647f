"""A language that is a file: the bytes of a text that the user names.

Shapes: P prompts, L prompt length, N texts, T response length.

The file is cut into up to ten parts, and the end of each is held out. The reference learns from passages of L + T bytes
that begin anywhere in the rest; prompts are passages of L bytes from what is held out, so no prompt was ever seen in
training. How fluent a response is, is judged by n-grams counted over the whole file (`simulator/languages/ngram.py`).
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from simulator.common.errors import ConfigError, nearest
from simulator.common.text_encoding import without_mark
from simulator.common.user_files import user_path
from simulator.languages import ngram
from simulator.languages.language import Array, fill_after_end
from simulator.languages.reviews import NAME as REVIEWS
from simulator.languages.reviews import reviews
from simulator.networks.architecture import FILL

TEXT_LIMIT = 2**24
PARTS = 10


@dataclass(frozen=True, kw_only=True)
class Text:
    """`data` [bytes], of which the share `held_out` is kept from the reference; `end` ends a response.

    window: L + T, the least length of each held-out end.
    """

    data: Array
    held_out: float
    end: int | None
    window: int

    @property
    def vocabulary(self) -> int:
        """Every byte is a token."""
        return BYTES

    @property
    def fingerprint(self) -> str:
        """A hash of the text and of how it is used."""
        return hashlib.sha256(self.data.tobytes() + repr((self.held_out, self.end, self.window)).encode()).hexdigest()

    @cached_property
    def model(self) -> tuple[ngram.Grams, ...]:
        """The language model of the whole file."""
        return ngram.fit(self.data)

    def starts(self, length: int, *, held_out: bool) -> Array:
        """Every place where a passage of `length` bytes may begin, in what is held out or in the rest."""
        shorter = int(len(self.data) * min(self.held_out, 1 - self.held_out))
        parts = max(1, min(PARTS, shorter // (self.window + 1)))
        bounds = np.linspace(0, len(self.data), parts + 1).astype(np.int64)
        cuts = bounds[1:] - (np.diff(bounds) * self.held_out).astype(np.int64)
        first, last = (cuts, bounds[1:]) if held_out else (bounds[:-1], cuts)
        return np.concatenate([np.arange(a, b - length + 1) for a, b in zip(first, last, strict=True)])

    @cached_property
    def learned(self) -> Array:
        """Every place where a passage that the reference learns from may begin."""
        return self.starts(self.window, held_out=False)

    def passages(self, starts: Array, length: int) -> Array:
        """The `length` bytes from each of `starts`, [N, length]."""
        return self.data[starts[:, None] + np.arange(length)].astype(np.int64)

    def draw_prompts(self, *, prompts: int, length: int, rng: np.random.Generator) -> Array:
        """Distinct held-out passages [P, L], each beginning with a whole character.

        Raises ValueError when what is held out has too few.
        """
        starts = rng.permutation(self.starts(length, held_out=True))
        starts = starts[(self.data[starts] & 0xC0) != 0x80]
        found: dict[bytes, int] = {}
        for start in starts.tolist():
            found.setdefault(self.data[start : start + length].tobytes(), start)
            if len(found) == prompts:
                return self.passages(np.array(list(found.values())), length)
        raise ValueError(f"what is held out of the text has only {len(found)} different passages of {length} bytes")

    def draw_texts(self, *, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Passages of the text that is not held out, which may overlap and repeat."""
        return self._cut(self.learned, count, prompt_length, rng)

    def draw_unseen(self, *, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Passages of what is held out."""
        return self._cut(self.starts(self.window, held_out=True), count, prompt_length, rng)

    def _cut(self, starts: Array, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        passages = self.passages(starts[rng.integers(len(starts), size=count)], self.window)
        return passages[:, :prompt_length], fill_after_end(passages[:, prompt_length:], self.end)

    def log_likelihood(self, prompts: Array, responses: Array) -> Array:
        """log p(response | prompt) in nats under the n-grams, shape [N]."""
        whole = np.concatenate([prompts, np.where(responses == FILL, 0, responses)], axis=1)
        steps = ngram.log_probs(self.model, whole, prompts.shape[1])
        return np.where(responses == FILL, 0.0, steps).sum(axis=1)

    def facts(self, prompts: Array) -> dict[str, Any]:
        """Size and hash of the text, and of the language model that judges fluency."""
        return {
            "text_bytes": len(self.data),
            "text_sha256": hashlib.sha256(self.data.tobytes()).hexdigest(),
            "fluency_order": len(self.model),
            "fluency_parameters": ngram.parameters(self.model),
        }


def text_bytes(name: str) -> int:
    """The size of the text file of this name; 0 where there is none."""
    if name == REVIEWS:
        return len(reviews())
    path = user_path(name)
    return path.stat().st_size if name and path.is_file() else 0


def read_text(name: str) -> bytes:
    """The bytes of a UTF-8 text file, its byte-order mark aside. Raises ConfigError that says what is wrong with it."""
    key = f"world.language.text = {name}"
    if name == REVIEWS:
        return reviews()
    path = user_path(name)
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{key}: is {'a folder' if path.is_dir() else 'no regular file'}; name a text file")
        with open(path, "rb") as file:
            data = file.read(TEXT_LIMIT + 1)
        if len(data) > TEXT_LIMIT:
            size = path.stat().st_size
            raise ConfigError(f"{key}: has {size:,} bytes; at most {TEXT_LIMIT:,} are read, so take a part of it")
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(
            f"{key}: there is no such file (looked for in {Path.cwd()}){nearest(name, [REVIEWS])}"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        text = without_mark(data)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None
    if not text:
        raise ConfigError(f"{key}: is empty; it must hold text")
    return text


def open_text(name: str, *, held_out: float, end: str, prompt_length: int, response_length: int) -> Text:
    """The language of a text file. Raises ConfigError where it cannot be read or is too short."""
    data = np.frombuffer(read_text(name), dtype=np.uint8)
    window = prompt_length + response_length
    needed = int(np.ceil((window + 1) / min(held_out, 1 - held_out)))
    if len(data) < needed:
        raise ConfigError(
            f"world.language.text = {name}: has only {len(data):,} bytes; prompts of {prompt_length} and responses of "
            f"{response_length} tokens need at least {needed:,}, with world.language.held_out = {held_out:g}"
        )
    return Text(data=data, held_out=held_out, end=ord(end) if end else None, window=window)


BYTES = 256

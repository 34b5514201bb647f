"""Token ids as text, and the tokenizer of Hugging Face that makes exactly these ids of it again.

A world of text has 256 tokens, the bytes. Elsewhere tokens are letters where 26 suffice, or numbers with spaces between
them; so people read them elsewhere in our records, too.

Responses may be bytes that are no UTF-8, and no text has such bytes. In the messages of an export a byte b that needs
it stands as the sign U+E000 + b, of the private area, and the tokenizer reads that as b. Signs that the tokenizer would
take for something else are spelled in this way, too. So every sequence of ids comes back as it was.

What ends a response is the tokenizer's `eos_token`, and pads. A world without an end has none; there both are a token
of its own, "<pad>", whose id is V. It is beyond the model's vocabulary and stands in no data.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from simulator.languages.spelling import LETTERS
from simulator.settings.tables import Settings

PAD = "<pad>"
PRIVATE = 0xE000  # the first sign of the private area
SPELLED = (ord("<"), *range(0x80, 0x100))  # bytes that the tokenizer knows by their private signs, too

Json = dict[str, Any]


def byte_signs() -> list[str]:
    """The sign that stands for each byte in a byte-level vocabulary, by the rule of GPT-2.

    A byte that prints stands for itself, and the others take the signs from U+0100 on.
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(0x100) if byte not in plain]
    return [chr(byte) if byte in plain else chr(0x100 + others.index(byte)) for byte in range(0x100)]


BYTE_SIGNS = byte_signs()


def private(text: str) -> str:
    """A text with each of its bytes spelled by a private sign."""
    return "".join(chr(PRIVATE + byte) for byte in text.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a world's tokens are written. vocabulary: V. end: the token that ends a response, if one does."""

    kind: Literal["bytes", "letters", "numbers"]
    vocabulary: int
    end: int | None

    @property
    def vocabulary_signs(self) -> list[str]:
        """What each token is called in the tokenizer, [V]."""
        if self.kind == "numbers":
            return [str(token) for token in range(self.vocabulary)]
        return (BYTE_SIGNS if self.kind == "bytes" else list(LETTERS))[: self.vocabulary]

    @property
    def special(self) -> tuple[int, str]:
        """The id of the token that ends and pads, and what it is called."""
        return (self.vocabulary, PAD) if self.end is None else (self.end, self.vocabulary_signs[self.end])

    @property
    def separator(self) -> str:
        """What stands between a prompt and a response."""
        return " " if self.kind == "numbers" else ""

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as the content of a message, of which the tokenizer makes them again; negative ids are left out."""
        said = [token for token in tokens if token >= 0]
        if self.kind != "bytes":
            return self.separator.join(self.vocabulary_signs[token] for token in said)
        return self._mistaken.sub(lambda found: private(found[0]), bytes(said).decode("utf-8", "surrogateescape"))

    @property
    def _mistaken(self) -> re.Pattern[str]:
        """What of a text the tokenizer would not take for its own bytes."""
        _, name = self.special
        mine = f"<(?={PAD[1]}|\\Z)" if self.end is None else re.escape(name) if not name.isascii() else r"(?!)"
        return re.compile(f"[\udc80-\udcff\ue000-\ue0ff]|{mine}")

    def tokenizer(self) -> Json:
        """`tokenizer.json`, for the library tokenizers of Hugging Face."""
        number, name = self.special
        alone = self.kind == "numbers" and self.end is not None  # 3 is no part of 31
        special = {"id": number, "content": name, "single_word": alone, "special": True}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{**special, "lstrip": False, "rstrip": False, "normalized": False}],
            "post_processor": None,
            **(self._by_bytes() if self.kind == "bytes" else self._by_words()),
        }

    def _by_bytes(self) -> Json:
        """Signs become bytes, a private sign its one byte, and no bytes are merged."""
        signs = {byte: "".join(BYTE_SIGNS[part] for part in chr(PRIVATE + byte).encode()) for byte in SPELLED}
        rules = [
            {"type": "Replace", "pattern": {"String": sign}, "content": BYTE_SIGNS[byte]}
            for byte, sign in signs.items()
        ]
        nothing = dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"))
        never = dict.fromkeys(("fuse_unk", "byte_fallback", "ignore_merges"), False)
        vocabulary = {sign: token for token, sign in enumerate(self.vocabulary_signs)}
        whole = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        return {
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "ByteLevel"}, *rules]},
            "pre_tokenizer": None,
            "decoder": {"type": "ByteLevel", **whole},
            "model": {"type": "BPE", **nothing, **never, "vocab": vocabulary, "merges": []},
        }

    def _by_words(self) -> Json:
        """A letter is a word, or a number is; anything else is an error, not a token."""
        letter = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
        vocabulary = {sign: token for token, sign in enumerate(self.vocabulary_signs)}
        return {
            "normalizer": None,
            "pre_tokenizer": {"type": "WhitespaceSplit"} if self.kind == "numbers" else letter,
            "decoder": None if self.kind == "numbers" else {"type": "Fuse"},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unknown>"},
        }

    def tokenizer_config(self, length: int) -> Json:
        """`tokenizer_config.json`, with a template that puts the contents of messages together as they are.

        length: tokens that the model takes, L + T.
        """
        _, name = self.special
        between = f"{{% if not loop.first %}}{self.separator}{{% endif %}}" if self.separator else ""
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": name,
            "pad_token": name,
            "padding_side": "left",
            "model_max_length": length,
            "clean_up_tokenization_spaces": False,
            "chat_template": f"{{% for message in messages %}}{between}{{{{ message['content'] }}}}{{% endfor %}}",
        }


def spelling_of(settings: Settings, end: int | None) -> Spelling:
    """How the tokens of a world with these settings are written."""
    world = settings.world
    kind: Literal["bytes", "letters", "numbers"] = (
        "bytes" if world.language.text else "letters" if world.vocabulary <= len(LETTERS) else "numbers"
    )
    return Spelling(kind=kind, vocabulary=world.vocabulary, end=end)


def is_text(tokens: Sequence[int]) -> bool:
    """Whether bytes are UTF-8; negative ids are left out."""
    try:
        bytes(token for token in tokens if token >= 0).decode()
    except UnicodeDecodeError:
        return False
    return True

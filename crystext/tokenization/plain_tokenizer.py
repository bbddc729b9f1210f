"""A tokenizer read by `tokenizers` alone: what sampling needs of it, without transformers.

transformers takes seconds to import, and adds to a tokenizer.json of its own fast class only the
names of the special tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

_FAST_CLASSES = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""The names of the class of transformers that takes tokenizer.json as it is."""

_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")


class PlainTokenizer:
    """The part of `PreTrainedTokenizerBase` that `encode.prompt_ids` and samplers use."""

    def __init__(self, tokenizer: Tokenizer, special: dict[str, str]) -> None:
        """Take a tokenizer and the texts of its special tokens, by their names."""
        self._tokenizer, self._special = tokenizer, special
        # A text is data: `</s>` in it is four characters, not the end.
        tokenizer.encode_special_tokens = True

    def get_vocab(self) -> dict[str, int]:
        """Return the id of each token."""
        return self._tokenizer.get_vocab(with_added_tokens=True)

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def bos_token_id(self) -> int | None:
        """The id of the token before a text; None if there is none."""
        return self._id_of("bos_token")

    @property
    def eos_token_id(self) -> int:
        """The id of the token that ends a text."""
        end = self._id_of("eos_token")
        assert end is not None, "a tokenizer without an end is not read"
        return end

    @property
    def unk_token_id(self) -> int | None:
        """The id of what has no token; None if there is none."""
        return self._id_of("unk_token")

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of all special tokens with a name."""
        ids = [self._id_of(name) for name in _SPECIAL_NAMES]
        return [i for i in ids if i is not None]

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """The tokens beside the vocabulary, each with the attribute `special`."""
        return dict(self._tokenizer.get_added_tokens_decoder())

    def __call__(self, texts: Sequence[str], **_: bool) -> dict[str, list[list[int]]]:
        """Return the ids of texts, without special tokens, as `input_ids`."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return {"input_ids": [each.ids for each in encoded]}

    def _id_of(self, name: str) -> int | None:
        text = self._special.get(name)
        return None if text is None else self._tokenizer.token_to_id(text)


def read_plain_tokenizer(folder: Path) -> PlainTokenizer | None:
    """Read a tokenizer from a model's folder.

    Returns:
        None where only transformers can read it, or say what is wrong with it.
    """
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # tokenizers raises plain exceptions for a damaged file; transformers says what is wrong.
    except Exception:
        return None
    special = {name: config[name] for name in _SPECIAL_NAMES if config.get(name) is not None}
    fitting = config.get("tokenizer_class") in _FAST_CLASSES and all(
        isinstance(text, str) and tokenizer.token_to_id(text) is not None
        for text in special.values()
    )
    own_settings = {"extra_special_tokens", "additional_special_tokens", "added_tokens_decoder"}
    if not fitting or "eos_token" not in special or any(config.get(name) for name in own_settings):
        return None
    return PlainTokenizer(tokenizer, special)

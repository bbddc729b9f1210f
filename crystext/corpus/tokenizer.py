"""The tokenizer of a corpus: copied from a model, or trained on a sample of the corpus.

Texts are data: the name of a special token in a text is encoded as ordinary text, so that only the
ends of documents are end-of-text tokens.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.corpus.packed import Block, PackedCorpus, ids_type
from crystext.corpus.pretoken_cache import encode_all, open_cache
from crystext.corpus.recipe import TokenizerSettings
from crystext.errors import ModelError, describe_error
from crystext.runtime.files import file_digest, json_digest, replace_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
"""Token that ends documents, of tokenizers that are trained here."""

_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
)

_WORDS = r" ?\p{L}+|%s| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_DIGIT, _DIGITS = r"\p{N}", r" ?\p{N}+"
"""What a text is cut by before pairs are merged: words, numbers, signs, white space."""

_MAX_PIECE = 1_000_000
"""Characters that are encoded at once. A longer text is cut behind line ends, so that memory is
bounded; at such a place, tokens may differ from those of the whole text."""


class TokenizerDescription(NamedTuple):
    """What a corpus needs to know of its tokenizer."""

    folder: Path
    vocabulary: int
    """The highest id and one."""
    end_of_text: int
    end_of_text_token: str
    sha256: str

    @property
    def ids_type(self) -> np.dtype[Any]:
        """Type of stored ids."""
        return ids_type(self.vocabulary)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        return {
            "folder": self.folder.name,
            "sha256": self.sha256,
            "vocabulary": self.vocabulary,
            "end_of_text": {"id": self.end_of_text, "token": self.end_of_text_token},
        }


class TextEncoder:
    """Encodes documents."""

    def __init__(self, about: TokenizerDescription) -> None:
        """Load a tokenizer that `describe_tokenizer` described."""
        self.about = about
        self._tokenizer = _load(about.folder)
        self._words = open_cache(self._tokenizer, about.ids_type)

    @property
    def uses_cache(self) -> bool:
        """Whether words are cached, see `pretoken_cache`."""
        return self._words is not None

    def encode(self, texts: list[str]) -> list[NDArray[Any]]:
        """Return the ids of each document, with end-of-text at its end."""
        pieces = [(i, piece) for i, text in enumerate(texts) for piece in _pieces(text)]
        ids = self._encode([piece for _, piece in pieces])
        parts: list[list[NDArray[Any]]] = [[] for _ in texts]
        for (i, _), part in zip(pieces, ids, strict=True):
            parts[i].append(part)
        end = np.array([self.about.end_of_text], self.about.ids_type)
        found: list[NDArray[Any]] = [np.concatenate([*document, end]) for document in parts]
        return found

    def _encode(self, texts: list[str]) -> list[NDArray[Any]]:
        kind = self.about.ids_type
        found = encode_all(texts, self._tokenizer, self._words, kind)
        return [
            self._encode_without_end(text) if (ids == self.about.end_of_text).any() else ids
            for text, ids in zip(texts, found, strict=True)
        ]

    def _encode_without_end(self, text: str) -> NDArray[Any]:
        """Encode a text around the name of the end-of-text token, and the name by characters.

        Some vocabularies contain that name as a word, too.
        """
        name = self.about.end_of_text_token
        parts: list[str] = []
        for i, part in enumerate(text.split(name)):
            parts += [*(name if i else ""), part]
        kind = self.about.ids_type
        found = encode_all([part for part in parts if part], self._tokenizer, None, kind)
        ids = np.concatenate([np.zeros(0, kind), *found])
        without: NDArray[Any] = ids[ids != self.about.end_of_text]
        return without


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _MAX_PIECE:
        end = text.rfind("\n", start, start + _MAX_PIECE) + 1
        end = end if end > start else start + _MAX_PIECE
        yield text[start:end]
        start = end
    yield text[start:]


def copy_tokenizer(source: Path, folder: Path, settings: TokenizerSettings) -> TokenizerDescription:
    """Copy the files of a tokenizer.

    Args:
        source: a folder with a tokenizer.json.
        folder: where the copy is written.
        settings: what the recipe says.

    Raises:
        ModelError: it has no fast tokenizer, a damaged one, or no token that ends documents.
    """
    describe_tokenizer(source, settings.end_of_text)
    with replace_folder(folder) as partial:
        for name in _FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, partial / name)
    return describe_tokenizer(folder, settings.end_of_text)


def train_tokenizer(
    texts: Iterable[str], folder: Path, settings: TokenizerSettings
) -> TokenizerDescription:
    """Train a byte-level BPE tokenizer, whose vocabulary holds all bytes, and write it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    name = settings.end_of_text or END_OF_TEXT
    tokenizer = Tokenizer(models.BPE())
    words = _WORDS % (_DIGIT if settings.single_digits else _DIGITS)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        special_tokens=[name],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": name,
        "eos_token": name,
        "clean_up_tokenization_spaces": False,
    }
    with replace_folder(folder) as partial:
        tokenizer.save(str(partial / "tokenizer.json"))
        text = json.dumps(config, indent=2) + "\n"
        (partial / "tokenizer_config.json").write_text(text, encoding="utf-8")
    return describe_tokenizer(folder, name)


def describe_tokenizer(folder: Path, end_of_text: str | None) -> TokenizerDescription:
    """Return what a corpus needs to know of the tokenizer in a folder.

    Args:
        folder: with a tokenizer.json.
        end_of_text: name of the token that ends documents; None takes the end-of-sequence token.

    Raises:
        ModelError: see `copy_tokenizer`.
    """
    tokenizer = _load(folder)
    name = end_of_text or _end_of_sequence(folder)
    if name is None:
        raise ModelError(
            f"the tokenizer in {folder} names no end-of-sequence token; give the token that ends "
            "documents as tokenizer.end_of_text"
        )
    token = tokenizer.token_to_id(name)
    if token is None:
        raise ModelError(
            f"the tokenizer in {folder} has no token {name!r}; tokenizer.end_of_text names the one "
            "that ends documents"
        )
    digests = {path.name: file_digest(path) for name in _FILES if (path := folder / name).is_file()}
    vocabulary = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    return TokenizerDescription(folder, vocabulary, token, name, json_digest(digests))


def block_text(corpus: PackedCorpus, block: Block) -> str:
    """Return the text of a block for people: each document under a line with its source."""
    tokenizer = _load(corpus.tokenizer)
    texts = []
    start = 0
    for length, source in zip(block.document_lengths, block.document_sources, strict=True):
        ids = block.ids[start : start + length].tolist()
        start += length
        text = tokenizer.decode(ids, skip_special_tokens=False)
        texts.append(f"--- {corpus.sources[source]}, {length:,} tokens\n{text}")
    return "\n".join(texts)


def _load(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            f"{folder} has no tokenizer.json; expected a fast tokenizer, which transformers writes "
            "with AutoTokenizer.from_pretrained(...).save_pretrained(...)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # It raises `Exception` itself.
    except Exception as error:
        raise ModelError(
            f"{path} is damaged: {describe_error(error, 'it is not a tokenizer')}; copy it again"
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _end_of_sequence(folder: Path) -> str | None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        try:
            about = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        token = about.get("eos_token") if isinstance(about, dict) else None
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            return token
    return None

"""Small tokenizers that cut texts as those of well-known language models do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.any_tokenizer import TokenTrie
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.text import COORDINATE_FORMATS, encode
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from tests.grammar.random_crystals import random_crystals, seeded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<s>", "</s>"]
PROSE = "Below is a description of a material. The chemical formula is NaCl, band gap 5.0 eV. 2024"


def texts(count: int) -> list[str]:
    """Return texts of random crystals in all formats."""
    return [
        encode(crystal, fmt)
        for fmt in COORDINATE_FORMATS
        for crystal in random_crystals(
            CoordinateAutomaton(fmt, count, Constraints(max_atoms=6)), seeded(0)
        )
    ]


def wrapped(tokenizer: Any) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        **special,
    )


def bytes_across_fields() -> PreTrainedTokenizerFast:
    """Byte-level BPE without pre-tokenization: merges run across spaces, newlines and fields."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*texts(20), PROSE], trainer)
    return wrapped(tokenizer)


def llama_2_like() -> PreTrainedTokenizerFast:
    """SentencePiece's ways: spaces as ▁, one put in front, single digits, newlines as bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Digits(individual_digits=True)
    names = ["<unk>", *SPECIAL, *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=names, initial_alphabet=list("▁."), show_progress=False
    )
    lines = "\n".join([*texts(20), PROSE, " ".join(SYMBOLS)]).split("\n")
    trained.train_from_iterator(lines, trainer)
    tokenizer = Tokenizer(
        models.BPE(trained.get_vocab(), _merges(trained), fuse_unk=True, byte_fallback=True)
    )
    tokenizer.model.unk_token = "<unk>"  # noqa: S105
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return wrapped(tokenizer)


def _merges(tokenizer: Any) -> list[tuple[str, str]]:
    return [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]


def llama_3_like() -> PreTrainedTokenizerFast:
    """Byte-level BPE behind a split that keeps up to three digits together."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(split, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    numbers = " ".join(f"{i:03d}" for i in range(1000))
    tokenizer.train_from_iterator([*texts(20), PROSE, numbers, numbers], trainer)
    return wrapped(tokenizer)


def plain_characters() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models

    characters = [*SPECIAL, "\n", *map(chr, range(32, 127))]
    vocabulary = {character: i for i, character in enumerate(characters)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.decoder = decoders.Fuse()
    return wrapped(tokenizer)


def llama_2_like_metaspace() -> PreTrainedTokenizerFast:
    """The same vocabulary, its spaces put in by the pre-tokenizer, at the start of a text alone."""
    from tokenizers import normalizers, pre_tokenizers

    tokenizer = llama_2_like().backend_tokenizer
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return wrapped(tokenizer)


def words_with_special_names() -> PreTrainedTokenizerFast:
    """Unigram pieces, as T5 has them: the names of special tokens are likely words as well."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    characters = ["▁", "\n", *map(chr, range(33, 127)), *(s for s in SYMBOLS if len(s) == 2)]
    pieces = [("<unk>", 0.0), *((name, 0.0) for name in SPECIAL), *((c, -3.0) for c in characters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    # Full-width letters become plain ones, so that a name can come about in more than one way.
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    return wrapped(tokenizer)


MAKERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "bytes across fields": bytes_across_fields,
    "llama 2": llama_2_like,
    "llama 3": llama_3_like,
    "crystal vocabulary": build_tokenizer,
    "characters": plain_characters,
}


@cache
def tokenizer_and_trie(name: str) -> tuple[PreTrainedTokenizerFast, TokenTrie]:
    tokenizer = MAKERS[name]()
    return tokenizer, TokenTrie(tokenizer)

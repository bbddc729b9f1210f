r"""The crystal vocabulary of the shipped model: one or two tokens per number, one per element.

The text is unchanged; only its tokens differ from a general tokenizer's. Joining the tokens of a
text gives the text back, whatever the text is: parts without a token are spelt in characters, and
those that are not printable ASCII, in bytes.

    5.64 5.64 5.64          "5." "64" " 5." "64" " 5." "64"
    90.00 90.00 90.00       "\n90." "00" " 90." "00" " 90." "00"
    Na                      "\nNa\n"
    0.000 0.250 0.500       "0.000" " 0.250" " 0.500"

    152                     "152"
    O 6c 0.413 0.267 0.119  "\nO " "6c" " 0.413" " 0.267" " 0.119"
    4.91 5.40               "\n4." "91" " 5." "40"

A whole number in a prompt is one token as well. `extend_tokenizer` adds tokens for further prompts
and for the answers of property prediction, at the end, so that trained ids keep their meaning.

This module knows the pieces and their ids, but not which may follow which (`grammar`).
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.text.formats import MAX_ANGLE, MAX_LENGTH

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, BOS, EOS = "<pad>", "<s>", "</s>"

MASK = "?"
"""Placeholder for an unknown element."""


def element_line(symbol: str) -> str:
    """Return the piece of this element's line, newlines included."""
    return f"\n{symbol}\n"


def orbit_start(symbol: str) -> str:
    """Return the first piece of an orbit's line, including the newline before it."""
    return f"\n{symbol} "


@cache
def position_names() -> tuple[str, ...]:
    """Return the names of the Wyckoff positions of all space groups: 1a, 1b, ... 192l."""
    names = {
        p.name for group in range(1, N_SPACE_GROUPS + 1) for p in wyckoff_positions(group).values()
    }
    return tuple(sorted(names, key=lambda name: (int(name[:-1]), name[-1:])))


def vocabulary_pieces(phrases: Iterable[str] = ()) -> list[str]:
    """Return the pieces of the vocabulary in the order of their ids.

    Args:
        phrases: literal parts of the prompts, one token each.
    """
    whole = range(MAX_ANGLE)
    listed = [
        *(PAD, BOS, EOS),
        *(element_line(s) for s in (*SYMBOLS, MASK)),
        *(f"{i}." for i in whole[:MAX_LENGTH]),
        *(f" {i}." for i in whole),
        *(f"\n{i}." for i in whole),
        *(f"{i:02d}" for i in range(100)),
        *(f"0.{i:03d}" for i in range(1000)),
        *(f" 0.{i:03d}" for i in range(1000)),
        *(orbit_start(s) for s in (*SYMBOLS, MASK)),
        *position_names(),
        *(str(i) for i in range(1, N_SPACE_GROUPS + 1)),
        *SYMBOLS,
        *sorted(phrases),
        *string.printable[:95],
        "\n",
        *(f"<0x{i:02X}>" for i in range(256)),
    ]
    return list(dict.fromkeys(listed))


def build_tokenizer(phrases: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """Build the tokenizer.

    It is a BPE model without merges: the pre-tokenizer cuts out the pieces, and the rest is split
    into characters or bytes.
    """
    phrases = list(phrases)
    pieces = vocabulary_pieces(phrases)
    return _tokenizer({piece: i for i, piece in enumerate(pieces)}, phrases, [])


def extend_tokenizer(
    tokenizer: PreTrainedTokenizerBase,
    known_phrases: Iterable[str],
    new_phrases: Iterable[str],
    answers: Iterable[str],
) -> PreTrainedTokenizerFast:
    """Return a tokenizer with further tokens after those of another one.

    Args:
        tokenizer: of the crystal vocabulary (`is_crystal_vocabulary`).
        known_phrases: phrases that have a token already.
        new_phrases: literal parts of further prompts, one token each.
        answers: texts that are one token where they follow a colon and a space.
    """
    vocabulary = dict(tokenizer.get_vocab())
    phrases, answers = sorted({*known_phrases, *new_phrases}), list(dict.fromkeys(answers))
    for piece in (*phrases, *answers):
        vocabulary.setdefault(piece, len(vocabulary))
    return _tokenizer(vocabulary, phrases, answers)


def is_crystal_vocabulary(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer has the pieces of this module."""
    vocabulary = tokenizer.get_vocab()
    return all(piece in vocabulary for piece in (*vocabulary_pieces(), BOS, EOS))


def _tokenizer(
    vocabulary: Mapping[str, int], phrases: Iterable[str], answers: Sequence[str]
) -> PreTrainedTokenizerFast:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    phrases = sorted(phrases, key=len, reverse=True)
    model = models.BPE(
        vocab=dict(vocabulary), merges=[], ignore_merges=True, byte_fallback=True, unk_token=None
    )
    tokenizer = Tokenizer(model)
    symbols = "|".join(sorted(SYMBOLS, key=lambda s: (-len(s), s)))
    longest_first = sorted(answers, key=len, reverse=True)
    cut = "|".join(
        [
            *(_escape(phrase) for phrase in phrases),
            *(
                [rf"(?:\A|(?<=: ))(?:{'|'.join(map(_escape, longest_first))})(?=\n|\z)"]
                if answers
                else []
            ),
            rf"\n(?:{symbols}|\?)\n",
            rf"\n(?:{symbols}|\?) (?=\d{{1,3}}[a-zA](?:[ \n]|\z))",
            r"(?<=[a-z?] )\d{1,3}[a-zA](?=[ \n]|\z)",
            r"(?:\A|(?<=: )|(?<=:\n))(?:[1-9]\d?|1\d\d|2[0-2]\d|230)(?=\n)",
            r" ?0\.\d{3}(?!\d)",
            r"[ \n]?(?:1[0-7]\d|[1-9]\d|\d)\.(?=\d\d(?!\d))",
            r"(?<=\d\.)\d\d(?!\d)",
            symbols,
            # Alone, so that a text that spells the name of a byte's token is not mistaken for it.
            "<(?=0x)",
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(cut), behavior="isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def _escape(text: str) -> str:
    """Escape a literal for the Oniguruma syntax of `tokenizers.Regex`."""
    return "".join(c if c.isalnum() or c in " \n," else f"\\{c}" for c in text)

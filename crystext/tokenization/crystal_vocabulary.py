r"""The crystal vocabulary of the shipped model: a number is one token or two, an element is one.

The text stays the same text; only its cutting differs from a general tokenizer's. Joining the
tokens of a text gives the text back, whatever the text is: what the vocabulary has no token for is
spelt in characters, and what is no printable ASCII, in bytes.

    5.64 5.64 5.64          "5." "64" " 5." "64" " 5." "64"
    90.00 90.00 90.00       "\n90." "00" " 90." "00" " 90." "00"
    Na                      "\nNa\n"
    0.000 0.250 0.500       "0.000" " 0.250" " 0.500"

    152                     "152"
    O 6c 0.413 0.267 0.119  "\nO " "6c" " 0.413" " 0.267" " 0.119"
    4.91 5.40               "\n4." "91" " 5." "40"

A whole number that a prompt asks for is one token as well.

Knows the pieces and their ids. Does not know which may follow which (`grammar`).
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from crystext.chemistry.elements import SYMBOLS
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS, wyckoff_positions
from crystext.text.formats import MAX_ANGLE, MAX_LENGTH

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS = "<pad>", "<s>", "</s>"

MASK = "?"
"""What the words of the project write in place of an element that is not known."""


def element_line(symbol: str) -> str:
    """Return the piece that stands for a line holding this element, newlines included."""
    return f"\n{symbol}\n"


def orbit_start(symbol: str) -> str:
    """Return the piece with which the line of an orbit begins, the newline before it included."""
    return f"\n{symbol} "


@cache
def position_names() -> tuple[str, ...]:
    """Return the names that Wyckoff positions have in any space group: 1a, 1b, ... 192l."""
    names = {
        p.name for group in range(1, N_SPACE_GROUPS + 1) for p in wyckoff_positions(group).values()
    }
    return tuple(sorted(names, key=lambda name: (int(name[:-1]), name[-1:])))


def vocabulary_pieces(phrases: Iterable[str] = ()) -> list[str]:
    """Return the pieces of the vocabulary in the order of their ids.

    Args:
        phrases: literal parts of the prompts, each to be one token.
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

    It is a BPE model without merges: the pre-tokenizer cuts the pieces out, and what it leaves
    falls apart into characters or bytes.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    phrases = sorted(phrases, key=len, reverse=True)
    vocabulary = {piece: i for i, piece in enumerate(vocabulary_pieces(phrases))}
    model = models.BPE(
        vocab=vocabulary, merges=[], ignore_merges=True, byte_fallback=True, unk_token=None
    )
    tokenizer = Tokenizer(model)
    symbols = "|".join(sorted(SYMBOLS, key=lambda s: (-len(s), s)))
    cut = "|".join(
        [
            *(_escape(phrase) for phrase in phrases),
            rf"\n(?:{symbols}|\?)\n",
            rf"\n(?:{symbols}|\?) (?=\d{{1,3}}[a-zA](?:[ \n]|\z))",
            r"(?<=[a-z?] )\d{1,3}[a-zA](?=[ \n]|\z)",
            r"(?:\A|(?<=: )|(?<=:\n))(?:[1-9]\d?|1\d\d|2[0-2]\d|230)(?=\n)",
            r" ?0\.\d{3}(?!\d)",
            r"[ \n]?(?:1[0-7]\d|[1-9]\d|\d)\.(?=\d\d(?!\d))",
            r"(?<=\d\.)\d\d(?!\d)",
            symbols,
            # Alone, so that a text which spells the name of a byte's token is not taken for it.
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

r"""Token ids of the field values of Wyckoff texts, in the crystal vocabulary.

    152         "152"
    Si 3a 0.470 "\nSi " "3a" " 0.470"
    4.91 5.40   "\n4." "91" " 5." "40"

Each step of a text has a token kind (`TokenKind`) with its set of tokens. After an orbit the next
token is that of another orbit or the whole part of the first length: the only step with two kinds.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import ModelError
from crystext.grammar.token_reader import DECIMALS
from crystext.structures.crystal import Ints
from crystext.structures.wyckoff.positions import N_SPACE_GROUPS
from crystext.text import WYCKOFF, Format
from crystext.text.formats import MAX_ANGLE, MAX_LENGTH
from crystext.tokenization.crystal_vocabulary import orbit_start, position_names

if TYPE_CHECKING:
    from crystext.tokenization.encode import AnyTokenizer


class TokenKind(Enum):
    """The kind of the next token of a text."""

    GROUP = "space group"
    ELEMENT = "element"
    POSITION = "position"
    COORDINATE = "coordinate"
    FIRST_WHOLE = "whole part of the first length"
    WHOLE = "whole part of another cell parameter"
    DECIMALS = "decimals of a cell parameter"


class WyckoffTokenReader:
    """Token ids of the values of each kind, for a tokenizer that has the crystal vocabulary."""

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        """Look up the ids; raise `ModelError` if the tokenizer lacks one."""
        known = tokenizer.get_vocab()
        pieces = {
            TokenKind.GROUP: [str(number) for number in range(1, N_SPACE_GROUPS + 1)],
            TokenKind.ELEMENT: [orbit_start(symbol) for symbol in SYMBOLS],
            TokenKind.POSITION: list(position_names()),
            TokenKind.COORDINATE: [f" 0.{i:03d}" for i in range(1000)],
            TokenKind.FIRST_WHOLE: [f"\n{i}." for i in range(MAX_LENGTH)],
            TokenKind.WHOLE: [f" {i}." for i in range(MAX_ANGLE)],
            TokenKind.DECIMALS: [f"{i:02d}" for i in range(DECIMALS)],
        }
        self.choices: dict[TokenKind, Ints] = {}
        """Ids of the tokens that a text can take at each kind, in the order of the values. At an
        element, those of the elements and then of the first lengths, which end the orbits."""
        for kind, listed in pieces.items():
            if missing := [piece for piece in listed if piece not in known]:
                raise ModelError(
                    f"the tokenizer has no token {missing[0]!r}; "
                    "it is not a crystal vocabulary with Wyckoff texts"
                )
            self.choices[kind] = np.array([known[piece] for piece in listed], dtype=np.int64)
        self.n_elements = len(SYMBOLS)
        lengths = self.choices[TokenKind.FIRST_WHOLE]
        self.choices[TokenKind.ELEMENT] = np.append(self.choices[TokenKind.ELEMENT], lengths)

    def first_value(self, kind: TokenKind) -> int:
        """Return the value of a kind's first token: groups and elements count from 1."""
        return 1 if kind in (TokenKind.GROUP, TokenKind.ELEMENT) else 0


def has_wyckoff_vocabulary(tokenizer: AnyTokenizer, fmt: Format) -> bool:
    """Return whether a tokenizer splits this format into tokens of the crystal vocabulary."""
    if fmt != WYCKOFF:
        return False
    try:
        WyckoffTokenReader(tokenizer)
    except ModelError:
        return False
    return True

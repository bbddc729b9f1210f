"""Prose on structures as encoders read it: numbers replaced, stopwords removed, formulas spelled.

A description by Robocrystallographer spends most of its words on bond lengths, angles and grammar.
LLM-Prop (Rubungo et al., arXiv:2310.14029) and LLM4Mat-Bench (arXiv:2411.00177) shorten it, so that
more of it fits into a model:

    All Sr–O bond lengths are 2.76 Å. The tilt angles range from 0–5°.
    Sr–O bond lengths [NUM]. tilt angles range [ANG].

The strategies bear the names of LLM4Mat-Bench; patterns and list of stopwords are not theirs, so
texts may differ in details.

A tokenizer that ignores case breaks formulas: `Ba2NdZrNbCuO3` becomes `##zrn ##bc ##uo`. Spelled
apart, `Ba 2 Nd Zr Nb Cu O 3`, every element keeps a token of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal, Self, get_args

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import SettingError, did_you_mean

LENGTH_TOKEN, ANGLE_TOKEN = "[NUM]", "[ANG]"
"""What stands for a bond length and for an angle."""

Strategy = Literal[
    "none",
    "bond_lengths_replaced_with_num",
    "bond_angles_replaced_with_ang",
    "no_stopwords",
    "no_stopwords_and_lengths_and_angles_replaced",
]
"""Names of the ways to shorten a description."""

DEFAULT_STRATEGY: Strategy = "no_stopwords_and_lengths_and_angles_replaced"

_DESCRIPTION = "description"
"""The representation that is shortened."""
_NOT_SPELLED = "smiles"
"""The representation whose letters are not those of a formula."""

_NUMBER = r"\d+(?:\.\d+)?"
# Robocrystallographer writes ranges with an en dash; the sign of the unit has three encodings.
_RANGE = rf"(?<![\d.]){_NUMBER}(?:\s*[–-]\s*{_NUMBER})?"
_LENGTH = re.compile(rf"{_RANGE}\s*(?:\u00c5|\u212b|A\u030a)")
_ANGLE = re.compile(rf"{_RANGE}\s*(?:°|degrees?\b)")

_NUMBER_WORDS = frozenset("one two three four five six seven eight nine ten eleven twelve".split())
"""Words that say how many neighbours there are, and stay."""

_SYMBOL = "|".join(sorted(SYMBOLS, key=lambda symbol: (-len(symbol), symbol)))
_FORMULA_PART = re.compile(rf"{_SYMBOL}|{_NUMBER}|[()\[\]]")
_FORMULA = re.compile(
    rf"(?<![\w.\[(])(?:[(\[]*(?:{_SYMBOL})(?:{_NUMBER})?(?:[)\]](?:{_NUMBER})?)*){{2,}}(?![\w\[(/])"
    rf"|(?<![\w.\[(])(?:{_SYMBOL}){_NUMBER}(?![\w\[(/])"
)


@cache
def english_stopwords() -> frozenset[str]:
    """Return the stopwords of scikit-learn, without the numbers one to twelve."""
    # It takes a second to import.
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS) - _NUMBER_WORDS


def remove_stopwords(text: str, stopwords: Iterable[str]) -> str:
    """Return a text without some words.

    Symbols of elements stay: In, As, I, He and No are stopwords to the library only. A word is what
    stands between white space, apart from punctuation at its end.
    """
    words = frozenset(stopwords)
    return " ".join(word for word in text.split() if not _is_stopword(word.rstrip(".,;:"), words))


def _is_stopword(word: str, stopwords: frozenset[str]) -> bool:
    return word.lower() in stopwords and word not in SYMBOLS


def replace_lengths(text: str) -> str:
    """Return a text with bond lengths, such as 2.28–2.43 Å, replaced by `LENGTH_TOKEN`."""
    return _LENGTH.sub(LENGTH_TOKEN, text)


def replace_angles(text: str) -> str:
    """Return a text with angles, such as 53–59° or 90 degrees, replaced by `ANGLE_TOKEN`."""
    return _ANGLE.sub(ANGLE_TOKEN, text)


def spell_formulas(text: str) -> str:
    """Return a text in which formulas are spelled: NaCl is Na Cl, Li2(CO3) is Li 2 ( C O 3 )."""
    return _FORMULA.sub(lambda found: " ".join(_FORMULA_PART.findall(found[0])), text)


@dataclass(frozen=True)
class TextPreparation:
    """What is done with the texts of records before a tokenizer reads them."""

    strategy: Strategy = DEFAULT_STRATEGY
    """How descriptions are shortened; no other text is."""
    spells_formulas: bool = False
    """Whether elements are spelled apart, in all texts but SMILES."""
    stopwords: frozenset[str] = frozenset()
    """Those that are removed; a saved model keeps its own."""

    @classmethod
    def of(cls, strategy: str, *, spells_formulas: bool) -> Self:
        """Return the preparation of a strategy, with the stopwords it needs.

        Raises:
            SettingError: there is no such strategy.
        """
        if strategy not in get_args(Strategy):
            known = get_args(Strategy)
            raise SettingError(
                f"no strategy {strategy!r} for descriptions; there are {', '.join(known)}."
                + did_you_mean(strategy, known)
            )
        words = english_stopwords() if "no_stopwords" in strategy else frozenset[str]()
        return cls(strategy, spells_formulas, words)  # type: ignore[arg-type]

    def prepare(self, representation: str, text: str) -> str:
        """Return a text as it is read, given the name of its representation."""
        if representation == _DESCRIPTION:
            everything = self.strategy == "no_stopwords_and_lengths_and_angles_replaced"
            if everything or self.strategy == "bond_lengths_replaced_with_num":
                text = replace_lengths(text)
            if everything or self.strategy == "bond_angles_replaced_with_ang":
                text = replace_angles(text)
            text = remove_stopwords(text, self.stopwords) if self.stopwords else text
        if self.spells_formulas and representation != _NOT_SPELLED:
            text = spell_formulas(text)
        return text

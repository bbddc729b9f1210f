r"""Encode text by byte-level BPE, word by word, with a cache of words.

A byte-level BPE tokenizer (GPT-2, LLaMA-3, Qwen, and those trained here) cuts a text into words by
one regular expression and encodes each word alone. So a word that occurs again has the same tokens,
and a table of words is enough for nearly all of a corpus. `evaluation/speed/corpus_speed.py`
compares the speed with that of `tokenizers`, which makes an object for each word.

The ids are those of the tokenizer, always: words that are not in the table are encoded by it, and
texts for which the two might differ are left to it. Python's `re` knows no classes such as \p{L},
so the letters and numbers among `_CHARACTERS` are written out. They are of blocks of Unicode whose
categories are the same in every version of the last years, and include the letters and signs that
papers in English use. A text with any other character is not encoded here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What the `ByteLevel` step of `tokenizers` cuts by, if it cuts."""

_MAX_WORDS = 250_000
"""Size of the table, some 50 MB; a full one is emptied."""

_MAX_WORD = 64
"""Longer words are encoded, but not remembered."""

_RANGES = (
    (0x09, 0x0D),
    (0x20, 0x17E),  # without U+017F, which is an s if case is ignored
    (0x180, 0x36F),  # Latin, IPA, accents
    (0x391, 0x52F),  # Greek, Cyrillic
    (0x2000, 0x2029),  # spaces and punctuation
    (0x202F, 0x205F),
    (0x2070, 0x2071),  # superscripts and subscripts
    (0x2074, 0x209C),
    (0x2100, 0x218B),  # signs such as that of the ångström, fractions
    (0x2190, 0x2BFF),  # arrows, operators, shapes
    (0x3000, 0x3020),
    (0xE000, 0xF8FF),  # private use, in texts from PDF
    (0xFB00, 0xFB04),  # ligatures
    (0xFFFC, 0xFFFD),
)
"""Characters of the texts that are encoded here."""

_CHARACTERS = re.compile(
    "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _RANGES) + "]*"
)

_OTHER_CLASSES = re.compile(r"\\[^srnt\W_\d]", re.IGNORECASE)
r"""Classes such as \w, on which Python and Oniguruma may disagree."""

_SAMPLE = (
    "It's  2.05(3) Å,\tfor Ba₂CuO₄–δ at 10² K;\n\n  we'll see: x = ½ µm ≤ 3\u00a0%.\r\n"
    "data_NaCl\n_cell_length_a   5.640000\n  Na  Na1  0.12500  0.25000\n\n\n   Σ(i) -- {end}  "
)
"""A text on which the cache and the tokenizer are compared before the cache is used."""


class PretokenCache:
    """Encodes texts with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer, pattern: str, ids_type: np.dtype[Any]) -> None:
        """Prepare; see `open_cache`.

        Args:
            tokenizer: encodes a word.
            pattern: cuts texts into words; of Rust or Oniguruma.
            ids_type: of the ids.
        """
        self.ids_type = ids_type
        self._ascii = _compiled(pattern, ascii_only=True)
        self._any = _compiled(pattern, ascii_only=False)
        self._ids_of_word: Callable[[str], bytes] = _Words(tokenizer, ids_type).__getitem__

    def encode(self, text: str) -> NDArray[Any] | None:
        """Return the ids of a text; None if the tokenizer has to encode it."""
        if text.isascii():
            # The separators of ASCII are white space in Python only.
            if any(separator in text for separator in "\x1c\x1d\x1e\x1f"):
                return None
            words = self._ascii.findall(text)
        elif _CHARACTERS.fullmatch(text):
            words = self._any.findall(text)
        else:
            return None
        return np.frombuffer(b"".join(map(self._ids_of_word, words)), self.ids_type)


class _Words(dict[str, bytes]):
    """The ids of words, as bytes."""

    def __init__(self, tokenizer: Tokenizer, ids_type: np.dtype[Any]) -> None:
        super().__init__()
        self._tokenizer, self._ids_type = tokenizer, ids_type

    def __missing__(self, word: str) -> bytes:
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        data = np.array(ids, self._ids_type).tobytes()
        if len(word) <= _MAX_WORD:
            if len(self) >= _MAX_WORDS:
                self.clear()
            self[word] = data
        return data


def open_cache(tokenizer: Tokenizer, ids_type: np.dtype[Any]) -> PretokenCache | None:
    """Return a cache for a tokenizer; None if it is of another kind, or cuts by other means."""
    pattern = _pattern(json.loads(tokenizer.to_str()))
    if pattern is None:
        return None
    try:
        found = PretokenCache(tokenizer, pattern, ids_type)
    except re.error:
        return None
    for text in (_SAMPLE, _SAMPLE.encode("ascii", "ignore").decode()):
        ids = found.encode(text)
        if ids is None or ids.tolist() != tokenizer.encode(text, add_special_tokens=False).ids:
            return None
    return found


def _pattern(about: Any) -> str | None:
    """Return the expression by which a byte-level BPE tokenizer cuts; None for any other."""
    model, steps = about["model"], about["pre_tokenizer"]
    if (
        model["type"] != "BPE"
        or about["normalizer"] is not None
        or model.get("dropout")
        or model.get("continuing_subword_prefix")
        or model.get("end_of_word_suffix")
        or model.get("byte_fallback")
        # These are cut out of a text before anything else.
        or any(not token["special"] for token in about["added_tokens"])
        or steps is None
    ):
        return None
    steps = steps["pretokenizers"] if steps["type"] == "Sequence" else [steps]
    last = steps[-1]
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        return None
    if len(steps) == 1 and last["use_regex"]:
        return GPT2_PATTERN
    if len(steps) != 2 or last["use_regex"] or steps[0]["type"] != "Split":
        return None
    cut = steps[0]
    if cut["behavior"] != "Isolated" or cut["invert"]:
        return None
    pattern: str | None = cut["pattern"].get("Regex")
    return pattern


def _compiled(pattern: str, *, ascii_only: bool) -> re.Pattern[str]:
    r"""Return an expression with \p{L} and \p{N} written out.

    Raises:
        re.error: it has other parts that Python does not know.
    """
    letters, numbers = _letters_and_numbers(ascii_only)
    if _OTHER_CLASSES.search(pattern.replace(r"\p{L}", "").replace(r"\p{N}", "")):
        raise re.error("it has other classes")
    for name, characters in ((r"\p{L}", letters), (r"\p{N}", numbers)):
        parts = pattern.split(name)
        pattern = parts[0]
        for part in parts[1:]:
            opened = pattern.replace(r"\[", "").replace(r"\]", "")
            in_class = opened.count("[") > opened.count("]")
            pattern += (characters if in_class else f"[{characters}]") + part
    # Groups would change what `findall` returns.
    compiled = re.compile(pattern)
    if compiled.groups:
        raise re.error("it has groups")
    return compiled


@cache
def _letters_and_numbers(ascii_only: bool) -> tuple[str, str]:
    """Return the letters and the numbers among `_CHARACTERS`, as inside of a class."""
    points = [x for first, last in _RANGES for x in range(first, last + 1)]
    if ascii_only:
        points = [x for x in points if x < 128]
    kinds = {x: unicodedata.category(chr(x))[0] for x in points}
    return _as_ranges(x for x in points if kinds[x] == "L"), _as_ranges(
        x for x in points if kinds[x] == "N"
    )


def _as_ranges(points: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for x in points:
        if ranges and ranges[-1][1] == x - 1:
            ranges[-1][1] = x
        else:
            ranges.append([x, x])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def encode_all(
    texts: Sequence[str], tokenizer: Tokenizer, words: PretokenCache | None, kind: np.dtype[Any]
) -> list[NDArray[Any]]:
    """Return the ids of texts: by the cache where it can, else by the tokenizer, in one batch."""
    found = [None if words is None else words.encode(text) for text in texts]
    rest = [i for i, ids in enumerate(found) if ids is None]
    encodings = tokenizer.encode_batch_fast([texts[i] for i in rest], add_special_tokens=False)
    for i, encoding in zip(rest, encodings, strict=True):
        found[i] = np.array(encoding.ids, kind)
    return [ids for ids in found if ids is not None]

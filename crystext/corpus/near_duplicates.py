"""Find documents that are nearly the same: MinHash signatures, and bands of them.

A signature estimates the Jaccard similarity of the sets of shingles (five words in a row, case
ignored) of two documents: it is the proportion of their numbers that agree. Documents are compared
if they agree in at least one of `BANDS` bands of eight numbers each: of two documents with a
similarity of 0.8, 95% are; with 0.9, all but 1 in 10,000; with 0.5, 6%.

Sources: Broder, Proc. Compression and Complexity of Sequences, 21 (1997); Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3. Signatures are those of rensa, of its algorithm
RMinHash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from crystext.errors import SettingError

SIGNATURE_SIZE, BANDS = 128, 16

_SHINGLE_WORDS = 5
_SEED = 1
_WORD = re.compile(r"\w+")
_DOCUMENTS_PER_CALL = 64


def require_minhash() -> None:
    """Refuse to begin without the library that computes signatures.

    Raises:
        SettingError: it is not installed.
    """
    if find_spec("rensa") is None:
        raise SettingError(
            "duplicates.near needs rensa: pip install 'crystext[corpus]', or leave it out"
        )


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return the signatures of texts; shape (texts, `SIGNATURE_SIZE`)."""
    from rensa import RMinHash

    rows = np.zeros((len(texts), SIGNATURE_SIZE), "<u4")
    for i, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        shingles = [
            " ".join(words[k : k + _SHINGLE_WORDS])
            for k in range(max(1, len(words) - _SHINGLE_WORDS + 1))
        ]
        minhash = RMinHash(num_perm=SIGNATURE_SIZE, seed=_SEED)
        minhash.update(shingles)
        rows[i] = minhash.digest()
    return rows


def band_keys(rows: NDArray[np.uint32], band: int) -> NDArray[np.uint64]:
    """Return a number for each signature that is equal where all numbers of a band are."""
    width = SIGNATURE_SIZE // BANDS
    keys = np.zeros(len(rows), np.uint64)
    # An odd factor modulo 2^64: collisions are harmless, as pairs are compared afterwards.
    for column in rows[:, band * width : (band + 1) * width].T:
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + column + np.uint64(1)
        keys ^= keys >> np.uint64(29)
    return keys

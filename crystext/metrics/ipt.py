"""How much a model's surprise at a crystal depends on where the crystal's origin was put.

IPT, the increase in perplexity under transformation (Gruver et al., arXiv:2402.04379), of a
crystal s:

    IPT(s) = E_g [PPL(t_g(s)) - PPL(t_g*(s))],   g* = argmin_g PPL(t_g(s)),

over random translations t_g of all atoms together. PPL is exp of the mean loss per token of the
crystal's text, given the prompt. Zero: the model knows that a translation changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystext.augment import translate
from crystext.codec import Format, encode
from crystext.crystal import Crystal


def translated_texts(crystal: Crystal, fmt: Format, count: int, seed: int) -> list[str]:
    """Return the texts of a crystal under `count` random translations, which the seed decides."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
    return [encode(translate(crystal, rng), fmt) for _ in range(count)]


def increase_in_perplexity(mean_losses: Sequence[float]) -> float:
    """Return the IPT of one crystal.

    Args:
        mean_losses: in nats per token, one for each translation.
    """
    perplexities = np.exp(np.asarray(mean_losses, dtype=np.float64))
    return float(perplexities.mean() - perplexities.min())


def mean_ipt(
    crystals: Sequence[Crystal],
    mean_losses: Callable[[list[str]], Sequence[float]],
    fmt: Format,
    *,
    translations: int = 20,
    seed: int = 0,
) -> float:
    """Return the mean IPT of crystals.

    Args:
        crystals: one or more.
        mean_losses: scores texts: the mean loss per token of each, in nats.
        fmt: how the crystals are written.
        translations: of each crystal.
        seed: of the translations; crystal i has those of seed + i.
    """
    return float(
        np.mean(
            [
                increase_in_perplexity(
                    mean_losses(translated_texts(crystal, fmt, translations, seed + i))
                )
                for i, crystal in enumerate(crystals)
            ]
        )
    )

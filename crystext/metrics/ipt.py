"""How much a model's surprise at a crystal depends on where the crystal's origin was put.

IPT, the increase in perplexity under transformation (Gruver et al., arXiv:2402.04379), of a
crystal s:

    IPT(s) = E_g [PPL(t_g(s)) - PPL(t_g*(s))],   g* = argmin_g PPL(t_g(s)),

over random translations t_g of all atoms together. PPL is exp of the mean loss per token of the
crystal's text, given the prompt. Zero: the model knows that a translation changes nothing.

A text by symmetry leaves no translation open but those of the space group's normaliser: there t_g
runs over the equivalent choices of origin, axes and representative sites
(`augment.randomize_description`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystext.structures.augment import randomize_description, translate
from crystext.structures.crystal import Crystal
from crystext.structures.wyckoff.orbits import to_wyckoff
from crystext.text import Format, encode
from crystext.text.wyckoff import format_wyckoff


def transformed_texts(crystal: Crystal, fmt: Format, count: int, seed: int) -> list[str]:
    """Return the texts of a crystal under `count` random transformations, which the seed decides.

    Raises:
        InputError: the crystal cannot be written in the format.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
    if fmt.is_wyckoff:
        symmetric = to_wyckoff(crystal)
        return [format_wyckoff(randomize_description(symmetric, rng), fmt) for _ in range(count)]
    return [encode(translate(crystal, rng), fmt) for _ in range(count)]


def increase_in_perplexity(mean_losses: Sequence[float]) -> float:
    """Return the IPT of one crystal.

    Args:
        mean_losses: in nats per token, one for each transformation.
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
        translations: texts of each crystal.
        seed: of the translations; crystal i has those of seed + i.
    """
    return float(
        np.mean(
            [
                increase_in_perplexity(
                    mean_losses(transformed_texts(crystal, fmt, translations, seed + i))
                )
                for i, crystal in enumerate(crystals)
            ]
        )
    )

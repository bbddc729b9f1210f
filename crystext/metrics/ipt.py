"""How much a model's perplexity of a crystal depends on the choice of origin.

IPT, the increase in perplexity under transformation (Gruver et al., arXiv:2402.04379), of a
crystal s:

    IPT(s) = E_g [PPL(t_g(s)) - PPL(t_g*(s))],   g* = argmin_g PPL(t_g(s)),

over random translations t_g of all atoms together. PPL is exp of the mean loss per token of the
crystal's text, given the prompt. Zero: the model knows that a translation changes nothing.

In formats other than coordinates, t_g runs over the equivalent descriptions that the format allows
(`Format.equivalent_texts`): in the Wyckoff format, over the choices of origin, axes and
representative sites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystext.structures.crystal import Crystal
from crystext.text import Format


def transformed_texts(crystal: Crystal, fmt: Format, count: int, seed: int) -> list[str]:
    """Return the texts of a crystal under `count` random transformations, determined by the seed.

    Raises:
        InputError: the format cannot express the crystal.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
    return fmt.equivalent_texts(crystal, count, rng)


def increase_in_perplexity(mean_losses: Sequence[float]) -> float:
    """Return the IPT of one crystal.

    Args:
        mean_losses: losses in nats per token, one for each transformation.
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
        fmt: the text format.
        translations: number of texts per crystal.
        seed: seed of the translations; crystal i uses seed + i.
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

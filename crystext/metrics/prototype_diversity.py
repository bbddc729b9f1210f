"""Mode collapse by structure: how many different prototypes the crystals have.

    different prototypes = number of different labels of `prototypes.prototype_label`

among the crystals of a set; a crystal in which spglib finds no symmetry operations has none. The
number is the definition of our own; prototypes are those of `prototypes`.

What goes wrong otherwise: thousands of different formulas may be rock salt and perovskite with
their elements exchanged. The number grows with the number of samples: compare equal ones.
"""

from __future__ import annotations

from crystext.metrics.base import Metric, MetricInput, map_crystals
from crystext.metrics.prototypes import find_prototype, prototype_label
from crystext.structures.crystal import Crystal


def crystal_prototype_label(crystal: Crystal) -> str | None:
    """Return the label of a crystal's prototype; None if spglib finds no symmetry."""
    prototype = find_prototype(crystal)
    return None if prototype is None else prototype_label(prototype)


def _prototypes(samples: MetricInput) -> float:
    labels = map_crystals(
        crystal_prototype_label, samples.crystals, samples.workers, samples.report
    )
    return len({label for label in labels if label is not None})


PROTOTYPES = Metric(
    name="prototypes",
    title="different prototypes",
    compute=_prototypes,
    better="higher",
    source="our own; space groups and Wyckoff letters by spglib at 0.1 Å",
    libraries=("spglib",),
)

"""A metric: the volume per atom."""

from crystext.metrics.base import Metric, per_crystal
from crystext.structures.crystal import Crystal


def volume_per_atom(crystal: Crystal) -> float:
    """Return the volume of the cell in Å^3, divided by its number of atoms."""
    return crystal.volume / len(crystal)


METRIC = Metric(
    name="volume_per_atom",
    title="volume per atom",
    unit="Å^3",
    compute=per_crystal(volume_per_atom),
    source="a test",
)

"""Where an evaluation keeps its relaxations, and what hulls and potentials are identified by."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from crystext.data.source import checksum
from crystext.energies.hull_sources import shipped_file
from crystext.energies.potentials import PotentialSource, potential_identity
from crystext.energies.relax import RelaxationLimits
from crystext.runtime.files import json_digest
from crystext.runtime.provenance import installed_versions

_LIBRARIES = {"chgnet": "chgnet", "sevennet": "sevenn"}
"""Libraries that run potentials; the others are run by matgl."""


def relaxation_folder(cache: Path, source: PotentialSource, limits: RelaxationLimits) -> Path:
    """Return the folder of a potential's relaxations, reused for other hulls and samples.

    Args:
        cache: folder for what stages share.
        source: of the potential.
        limits: of each relaxation.
    """
    potential = potential_identity(source)
    library = _LIBRARIES.get(potential, "matgl")
    made_from = {
        "potential": potential,
        "limits": asdict(limits),
        "libraries": installed_versions(("ase", library, "torch")),
    }
    return cache / f"relaxations-{json_digest(made_from)[:16]}"


def hull_identity(hull: str) -> str:
    """Return the checksum of a hull's file or folder, and any other name as it is."""
    source = shipped_file(hull) or hull
    return checksum(Path(source)) if Path(source).exists() else str(source)

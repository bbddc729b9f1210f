"""The 105 descriptors of RDKit that molecules are pretrained on.

Source of the list: the authors' repository of arXiv:2405.00949. They are RDKit's two-dimensional
descriptors of 2023 without those that are 0 for nearly every molecule, most of the counts of
fragments. A descriptor that does not exist for a molecule (partial charges beside a metal, a
molecular weight of a dummy atom) is nan; see `targets` for what becomes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crystext.chemistry.molecules import descriptors
from crystext.structures.crystal import Floats


def _numbered(prefix: str, numbers: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in numbers.split())


DESCRIPTORS: tuple[str, ...] = (
    # Electrotopological states, drug-likeness, spatial score, weights, electrons.
    *("MaxAbsEStateIndex", "MaxEStateIndex", "MinAbsEStateIndex", "MinEStateIndex", "qed", "SPS"),
    *("MolWt", "HeavyAtomMolWt", "ExactMolWt", "NumValenceElectrons"),
    # Partial charges, densities of fingerprints, eigenvalues of Burden's matrix.
    *("MaxPartialCharge", "MinPartialCharge", "MaxAbsPartialCharge", "MinAbsPartialCharge"),
    *_numbered("FpDensityMorgan", "1 2 3"),
    *_numbered("BCUT2D_", "MWHI MWLOW CHGHI CHGLO LOGPHI LOGPLOW MRHI MRLOW"),
    # Indices of the graph.
    *("AvgIpc", "BalabanJ", "BertzCT"),
    *_numbered("Chi", "0 0n 0v 1 1n 1v 2n 2v 3n 3v 4n 4v"),
    *("HallKierAlpha", "Ipc", "Kappa1", "Kappa2", "Kappa3"),
    # Surface areas by charge, refractivity, lipophilicity and electrotopological state.
    "LabuteASA",
    *_numbered("PEOE_VSA", "1 10 2 3 6 7 8 9"),
    *_numbered("SMR_VSA", "1 10 3 5 6 7"),
    *_numbered("SlogP_VSA", "1 10 2 3 4 5 6"),
    "TPSA",
    *_numbered("EState_VSA", "1 10 2 3 4 5 6 7 8 9"),
    *_numbered("VSA_EState", "1 2 3 4 6 7 8"),
    # Counts.
    *("FractionCSP3", "HeavyAtomCount", "NHOHCount", "NOCount", "NumAliphaticRings"),
    *("NumAromaticCarbocycles", "NumAromaticHeterocycles", "NumAromaticRings", "NumHAcceptors"),
    *("NumHDonors", "NumHeteroatoms", "NumRotatableBonds", "RingCount"),
    *("MolLogP", "MolMR"),
    *_numbered("fr_", "C_O C_O_noCOO NH0 NH1 benzene"),
)


def descriptor_values(smiles: Sequence[str]) -> Floats:
    """Return the descriptors of molecules, shape (N, 105); nan where one does not exist.

    Raises:
        UnavailableError: RDKit is not installed.
    """
    return descriptors(smiles, DESCRIPTORS)

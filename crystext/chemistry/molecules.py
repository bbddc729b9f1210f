"""Molecules from SMILES by RDKit: canonical SMILES, scaffolds, descriptors and fingerprints.

RDKit is optional, `pip install 'crystext[molecules]'`; whoever needs it learns so in one sentence.

What goes wrong otherwise: one molecule has many SMILES, so a comparison of texts misses those test
molecules that stand in the training data in another spelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crystext.errors import UnavailableError

MORGAN_RADIUS, MORGAN_BITS = 2, 2048
"""Radius and length of Morgan fingerprints; those of ECFP4."""

_LARGEST = float(np.finfo(np.float32).max)


def has_rdkit() -> bool:
    """Return whether RDKit is installed."""
    return find_spec("rdkit") is not None


def require_rdkit() -> None:
    """Raise an `UnavailableError` unless RDKit is installed."""
    if not has_rdkit():
        raise UnavailableError(
            "molecules need RDKit, which is not installed; try: pip install 'crystext[molecules]'"
        )


@cache
def _rdkit() -> Any:
    """Return RDKit's module, silent from now on: what it cannot parse is told by the caller."""
    require_rdkit()
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    return Chem


@lru_cache(maxsize=1 << 16)
def canonical_smiles(smiles: str) -> str | None:
    """Return RDKit's canonical SMILES, stereochemistry included; None if it is no molecule."""
    chemistry = _rdkit()
    molecule = chemistry.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    return str(chemistry.MolToSmiles(molecule))


@lru_cache(maxsize=1 << 14)
def _molecule(smiles: str) -> Any:
    return _rdkit().MolFromSmiles(smiles)


def random_smiles(smiles: str, seed: int) -> str | None:
    """Return a random one of the SMILES of a molecule; None if it is no molecule.

    It begins at a random atom and takes branches in random order.

    Args:
        smiles: any SMILES of the molecule.
        seed: below 2^31; the same seed gives the same SMILES.
    """
    molecule = _molecule(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    # RDKit takes a seed of 0 or less for none.
    found = _rdkit().MolToRandomSmilesVect(molecule, 1, randomSeed=seed + 1)
    return str(found[0])


@lru_cache(maxsize=1 << 16)
def scaffold(smiles: str) -> str | None:
    """Return the Bemis-Murcko scaffold as SMILES; None if it is no molecule.

    It holds rings and the chains between them, without stereochemistry, and is empty if there is
    no ring. Source: Bemis and Murcko, J. Med. Chem. 39, 2887 (1996).
    """
    molecule = _rdkit().MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    return str(MurckoScaffoldSmiles(mol=molecule, includeChirality=False))


@cache
def descriptor_names() -> tuple[str, ...]:
    """Return the names of RDKit's two-dimensional descriptors, in its order."""
    require_rdkit()
    from rdkit.Chem import Descriptors

    return tuple(name for name, _ in Descriptors._descList)


def descriptors(smiles: Sequence[str], names: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return RDKit's two-dimensional descriptors of molecules, shape (N, number of descriptors).

    A row of nan is no molecule; in other rows a descriptor that does not exist (partial charges of
    an ion) is nan, too.

    Args:
        smiles: of N molecules.
        names: of `descriptor_names`; None is all, in its order.
    """
    chemistry = _rdkit()
    from rdkit.Chem import Descriptors

    by_name = dict(Descriptors._descList)
    functions = [by_name[name] for name in (names or by_name)]
    rows = np.full((len(smiles), len(functions)), np.nan)
    for row, text in zip(rows, smiles, strict=True):
        molecule = chemistry.MolFromSmiles(text)
        if molecule is None or molecule.GetNumAtoms() == 0:
            continue
        for i, function in enumerate(functions):
            try:
                row[i] = function(molecule)
            except (ValueError, RuntimeError, ArithmeticError):
                continue
    # Some are infinite, or larger than what trees take.
    rows[~(np.abs(rows) < _LARGEST)] = np.nan
    return rows


def morgan_fingerprints(smiles: Sequence[str]) -> NDArray[np.float64]:
    """Return Morgan fingerprints of molecules, shape (N, 2048); a row of nan is no molecule."""
    chemistry = _rdkit()
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=MORGAN_RADIUS, fpSize=MORGAN_BITS)
    rows = np.full((len(smiles), MORGAN_BITS), np.nan)
    for i, text in enumerate(smiles):
        molecule = chemistry.MolFromSmiles(text)
        if molecule is not None and molecule.GetNumAtoms() > 0:
            rows[i] = generator.GetFingerprintAsNumPy(molecule)
    return rows

"""Fingerprints of crystals: 61 numbers for the structure, 132 for the composition.

Structure: the mean over all atoms of matminer's `CrystalNNFingerprint` with the preset "ops": for
each coordination number n from 1 to 24 its probability, then that times each motif's order
parameter (see `structures.crystal_nn` and `order_parameters`). Composition: for each of 22
elemental properties of Magpie the minimum, maximum, range, mean, mean absolute deviation and mode
over atoms, standardised by CDVAE's constants; unknown properties of an element are 0 after that,
as in CDVAE.

Sources: Zimmermann and Jain, RSC Adv. 10, 6063 (2020); Ward et al., npj Comput. Mater. 2, 16028
(2016); Xie et al., ICLR 2022, arXiv:2110.06197. The numbers are those of matminer 0.10.1, which
cannot be installed with pandas 3 and is some twenty times slower.

What goes wrong otherwise: leaving out a crystal without a fingerprint (with coinciding atoms, say)
makes precision look better than it is; here it is a row of nan and counts.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crystext.chemistry.element_features import element_properties
from crystext.errors import InputError, describe_error
from crystext.metrics.matminer.order_parameters import (
    MOTIFS,
    NeighbourFrames,
    body_centred_pairs,
    neighbour_frames,
)
from crystext.runtime.files import write_npz
from crystext.runtime.processes import Workers, run_tasks
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.structures.crystal_nn import Environment, environments

MAX_COORDINATION = 24

FINGERPRINT_LABELS = tuple(
    f"{name} CN_{n}"
    for n in range(1, MAX_COORDINATION + 1)
    for name in ("wt", *(motif for motif, _ in MOTIFS.get(n, [])))
)
"""Labels of the 61 numbers of a structure."""

_PROBABILITY_INDEX = {
    n: FINGERPRINT_LABELS.index(f"wt CN_{n}") for n in range(1, MAX_COORDINATION + 1)
}
"""Index of the probability of each coordination number."""

_BODY_CENTRED_INDEX = FINGERPRINT_LABELS.index("body-centered cubic CN_8")

FINGERPRINT_METHOD = "ops-1"
"""Version of structure fingerprints in caches and shipped sets; change it together with the
numbers."""
_CHUNK_SIZE = 50
"""Number of crystals in a work item."""
_SAVE_EVERY = 20
"""Number of chunks between two saves of the cache."""


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of N crystals, failed ones included as rows of nan."""

    structures: Floats
    """Shape (N, 61)."""
    compositions: Floats
    """Standardised; shape (N, 132)."""

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def is_complete(self) -> NDArray[np.bool_]:
        """Which crystals have both; shape (N,)."""
        both = np.concatenate([self.structures, self.compositions], axis=1)
        known: NDArray[np.bool_] = np.isfinite(both).all(axis=1)
        return known


def fingerprints(
    crystals: Sequence[Crystal],
    *,
    cache: Path | None = None,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> Fingerprints:
    """Return the fingerprints of crystals.

    Args:
        crystals: in any number.
        cache: an .npz file of structure fingerprints by crystal, read if it exists, and updated
            regularly, so that a kill loses little.
        workers: processes, or an executor; the result does not depend on it.
        report: called with the number of crystals done, and of all.

    Raises:
        InputError: the cache is not such a file.
    """
    keys = [crystal.digest() for crystal in crystals]
    known = _read_cache(cache) if cache is not None else {}
    missing = {key: c for key, c in zip(keys, crystals, strict=True) if key not in known}
    report(len(crystals) - len(missing), len(crystals))
    items = list(missing.items())
    chunks = [items[i : i + _CHUNK_SIZE] for i in range(0, len(items), _CHUNK_SIZE)]
    tasks = [(number, [crystal for _, crystal in chunk]) for number, chunk in enumerate(chunks)]
    done = len(crystals) - len(missing)
    if workers != 1 and len(tasks) > 1:
        answers = run_tasks(_load_structure_fingerprints, tasks, workers)
    else:
        answers = ((number, structure_fingerprints(chunk)) for number, chunk in tasks)
    for count, (number, rows) in enumerate(answers, start=1):
        if rows is None:  # The process died on one of them, out of memory.
            rows = np.full((len(chunks[number]), len(FINGERPRINT_LABELS)), np.nan)
        known |= {key: row for (key, _), row in zip(chunks[number], rows, strict=True)}
        done += len(chunks[number])
        report(done, len(crystals))
        if cache is not None and (count % _SAVE_EVERY == 0 or count == len(tasks)):
            _write_cache(cache, known)
    return Fingerprints(
        np.array([known[key] for key in keys]).reshape(len(keys), len(FINGERPRINT_LABELS)),
        composition_fingerprints(crystals),
    )


def structure_fingerprints(crystals: Sequence[Crystal]) -> Floats:
    """Return the structures' fingerprints, shape (N, 61); nan if an atom has no neighbours."""
    return np.array([rows.mean(axis=0) for rows in site_fingerprints(crystals)])


def site_fingerprints(crystals: Sequence[Crystal]) -> list[Floats]:
    """Return the fingerprint of each atom of each crystal, shapes (atoms, 61); nan if it failed."""
    sites = [np.zeros((len(crystal), len(FINGERPRINT_LABELS))) for crystal in crystals]
    alike: dict[int, list[_FingerprintRow]] = defaultdict(list)
    for crystal, rows in zip(crystals, sites, strict=True):
        try:
            found = environments(crystal)
        except InputError:
            rows[:] = np.nan
            continue
        for atom, (row, surroundings) in enumerate(zip(rows, found, strict=True)):
            for environment in surroundings:
                n = len(environment.vectors)
                if n <= MAX_COORDINATION:
                    row[_PROBABILITY_INDEX[n]] = environment.probability
                    alike[n].append(_FingerprintRow(row, environment, crystal, atom))
    for n, places in alike.items():
        for i in range(0, len(places), _BATCH_SIZE):
            _fill_motifs(n, places[i : i + _BATCH_SIZE])
    return sites


_BATCH_SIZE = 256
"""Number of environments of one size whose motifs are computed together: some 10 MB."""


_TIE_TOLERANCE = 1e-9
"""Weights, and terms of an order parameter, that differ by less are equal up to rounding."""


class _FingerprintRow(NamedTuple):
    """An environment, and the row of numbers it contributes to."""

    row: Floats
    environment: Environment
    crystal: Crystal
    atom: int


def _fill_motifs(n: int, rows: Sequence[_FingerprintRow]) -> None:
    motifs = MOTIFS.get(n, [])
    if not motifs:
        return
    seen = neighbour_frames(np.array([place.environment.vectors for place in rows]))
    for number, (_, motif) in enumerate(motifs, start=_PROBABILITY_INDEX[n] + 1):
        for place, value in zip(rows, motif(seen).tolist(), strict=True):
            place.row[number] = value * place.environment.probability
    if n == 8:
        for place, hazy in zip(rows, _is_rounding_sensitive(rows, seen), strict=True):
            if hazy:
                value = _pymatgen_body_centred(place)
                place.row[_BODY_CENTRED_INDEX] = value * place.environment.probability


def _is_rounding_sensitive(
    rows: Sequence[_FingerprintRow], frames: NeighbourFrames
) -> NDArray[np.bool_]:
    """Return for which environments the body-centred parameter depends on rounding.

    The first of a pair is its pole, so the order of neighbours of equal weight matters; and the
    parameter jumps where two neighbours stand at right angles.
    """
    weights = np.array([place.environment.weights for place in rows])
    tied = np.abs(weights[:, :, None] - weights[:, None, :]) < _TIE_TOLERANCE
    pairs = body_centred_pairs(frames)
    unlike = np.abs(pairs - pairs.swapaxes(1, 2)) > _TIE_TOLERANCE
    upright = np.abs(frames.theta - math.pi / 2) < _TIE_TOLERANCE
    hazy: NDArray[np.bool_] = (upright | (tied & unlike)).any(axis=(1, 2))
    return hazy


def _pymatgen_body_centred(row: _FingerprintRow) -> float:
    """Return the parameter with pymatgen's rounding."""
    import warnings

    from pymatgen.core.local_env import CrystalNN, LocalStructOrderParams

    structure = row.crystal.structure
    with warnings.catch_warnings():
        # The warning that there are no oxidation states.
        warnings.simplefilter("ignore")
        found = CrystalNN().get_nn_data(structure, row.atom).cn_nninfo.get(8, [])
    sites: Any = [structure[row.atom], *(neighbour["site"] for neighbour in found)]
    indices = list(range(1, len(sites)))
    (value,) = LocalStructOrderParams(["bcc"]).get_order_parameters(sites, 0, indices)
    return float(value or 0.0)


def composition_fingerprints(crystals: Sequence[Crystal]) -> Floats:
    """Return the standardised fingerprints of the compositions of crystals, shape (N, 132)."""
    rows = [composition_fingerprint(crystal.numbers) for crystal in crystals]
    return np.array(rows).reshape(len(crystals), len(_scale().mean))


def composition_fingerprint(numbers: Ints) -> Floats:
    """Return the standardised fingerprint of a composition, shape (132,).

    Args:
        numbers: atomic numbers of all atoms, in any order.
    """
    found, counts = np.unique(numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    return _composition(tuple(found.tolist()), tuple(counts.tolist()))


@lru_cache(maxsize=1 << 16)
def _composition(numbers: tuple[int, ...], counts: tuple[int, ...]) -> Floats:
    values_E_P = element_properties()[np.array(numbers) - 1]
    shares = np.array(counts) / sum(counts)
    low, high = values_E_P.min(axis=0), values_E_P.max(axis=0)
    mean = shares @ values_E_P
    deviation = shares @ np.abs(values_E_P - mean)
    # If several elements are most frequent, the lowest value counts.
    mode = values_E_P[np.isclose(shares, shares.max())].min(axis=0)
    features = np.stack([low, high, high - low, mean, deviation, mode], axis=1).ravel()
    return np.nan_to_num((features - _scale().mean) / _scale().std, nan=0.0)


class _Scale(NamedTuple):
    mean: Floats
    std: Floats


@cache
def _scale() -> _Scale:
    """Return the constants by which CDVAE standardises compositions, shapes (132,)."""
    path = Path(__file__).parents[1] / "tables" / "cdvae_standardisation.json"
    scale = json.loads(path.read_text(encoding="utf-8"))["standardisation"]
    return _Scale(np.array(scale["mean"]), np.array(scale["std"]))


def _load_structure_fingerprints() -> Callable[[Sequence[Crystal]], Floats]:
    return structure_fingerprints


def _read_cache(path: Path) -> dict[str, Floats]:
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["method"]) != FINGERPRINT_METHOD:
                return {}
            keys, rows = file["keys"], file["structures"]
        if rows.shape != (len(keys), len(FINGERPRINT_LABELS)):
            raise ValueError(f"its arrays have the shapes {keys.shape} and {rows.shape}")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"{path} is not a cache of fingerprints "
            f"({describe_error(error, 'its arrays are others')}); delete it, or give another path"
        ) from None
    return dict(zip(keys.tolist(), rows, strict=True))


def _write_cache(path: Path, fingerprints_by_key: dict[str, Floats]) -> None:
    write_npz(
        path,
        shared=True,
        keys=np.array(list(fingerprints_by_key)),
        structures=np.array(list(fingerprints_by_key.values())),
        method=np.array(FINGERPRINT_METHOD),
    )

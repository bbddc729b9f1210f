"""Turns a structure into a partial crystal: which sites, lines and atoms to fill in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.formulas import check_element, suggest_elements
from crystext.errors import InputError, SettingError, did_you_mean
from crystext.generation.infilling.similar_elements import similar_elements
from crystext.io.read.partial_structures import PartialStructure
from crystext.runtime.validate_numbers import whole_number
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Floats, Ints
from crystext.text.partial import PartialCrystal

UNKNOWN = "?"
"""In place of an element: any element that the model finds probable."""
SIMILAR = "similar"
"""In place of an element: one similar to the present one, see `similar_elements`."""
ANY_NUMBER = "..."
"""In place of atoms to add: as many as the model chooses, at least one."""

SiteReference = int | str
"""A site by its index from 0, or by its label."""


@dataclass(frozen=True)
class InfillSpec:
    """What to fill in, besides the parts that the structure leaves unknown."""

    species: Mapping[SiteReference, str | Sequence[str]] = field(default_factory=dict)
    """New elements by element (the same one at all its sites), by label or by index: `?` for any,
    `similar`, an element, or several allowed ones."""
    coordinates: Collection[SiteReference] | SiteReference = ()
    """Sites whose coordinates are unknown, an element for all its sites; `all` for all."""
    cell: bool = False
    """Whether lengths and angles are unknown."""
    add: Sequence[str] | str = ()
    """Atoms to add: `2 O`, `O`, `2 ?`, or `...` to let the model choose the number; several in one
    text are separated by commas."""
    candidates: Sequence[str] | str | None = None
    """Elements allowed for a `?`: several, or `similar`; None for any."""


def specify(
    sites: PartialStructure, spec: InfillSpec, max_atoms: int
) -> tuple[PartialCrystal, PartialStructure]:
    """Return a partial crystal and its sites, added ones included.

    Args:
        sites: the given structure.
        spec: what to fill in.
        max_atoms: maximum number of atoms of the whole crystal.

    Raises:
        SettingError: the specification names a site that does not exist, or leaves nothing open.
        InputError: the structure cannot be completed in that way.
    """
    _check_angles(sites)
    among = None if spec.candidates is None else _checked_names(spec.candidates)
    elements = _unknown_elements(sites, spec.species, among)
    positions = sites.positions.copy()
    for site in _coordinate_sites(sites, spec.coordinates):
        positions[site] = np.nan
    whole = np.full(3, np.nan)
    added, more = _parse_added_atoms(spec.add, len(sites.numbers), max_atoms)
    partial = PartialCrystal(
        whole if spec.cell else sites.lengths,
        whole if spec.cell else sites.angles,
        np.append(elements.numbers, added),
        np.vstack([positions, np.full((len(added), 3), np.nan)]),
        elements.same_element_groups,
        elements.candidates,
        more,
        _candidate_elements(among, 0, "an atom to add") if more[1] else None,
    )
    partial = _assign_single_candidates(partial)
    if partial.is_complete:
        raise SettingError(
            "there is nothing to fill in: everything is known. Say what to replace, find or add, "
            "or write ? into the file for unknown values"
        )
    return partial, _append_sites(sites, added)


class _UnknownElements(NamedTuple):
    """Which sites have an unknown element, and which elements may be there."""

    numbers: Ints
    """Atomic numbers; 0 where the element is unknown."""
    candidates: dict[int, tuple[str, ...]]
    """Allowed elements by site; any without an entry."""
    same_element_groups: tuple[tuple[int, ...], ...]
    """Sites that get one element together: those of an element that is replaced."""


def _unknown_elements(
    sites: PartialStructure,
    species: Mapping[SiteReference, str | Sequence[str]],
    candidates_anywhere: tuple[str, ...] | None,
) -> _UnknownElements:
    """Return the elements to fill in: those that the structure lacks, and those to replace.

    Args:
        sites: the given structure.
        species: see `InfillSpec`.
        candidates_anywhere: elements allowed for a `?`; None for any.

    Raises:
        SettingError: a site does not exist or is named twice, or an element does not exist.
    """
    numbers = sites.numbers.copy()
    candidates: dict[int, tuple[str, ...]] = {}
    for site in np.flatnonzero(sites.numbers == 0).tolist():
        if allowed := _candidate_elements(candidates_anywhere, 0, sites.labels[site]):
            candidates[site] = allowed
    groups: list[tuple[int, ...]] = []
    reference_of: dict[int, SiteReference] = {}
    if not isinstance(species, Mapping):
        raise SettingError(
            f"species are {species!r}; expected new elements by site, such as {{'Fe1': '?'}}"
        )
    for reference, wanted in species.items():
        where = _matching_sites(sites, reference)
        for site in where:
            if site in reference_of:
                raise SettingError(
                    f"site {site} ({sites.labels[site]}) is named twice, by "
                    f"{reference_of[site]!r} and {reference!r}; name it once"
                )
            reference_of[site] = reference
        choice = _checked_names(wanted)
        old = int(sites.numbers[where[0]])
        if choice == (UNKNOWN,):
            choice = _candidate_elements(candidates_anywhere, old, sites.labels[where[0]])
        elif choice == (SIMILAR,):
            choice = _candidate_elements(choice, old, sites.labels[where[0]])
        numbers[list(where)] = 0
        if choice:
            candidates.update(dict.fromkeys(where, choice))
        if _names_element(sites, reference):
            groups.append(where)
    return _UnknownElements(numbers, candidates, tuple(groups))


def _check_angles(sites: PartialStructure) -> None:
    unknown = np.isnan(sites.angles)
    if unknown.any() and not unknown.all():
        raise InputError(
            f"of the three angles {int(unknown.sum())} are unknown; expected all or none, because "
            "only together do they decide whether a cell is valid"
        )


def _assign_single_candidates(partial: PartialCrystal) -> PartialCrystal:
    """Assign single candidates to their sites, if something else is unknown."""
    settled = {site: names[0] for site, names in partial.candidates.items() if len(names) == 1}
    numbers: Ints = partial.numbers.copy()
    for site, symbol in settled.items():
        numbers[site] = ATOMIC_NUMBERS[symbol]
    after = PartialCrystal(
        partial.lengths,
        partial.angles,
        numbers,
        partial.positions,
        tuple(group for group in partial.same_element_groups if not numbers[group[0]]),
        {site: names for site, names in partial.candidates.items() if site not in settled},
        partial.missing_atoms,
        partial.missing_candidates,
    )
    return partial if after.is_complete else after


def _checked_names(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Return the allowed elements, each name checked."""
    names = split_names(wanted)
    if not names:
        raise SettingError("no element is named; expected ?, similar, or elements such as Co,Ni")
    for name in names:
        if name in (UNKNOWN, SIMILAR):
            if len(names) > 1:
                raise SettingError(f"{name} is given with other elements; give either, not both")
        elif name not in ATOMIC_NUMBERS and (near := did_you_mean(name, [SIMILAR])):
            raise SettingError(f"no element {name!r}; expected ?, similar, or a symbol.{near}")
        else:
            check_element(name)
    return tuple(dict.fromkeys(names))


def split_names(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Return names given one by one, or in one text separated by commas or spaces.

    Raises:
        SettingError: they are something else.
    """
    if isinstance(wanted, str):
        return tuple(wanted.replace(",", " ").split())
    names = tuple(wanted) if isinstance(wanted, Iterable) else (wanted,)
    if all(isinstance(name, str) for name in names):
        return names
    raise SettingError(f"{wanted!r} is given; expected a text or several")


def _candidate_elements(names: tuple[str, ...] | None, present: int, label: str) -> tuple[str, ...]:
    """Return the elements allowed at a site; empty if any is."""
    if names is None or names == (UNKNOWN,):
        return ()
    if names == (SIMILAR,):
        if not present:
            raise SettingError(f"{label} has no element to be similar to; name the candidates")
        return similar_elements(SYMBOLS[present - 1])
    return names


def _names_element(sites: PartialStructure, reference: SiteReference) -> bool:
    """Return whether a reference is an element, and so means all its sites."""
    return isinstance(reference, str) and reference in ATOMIC_NUMBERS


def _matching_sites(sites: PartialStructure, reference: SiteReference) -> tuple[int, ...]:
    """Return the sites of an element, a label or an index."""
    if not _names_element(sites, reference):
        return (site_index(sites, reference),)
    where = np.flatnonzero(sites.numbers == ATOMIC_NUMBERS[str(reference)]).tolist()
    if not where and reference in sites.labels:
        return (sites.labels.index(str(reference)),)
    if not where:
        held = {SYMBOLS[z - 1]: None for z in sites.numbers.tolist() if z}
        raise SettingError(f"the crystal has no {reference}; it holds {_first_few(held)}")
    return tuple(where)


def site_index(sites: PartialStructure, reference: SiteReference) -> int:
    """Return the site of a label or an index.

    Raises:
        SettingError: there is none.
    """
    count = len(sites.labels)
    if isinstance(reference, str):
        if reference in sites.labels:
            return sites.labels.index(reference)
        if not re.fullmatch(r"-?\d{1,9}", reference.strip()):
            near = did_you_mean(reference, sites.labels)
            if not near:
                # Suggests an element of the crystal for fe or sr.
                held = [SYMBOLS[z - 1] for z in dict.fromkeys(sites.numbers.tolist()) if z]
                near = did_you_mean(reference, [symbol for symbol in held if symbol != reference])
            raise SettingError(
                f"no site is called {reference!r}; the sites are {_first_few(sites.labels)}, or 0 "
                f"to {count - 1}.{near}"
            )
    try:
        index = int(reference) if isinstance(reference, str) else whole_number("a site", reference)
    except SettingError as error:
        raise SettingError(f"{error} from 0 to {count - 1}, a label or an element") from None
    if not 0 <= index < count:
        raise SettingError(f"there is no site {index}; sites count from 0 to {count - 1}")
    return index


def _first_few(names: Collection[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")


def _coordinate_sites(
    sites: PartialStructure, wanted: Collection[SiteReference] | SiteReference
) -> list[int]:
    if isinstance(wanted, str):
        if wanted.strip() == "all":
            return list(range(len(sites.numbers)))
        wanted = split_names(wanted)
    elif not isinstance(wanted, Iterable):
        wanted = [wanted]
    return [site for reference in wanted for site in _matching_sites(sites, reference)]


def _parse_added_atoms(
    wanted: Sequence[str] | str, given_atoms: int, max_atoms: int
) -> tuple[Ints, tuple[int, int]]:
    """Return the atoms to add with named elements, and the minimum and maximum number of others."""
    known: list[int] = []
    least, endless = 0, False
    for text in wanted.split(",") if isinstance(wanted, str) else split_names(wanted):
        match = re.fullmatch(r"\s*(\d{1,6})?\s*(\S+)\s*", text)
        count, name = (int(match[1] or 1), match[2]) if match else (0, "")
        if name == ANY_NUMBER and match and match[1] is None:
            endless = True
        elif count < 1 or (name != UNKNOWN and name not in ATOMIC_NUMBERS):
            raise SettingError(
                f"{text!r} does not name atoms to add; expected such as '2 O', '2 ?' or '...'."
                + suggest_elements(name)
            )
        elif name == UNKNOWN:
            least += count
        else:
            known += [ATOMIC_NUMBERS[name]] * count
    total = given_atoms + len(known) + max(least, int(endless))
    if total > max_atoms and (known or least or endless):
        raise SettingError(
            f"{format_count(given_atoms, 'atom')} and those to add make {total}, above the maximum "
            f"of {max_atoms}; add fewer, or raise the maximum"
        )
    most = max_atoms - given_atoms - len(known) if endless else least
    return np.array(known, dtype=np.int64), (max(least, int(endless)), most)


def _append_sites(sites: PartialStructure, added: Ints) -> PartialStructure:
    """Return the sites, extended by unknown sites for added atoms."""
    labels = list(sites.labels)
    for z in added.tolist():
        labels.append(unused_label(SYMBOLS[z - 1], labels))
    unknown: Floats = np.full((len(added), 3), np.nan)
    return sites._replace(
        numbers=np.append(sites.numbers, np.zeros(len(added), dtype=np.int64)),
        positions=np.vstack([sites.positions, unknown]),
        labels=tuple(labels),
    )


def unused_label(symbol: str, used: Collection[str]) -> str:
    """Return an unused label of an element: the symbol and the smallest free number."""
    number = 1
    while f"{symbol}{number}" in used:
        number += 1
    return f"{symbol}{number}"

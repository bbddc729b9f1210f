"""Puts the explanation of a crystal together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice, takewhile
from typing import Protocol, TypedDict, Unpack

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import format_formula, sort_by_electronegativity
from crystext.discover.explain.charges import Charges, find_charges
from crystext.discover.explain.explanation import (
    Explanation,
    Likelihood,
    SiteExplanation,
    is_short,
)
from crystext.discover.explain.relatives import find_relatives
from crystext.discover.known_crystals import KnownCrystals
from crystext.discover.records import judge_record
from crystext.energies.hull_sources import DEFAULT_HULL
from crystext.energies.judges import judge_crystals, open_judges
from crystext.energies.potentials import PotentialSource
from crystext.energies.relax import RelaxationLimits
from crystext.errors import InputError, ModelError, SettingError, did_you_mean
from crystext.inference.likelihood import Score
from crystext.io.read.partial_structures import default_labels
from crystext.structures.close_pairs import Contact, iter_contacts
from crystext.structures.crystal import Crystal
from crystext.structures.crystal_nn import nearest_neighbours
from crystext.structures.properties import density, reduced_formula
from crystext.structures.space_groups import find_space_group

_MAX_CONTACTS = 8


class ScoreCrystal(Protocol):
    """`CrystalLM.score`, as far as it is used here."""

    def __call__(self, crystal: Crystal, /, *, translations: int) -> Score:
        """Return the log-probability of a crystal."""


class ExplainKwargs(TypedDict, total=False):
    """Options of `CrystalLM.explain`."""

    translations: int
    """Average the likelihood over this many random translations, see `CrystalLM.score`; 0 by
    default."""
    labels: Sequence[str]
    """Labels of the sites; by default element and number, such as Fe1."""
    potentials: Sequence[PotentialSource]
    """Judges that give energies of the crystal as it is; none by default. See
    `energies.potentials`."""
    hull: str
    """Known phases that the energies are compared with; see `crystext hull`."""
    known_crystals: Sequence[str]
    """Sets and files of known crystals besides those that ship."""
    shipped_known: bool
    """Whether the crystals that ship count as known, as by default."""


def explain_crystal(
    crystal: Crystal, score_crystal: ScoreCrystal, **options: Unpack[ExplainKwargs]
) -> Explanation:
    """Return the explanation of a crystal.

    Args:
        crystal: any.
        score_crystal: scores a crystal under a model; its error says why there is no likelihood.
        options: see `ExplainKwargs`.

    Raises:
        ModelError: a potential does not exist, or does not reproduce its known energies.
        SettingError: there is no such option, or the energies of a potential cannot be compared
            with the hull.
        InputError: a set of known crystals, or the hull, does not exist.
    """
    known_options = ExplainKwargs.__annotations__
    if unknown := [name for name in options if name not in known_options]:
        raise SettingError(
            f"there is no option {unknown[0]!r}; there are {', '.join(known_options)}."
            + did_you_mean(unknown[0], known_options)
        )
    translations, labels = options.get("translations", 0), options.get("labels", ())
    # Sets and potentials that do not exist are refused before anything is computed.
    sets, sources = options.get("known_crystals", ()), options.get("potentials", ())
    known = KnownCrystals(
        [sets] if isinstance(sets, str) else sets, shipped=options.get("shipped_known", True)
    )
    sources = [sources] if isinstance(sources, str) else sources
    judges = open_judges(sources, options.get("hull", DEFAULT_HULL)) if sources else []
    score: Score | None = None
    problem = ""
    try:
        score = score_crystal(crystal, translations=translations)
    except (ModelError, InputError) as error:  # Too long for the model, or not in its format.
        problem = str(error)
    limits = RelaxationLimits(steps=0)
    charges = find_charges(crystal)
    return Explanation(
        crystal,
        reduced_formula(crystal.numbers),
        find_space_group(crystal),
        density(crystal),
        None if score is None else _likelihood(score),
        problem,
        _sites(crystal, score, charges, labels),
        charges,
        closest_contacts(crystal),
        find_relatives(crystal, known),
        tuple(judge_record(judge_crystals(judge, {0: crystal}, limits)[0]) for judge in judges),
    )


def closest_contacts(crystal: Crystal) -> tuple[Contact, ...]:
    """Return the short contacts of a crystal, the shortest first; the closest one if none is."""
    closest = tuple(islice(iter_contacts(crystal), _MAX_CONTACTS))
    return tuple(takewhile(is_short, closest)) or closest[:1]


def _likelihood(score: Score) -> Likelihood:
    reading = score.readings[0]
    has_cell = score.format.lists_sites
    return Likelihood(
        score.total,
        score.per_token,
        score.cell if has_cell else None,
        len(reading.tokens),
        len(score.readings),
    )


def _sites(
    crystal: Crystal, score: Score | None, charges: Charges, labels: Sequence[str]
) -> tuple[SiteExplanation, ...]:
    scored = score is not None and score.format.lists_sites
    probabilities = [x.total for x in score.sites] if score is not None and scored else None
    surprises = score.surprises if score is not None and scored else None
    neighbours = _neighbours(crystal)
    labels = labels or default_labels(crystal.numbers)
    return tuple(
        SiteExplanation(
            i,
            labels[i],
            symbol,
            (float(x), float(y), float(z)),
            None if probabilities is None else probabilities[i],
            None if surprises is None else surprises[i],
            None if charges.states is None else charges.states[i],
            None if charges.sums is None else charges.sums[i],
            None if neighbours is None else neighbours[i],
        )
        for i, (symbol, (x, y, z)) in enumerate(
            zip(crystal.symbols, crystal.positions.tolist(), strict=True)
        )
    )


def _neighbours(crystal: Crystal) -> list[str] | None:
    """Return the nearest neighbours of each atom, such as O6; None if they have no meaning."""
    try:
        found = nearest_neighbours(crystal, range(len(crystal)))
    except InputError:
        return None
    described = []
    for numbers in found:
        counts = Counter(SYMBOLS[z - 1] for z in numbers.tolist())
        described.append(format_formula({s: counts[s] for s in sort_by_electronegativity(counts)}))
    return described

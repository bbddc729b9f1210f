"""Known crystals with elements exchanged for those of a search; the model chooses which.

For each element of the chemical system, the known crystals are taken that have the other elements
and, in its place, one that is similar (`similar_elements`). Its sites are masked, and the model
says how probable the element of the search is there; the most probable exchanges are drawn first.
A text has the space group and the orbits of the known crystal. Its cell is drawn by the model,
since the elements differ in size.

When these are spent, crystals follow in which two elements are exchanged. What results is checked
as any other text: some exchanges are known crystals themselves.

The order follows from the known crystals and the model, so the number of exchanges that were drawn
says which are next.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import combinations, product

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, ELECTRONEGATIVITY_RANK, SYMBOLS
from crystext.conditions import Conditions
from crystext.conditions.sampling_constraints import Constraints
from crystext.discover.known_crystals import KnownCrystals
from crystext.discover.sampler import ArmSampler
from crystext.generation.infilling.similar_elements import similar_elements
from crystext.grammar.wyckoff.completion import Gap, OrbitGaps
from crystext.grammar.wyckoff.site_table import site_table
from crystext.grammar.wyckoff.token_reader import WyckoffTokenReader
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.element_ranking import ElementRanker
from crystext.inference.likelihood import LikelihoodScorer
from crystext.inference.orbit_completion import CellToFill, CompletionVocabulary
from crystext.inference.threads import single_thread_if_small
from crystext.inference.types import Attempt, Request
from crystext.models.load import LoadedModel
from crystext.models.plain_llama import why_unsupported
from crystext.structures.properties import reduced_formula
from crystext.structures.wyckoff.orbits import WyckoffCrystal, from_wyckoff
from crystext.structures.wyckoff.positions import symmetry_operations
from crystext.structures.wyckoff.setting import GroupSetting
from crystext.text import WYCKOFF
from crystext.text.partial import PartialCrystal

SIMILAR = (8, 4)
"""Similar elements of each that are tried where one is exchanged, and where two are."""

MAX_RANKED = 300
"""Exchanges that the model ranks at a time, those of the most similar elements; a few seconds."""

CELL_TEMPERATURE = 0.1
"""Of the cells that the model draws: they should be probable, not vary."""

_MAX_ALIKE = 3
"""Exchanges with the same elements on the same positions; their free coordinates differ."""


@dataclass(frozen=True)
class Exchange:
    """A known crystal with elements exchanged."""

    source: str
    """Name of the known crystal."""
    crystal: WyckoffCrystal
    """With the elements of the search, and the cell of the known crystal."""
    log_probability: float
    """In nats, of the exchanged elements at their sites, each given all others."""


class Exchanges:
    """All exchanges for the conditions of a search, in the order in which they are drawn."""

    def __init__(
        self,
        conditions: Conditions,
        known_crystals: KnownCrystals,
        max_atoms: int,
        rank: Callable[[Sequence[WyckoffCrystal], Sequence[Sequence[int]]], list[float]],
    ) -> None:
        """Take the conditions; nothing is read yet.

        Args:
            conditions: of the search; without a chemical system or a formula there is none.
            known_crystals: those in which elements are exchanged.
            max_atoms: in a primitive cell.
            rank: returns the log-probability of atomic numbers at their sites in each crystal.
        """
        self._conditions, self._known_crystals = conditions, known_crystals
        self._max_atoms = max_atoms
        self._rank = rank
        self._system = tuple(sorted({*conditions.chemical_system, *conditions.formula}))
        self._found: list[Exchange] = []
        self._blocks = self._iter_blocks()

    def from_place(self, start: int, count: int) -> list[Exchange]:
        """Return the exchanges at these places of the order; fewer at its end."""
        while len(self._found) < start + count:
            block = next(self._blocks, None)
            if block is None:
                break
            self._found += block
        return self._found[start : start + count]

    def _iter_blocks(self) -> Iterator[list[Exchange]]:
        """Yield exchanges in blocks, each ranked by the model."""
        alike: Counter[object] = Counter()
        for count in range(1, min(2, len(self._system)) + 1):
            waiting: list[tuple[str, WyckoffCrystal, tuple[int, ...]]] = []
            for found in self._possible(count):
                waiting.append(found)
                if len(waiting) == MAX_RANKED:
                    yield self._ranked(waiting, alike)
                    waiting = []
            if waiting:
                yield self._ranked(waiting, alike)

    def _ranked(
        self,
        waiting: Sequence[tuple[str, WyckoffCrystal, tuple[int, ...]]],
        alike: Counter[object],
    ) -> list[Exchange]:
        chances = self._rank([x[1] for x in waiting], [x[2] for x in waiting])
        order = sorted(range(len(waiting)), key=lambda i: (-chances[i], i))
        kept = []
        for i in order:
            name, crystal, _ = waiting[i]
            key = _sites_by_element(crystal)
            alike[key] += 1
            if alike[key] <= _MAX_ALIKE:
                kept.append(Exchange(name, crystal, round(chances[i], 4)))
        return kept

    def _possible(self, count: int) -> Iterator[tuple[str, WyckoffCrystal, tuple[int, ...]]]:
        """Yield names, crystals and the atomic numbers put in, the most similar elements first."""
        similar = {symbol: similar_elements(symbol, SIMILAR[count - 1]) for symbol in self._system}
        ways: list[tuple[int, Mapping[str, str]]] = []
        for lacking in combinations(self._system, count):
            for chosen in product(*(enumerate(similar[symbol]) for symbol in lacking)):
                others = [other for _, other in chosen]
                if len(set(others)) == count and not {*others} & {*self._system}:
                    distance = sum(rank for rank, _ in chosen)
                    ways.append((distance, dict(zip(others, lacking, strict=True))))
        for _, exchange in sorted(ways, key=lambda way: (way[0], tuple(way[1].items()))):
            elements = frozenset(self._system) - {*exchange.values()} | {*exchange}
            numbers = {ATOMIC_NUMBERS[a]: ATOMIC_NUMBERS[b] for a, b in exchange.items()}
            for name, crystal in self._known_crystals.with_orbits(elements):
                exchanged = _exchange(crystal, numbers)
                if self._is_wanted(exchanged):
                    yield name, exchanged, tuple(numbers.values())

    def _is_wanted(self, crystal: WyckoffCrystal) -> bool:
        """Return whether a crystal has the size, the formula and the group asked for."""
        asked = self._conditions
        fewest, most = asked.n_atoms or (1, self._max_atoms)
        if not fewest <= crystal.n_atoms <= min(most, self._max_atoms):
            return False
        if asked.space_group not in (None, crystal.space_group):
            return False
        return asked.composition is None or asked.composition == reduced_formula(
            np.repeat(
                [orbit.atomic_number for orbit in crystal.orbits],
                [orbit.position.multiplicity for orbit in crystal.orbits],
            )
        )


class ExchangeSampler:
    """Draws texts of exchanges."""

    def __init__(self, sampler: ArmSampler, known_crystals: KnownCrystals) -> None:
        """Take the model and the known crystals."""
        self._sampler, self._known_crystals = sampler, known_crystals
        self._exchanges: dict[Conditions, Exchanges] = {}

    @cached_property
    def _model(self) -> LoadedModel | None:
        """The model; None if it cannot write the cell of given orbits, or name an element."""
        sampler = self._sampler
        if (
            sampler.text_format != WYCKOFF
            or "infill_element" not in sampler.files.prompts.templates
        ):
            return None
        model = sampler.model
        fits = CompletionVocabulary.fits(model, WYCKOFF)
        return model if fits and why_unsupported(model.network) is None else None

    def next(self, conditions: Conditions, start: int, count: int) -> list[Exchange]:
        """Return the exchanges at these places of the order; fewer at its end.

        Args:
            conditions: of the search.
            start: number of those drawn before.
            count: how many.
        """
        if self._model is None or not (conditions.chemical_system or conditions.composition):
            return []
        if conditions not in self._exchanges:
            self._exchanges[conditions] = Exchanges(
                conditions, self._known_crystals, self._sampler.settings.max_atoms, self._rank
            )
        return self._exchanges[conditions].from_place(start, count)

    def draw(
        self, conditions: Conditions, exchanges: Sequence[Exchange], indices: Sequence[int]
    ) -> list[Attempt]:
        """Draw the cell of each exchange.

        Args:
            conditions: of the search, for the prompt.
            exchanges: one for each text.
            indices: of the texts, among all of the search.

        Returns:
            The texts, each with the log-probability of the whole of it.
        """
        assert self._model is not None, "there are no exchanges without it"
        request = self._sampler.request(conditions)
        ratio = self._sampler.settings.min_distance_ratio
        settings = self._sampler.sampling_settings(conditions)
        if self._sampler.settings.cell_temperature is None:
            settings = replace(settings, cell_temperature=CELL_TEMPERATURE)
        groups: dict[int, list[int]] = defaultdict(list)
        for i, exchange in enumerate(exchanges):
            groups[len(exchange.crystal.cell)].append(i)
        found: dict[int, Attempt] = {}
        with single_thread_if_small(self._model.network):
            for parameters, places in groups.items():
                vocabulary = CompletionVocabulary(
                    self._ids,
                    [_gaps(exchanges[i].crystal) for i in places],
                    CellToFill(None, (None,) * parameters, ratio),
                )
                sampler = BatchSampler(self._model, settings, vocabulary)
                drawn = sampler.draw(request, [indices[i] for i in places])
                found |= dict(zip(places, drawn, strict=True))
            texts = [found[i].text for i in range(len(exchanges))]
            scores = self._scorer.score_texts(request.prompt, texts)
        return [
            replace(found[i], log_probability=round(score.total, 4))
            for i, score in enumerate(scores)
        ]

    @cached_property
    def _ids(self) -> WyckoffTokenReader:
        assert self._model is not None
        return WyckoffTokenReader(self._model.tokenizer)

    @cached_property
    def _scorer(self) -> LikelihoodScorer:
        assert self._model is not None
        return LikelihoodScorer(self._model)

    @cached_property
    def _ranker(self) -> ElementRanker:
        assert self._model is not None
        return ElementRanker(self._model)

    def _rank(
        self, crystals: Sequence[WyckoffCrystal], numbers: Sequence[Sequence[int]]
    ) -> list[float]:
        """Return the log-probability of the elements at their sites, each given all others."""
        assert self._model is not None
        asked = [(i, z) for i, some in enumerate(numbers) for z in some]
        requests = [self._masked_request(crystals[i], z) for i, z in asked]
        with single_thread_if_small(self._model.network):
            ranks = self._ranker.rank(requests)
        chances = [0.0] * len(crystals)
        for (i, z), ranked in zip(asked, ranks, strict=True):
            by_symbol = dict(ranked)
            chances[i] += by_symbol.get(SYMBOLS[z - 1], -np.inf)
        return chances

    def _masked_request(self, crystal: WyckoffCrystal, number: int) -> Request:
        """Return the question which element is at the sites of this one."""
        prompts = self._sampler.files.prompts
        text = WYCKOFF.encode_masked(crystal, number, prompts.marks.mask)
        whole = from_wyckoff(crystal)
        numbers = np.where(whole.numbers == number, 0, whole.numbers)
        sites = tuple(np.flatnonzero(numbers == 0).tolist())
        partial = PartialCrystal(whole.lengths, whole.angles, numbers, whole.positions, (sites,))
        prompt = prompts.render("infill_element", crystal=text)
        return Request(prompt, Constraints(min_distance_ratio=0.0), partial=partial)


def _exchange(crystal: WyckoffCrystal, numbers: Mapping[int, int]) -> WyckoffCrystal:
    """Return a crystal with atomic numbers exchanged, its orbits in the order of texts."""
    orbits = [
        orbit._replace(atomic_number=numbers.get(orbit.atomic_number, orbit.atomic_number))
        for orbit in crystal.orbits
    ]
    orbits.sort(key=lambda x: ELECTRONEGATIVITY_RANK[x.atomic_number])
    return replace(crystal, orbits=tuple(orbits))


def _sites_by_element(crystal: WyckoffCrystal) -> tuple[object, ...]:
    """Return the space group, and the element and letter of each orbit."""
    letters = sorted((x.atomic_number, x.position.letter) for x in crystal.orbits)
    return (crystal.space_group, *letters)


def _gaps(crystal: WyckoffCrystal) -> OrbitGaps:
    """Return the orbits of a crystal as parts that texts have to name, in their place."""
    table = site_table(crystal.space_group)
    gaps = tuple(
        Gap(
            (orbit.atomic_number,),
            table.orbit_sizes[table.positions.index(orbit.position)],
            orbit,
            single=True,
        )
        for orbit in crystal.orbits
    )
    return OrbitGaps(_standard_setting(crystal.space_group), gaps, crystal.n_atoms)


@cache
def _standard_setting(number: int) -> GroupSetting:
    rotations, translations = symmetry_operations(number)
    return GroupSetting(number, rotations, translations, np.eye(3), np.zeros(3))

"""The polymorphs of each formula: candidates and known crystals beside each other.

    polymorphs.csv      a row for each, formula by formula, the lowest energy first; see `COLUMNS`

Candidates have the energy above the hull of the first judge. A known crystal has one where a text
relaxed to it; it was found again if a text was it, or relaxed to it. Crystals are also ranked by
likelihood: by the log-probability of their most probable text.

How probable it is that the ground state was drawn at all is told for a formula that is requested
(`chances`): crystals of MP-20 validation were drawn given their formula and number of atoms, and
`ground_states.json` has the proportion that was among so many texts
(`evaluation/measure/structure_prediction.py`). It holds for the model's own temperatures, and for
formulas like those of MP-20.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from crystext.chemistry.formulas import parse_formula
from crystext.discover.arms import FIRST_ARM
from crystext.discover.candidates import RankedCandidate
from crystext.discover.records import Outcome
from crystext.discover.search import Search
from crystext.energies.stability_table import csv_formula
from crystext.models.layout import SHIPPED
from crystext.runtime.files import write_text
from crystext.structures.properties import reduced_formula
from crystext.structures.space_groups import find_space_group

TABLE = "polymorphs.csv"

_GROUND_STATES = "ground_states.json"


@dataclass(frozen=True)
class Polymorph:
    """A crystal of a formula."""

    formula: str
    energy_rank: int | None
    """From 1, among those of the formula that have an energy."""
    likelihood_rank: int | None
    """From 1, among those of the formula that were drawn."""
    kind: str
    """candidate, known, found again, or known, not found."""
    name: str
    space_group: int | None
    n_atoms: int
    e_above_hull_ev_per_atom: float | None
    """By the first judge."""
    log_probability: float | None
    """Of its most probable text."""
    texts: int
    """Texts that were this crystal, before relaxing."""


COLUMNS = tuple(field.name for field in fields(Polymorph))
"""The columns of the table."""


@dataclass(frozen=True)
class Chance:
    """How probable it is that the ground state was drawn, if its cell has so many atoms."""

    n_atoms: int
    texts: int
    """That were drawn with this number of atoms."""
    probability: float
    low: float
    """The lower end of its 95% interval."""
    high: float
    counted_texts: int
    """The number of texts that the probability is of, at most `texts`."""
    crystals: int
    """Of MP-20 validation that it was measured on."""


@dataclass(frozen=True)
class FormulaPolymorphs:
    """The polymorphs of a formula, the lowest energy first; those without an energy come last."""

    formula: str
    polymorphs: tuple[Polymorph, ...]


def polymorphs(search: Search, ranked: Sequence[RankedCandidate]) -> list[FormulaPolymorphs]:
    """Return the formulas of which more than one crystal is a candidate or known, or requested.

    Args:
        search: with its rounds.
        ranked: its candidates.
    """
    counts = _TextCounts(search)
    by_formula: dict[str, list[Polymorph]] = defaultdict(list)
    for row in ranked:
        by_formula[row.candidate.sample.formula or ""].append(counts.candidate(row))
    requested = search.tools.settings.conditions.composition
    if requested is not None:
        by_formula.setdefault(requested, [])
    for formula in by_formula:
        by_formula[formula] += counts.known_polymorphs(formula)
    return [
        FormulaPolymorphs(formula, _ranked(found))
        for formula, found in by_formula.items()
        if len(found) > 1 or (found and formula == requested)
    ]


_Key = tuple[str, str]
"""Of a crystal: `_KNOWN` or `_DRAWN`, and its name, which a known crystal may share with a text."""

_KNOWN, _DRAWN = "known", "drawn"


class _TextCounts:
    """How often each crystal was drawn, and how probable its texts are."""

    def __init__(self, search: Search) -> None:
        history = search.history
        self._known_crystals = search.tools.known_crystals
        self._texts: Counter[_Key] = Counter()
        self._log_probabilities: dict[_Key, float] = {}
        self._energies: dict[_Key, float] = {}
        again = {
            row.index: row.nearest_known
            for row in history.relaxed
            if row.outcome is Outcome.RELAXED_KNOWN and row.nearest_known is not None
        }
        for text in history.texts.values():
            if text.outcome is Outcome.KNOWN:
                self._add((_KNOWN, text.message), text.log_probability)
            elif text.outcome is Outcome.DUPLICATE:
                self._add((_DRAWN, text.message), text.log_probability)
            elif text.outcome is Outcome.WAITING:
                self._add((_DRAWN, str(text.index)), text.log_probability)
        for row in history.relaxed:
            if (name := again.get(row.index)) is not None:
                key = (_KNOWN, name)
                self._add(key, history.texts[row.index].log_probability)
                if row.above_hull is not None:
                    lowest = self._energies.get(key, row.above_hull)
                    self._energies[key] = min(lowest, row.above_hull)

    def _add(self, key: _Key, log_probability: float) -> None:
        self._texts[key] += 1
        best = self._log_probabilities.get(key, log_probability)
        self._log_probabilities[key] = max(best, log_probability)

    def candidate(self, row: RankedCandidate) -> Polymorph:
        """Return a candidate; its duplicates name its text, or itself as it was relaxed."""
        candidate = row.candidate
        keys = ((_DRAWN, str(candidate.sample.index)), (_DRAWN, candidate.name))
        values = [x for x in map(self._log_probabilities.get, keys) if x is not None]
        return Polymorph(
            candidate.sample.formula or "",
            None,
            None,
            "candidate",
            candidate.name,
            candidate.relaxed.space_group,
            len(candidate.crystal),
            candidate.above_hull,
            max(values, default=candidate.sample.log_probability),
            sum(self._texts[key] for key in keys),
        )

    def known_polymorphs(self, formula: str) -> list[Polymorph]:
        """Return the known crystals of a formula, each once."""
        elements = frozenset(parse_formula(formula))
        found: dict[str, Polymorph] = {}
        for name, crystal in self._known_crystals.with_elements(elements):
            if reduced_formula(crystal.numbers) != formula or name in found:
                continue
            key = (_KNOWN, name)
            again = self._texts[key] > 0
            found[name] = Polymorph(
                formula,
                None,
                None,
                "known, found again" if again else "known, not found",
                name,
                find_space_group(crystal),
                len(crystal),
                self._energies.get(key),
                self._log_probabilities.get(key),
                self._texts[key],
            )
        return list(found.values())


def _ranked(crystals: Sequence[Polymorph]) -> tuple[Polymorph, ...]:
    """Return polymorphs with their ranks, the lowest energy first."""
    by_energy = _ranks({i: x.e_above_hull_ev_per_atom for i, x in enumerate(crystals)})
    by_likelihood = _ranks(
        {
            i: None if x.log_probability is None else -x.log_probability
            for i, x in enumerate(crystals)
        }
    )
    last = len(crystals) + 1
    order = sorted(
        range(len(crystals)),
        key=lambda i: (by_energy.get(i, last), by_likelihood.get(i, last), crystals[i].name),
    )
    return tuple(
        Polymorph(
            **{
                **asdict(crystals[i]),
                "energy_rank": by_energy.get(i),
                "likelihood_rank": by_likelihood.get(i),
            }
        )
        for i in order
    )


def _ranks(values: Mapping[int, float | None]) -> dict[int, int]:
    """Return the ranks of those that have a value, the lowest first, from 1."""
    known = sorted((value, i) for i, value in values.items() if value is not None)
    return {i: rank for rank, (_, i) in enumerate(known, start=1)}


def write_polymorphs(groups: Sequence[FormulaPolymorphs], out: Path) -> None:
    """Write the table.

    Raises:
        RunError: the folder cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for group in groups:
        for row in group.polymorphs:
            writer.writerow({**asdict(row), "formula": csv_formula(row.formula)})
    write_text(out / TABLE, buffer.getvalue())


def chances(search: Search) -> list[Chance]:
    """Return how probable it is that the ground state was drawn, by its number of atoms.

    Empty unless a formula is requested of the shipped model at its own temperatures, and nothing
    else that narrows the texts: the probabilities were measured so.
    """
    settings, table = search.tools.settings, _ground_states()
    temperatures = (
        settings.temperature,
        settings.element_temperature,
        settings.coordinate_temperature,
        settings.cell_temperature,
    )
    named = set(settings.conditions.requested()) - {"n_atoms", "only", "exclude"}
    if (
        table is None
        or named != {"composition"}
        or any(x is not None for x in temperatures)
        or settings.top_p != 1
        or settings.guidance != 1
        or search.tools.sampler.files.source != SHIPPED
    ):
        return []
    # Texts of a space group were not drawn as those that the table was measured on.
    drawn = Counter(
        text.n_atoms
        for text in search.history.texts.values()
        if text.n_atoms is not None and text.arm in (FIRST_ARM, f"atoms {text.n_atoms}")
    )
    found = []
    for n_atoms, texts in sorted(drawn.items()):
        for size in table["sizes"]:
            low, high = size["atoms"]
            rows = zip(table["draws"], size["probability"], size["low"], size["high"], strict=True)
            counted = [row for row in rows if row[0] <= texts and None not in row]
            if low <= n_atoms <= high and counted:
                count, probability, least, most = counted[-1]
                found.append(
                    Chance(n_atoms, texts, probability, least, most, count, size["crystals"])
                )
    return found


@cache
def _ground_states() -> dict[str, Any] | None:
    """Return the table that ships; None if this installation has none."""
    path = files("crystext.discover").joinpath(_GROUND_STATES)
    if not path.is_file():
        return None
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table

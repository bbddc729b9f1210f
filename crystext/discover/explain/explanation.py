"""The explanation of a crystal: likelihood, charges, contacts, relatives, energies; and as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from crystext.discover.explain.charges import Charges
from crystext.discover.explain.relatives import Relative, Relatives
from crystext.discover.records import JudgeRecord
from crystext.inference.types import DEFAULT_CONSTRAINTS
from crystext.metrics.prototypes import Novelty
from crystext.runtime.wording import format_count, without_sign_of_zero
from crystext.structures.close_pairs import Contact
from crystext.structures.crystal import Crystal
from crystext.structures.properties import space_group_symbols

SURPRISING = 3.0
"""Standard deviations above what the model expects, from which a site is surprising."""

SHORT_RATIO = DEFAULT_CONSTRAINTS.min_distance_ratio
"""Distance of two atoms over the sum of their covalent radii, below which a contact is short; the
least that sampling allows."""


def is_short(contact: Contact) -> bool:
    """Return whether the atoms are closer than sampling allows."""
    return contact.ratio < SHORT_RATIO - 1e-6


@dataclass(frozen=True)
class SiteExplanation:
    """One atom."""

    site: int
    """From 0."""
    label: str
    symbol: str
    position: tuple[float, float, float]
    """Fractional."""
    log_probability: float | None
    """In nats, of element and position, given the cell and the atoms written before it."""
    surprise: float | None
    """How much less probable the atom is than what the model would write itself, in standard
    deviations; see `Score.surprises`."""
    oxidation_state: int | None
    bond_valence_sum: float | None
    """In valence units, positive for cations."""
    neighbours: str | None
    """Nearest neighbours by CrystalNN, such as O6; empty without any, None if they have no
    meaning."""

    @property
    def is_surprising(self) -> bool:
        """Whether the model finds the atom surprising."""
        return self.surprise is not None and self.surprise > SURPRISING


@dataclass(frozen=True)
class Likelihood:
    """Log-probability of the crystal's text under the model, in nats; see `Score`."""

    total: float
    per_token: float
    cell: float | None
    """Of lengths and angles; None if the text has no lines that hold them alone."""
    tokens: int
    """Tokens of the text, its end included."""
    texts: int
    """Texts of the crystal that these are means of."""


@dataclass(frozen=True)
class Explanation:
    """What speaks for a crystal, and against it."""

    crystal: Crystal
    formula: str
    space_group: int | None
    """As spglib finds it at 0.1 Å; None if it finds none."""
    density: float
    """g/cm^3."""
    likelihood: Likelihood | None
    likelihood_problem: str
    """Why the model has none; empty if it has."""
    sites: tuple[SiteExplanation, ...]
    charges: Charges
    contact_pairs: tuple[Contact, ...]
    """The short ones, the shortest for its elements first, at most eight; or else the closest."""
    relatives: Relatives
    judges: tuple[JudgeRecord, ...]

    @property
    def surprising_sites(self) -> tuple[SiteExplanation, ...]:
        """The sites that the model finds surprising."""
        return tuple(site for site in self.sites if site.is_surprising)

    def record(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        novelty = self.relatives.novelty
        prototypes = self.relatives.same_prototype
        return {
            "formula": self.formula,
            "n_atoms": len(self.crystal),
            "space_group": self.space_group,
            "density": self.density,
            "volume": self.crystal.volume,
            "likelihood": self.likelihood and asdict(self.likelihood),
            "likelihood_problem": self.likelihood_problem,
            "sites": [asdict(site) | {"surprising": site.is_surprising} for site in self.sites],
            "composition_valid": self.charges.composition_valid,
            "usual_states": self.charges.usual_states,
            "instability_index": self.charges.instability_index,
            "charges_problem": self.charges.problem,
            "contacts": [
                asdict(contact) | {"short": is_short(contact)} for contact in self.contact_pairs
            ],
            "known_crystals": self.relatives.compared,
            "novelty": novelty and novelty.label,
            "same_crystal": self.relatives.same_crystal,
            "same_formula": [asdict(x) for x in self.relatives.same_formula],
            "same_prototype": prototypes and [asdict(x) for x in prototypes],
            "judges": [asdict(judge) for judge in self.judges],
        }

    def lines(self) -> list[str]:
        """Return everything as text, one line each."""
        return [
            *self._summary_lines(),
            *self._site_lines(),
            *self._contact_lines(),
            *self._relative_lines(),
            *(_describe_judge(judge) for judge in self.judges),
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _summary_lines(self) -> list[str]:
        charges, likelihood = self.charges, self.likelihood
        lines = [
            f"{self.formula}, {format_count(len(self.crystal), 'atom')}, "
            f"{_describe_group(self.space_group)}, {self.density:.2f} g/cm^3"
        ]
        if likelihood is None:
            lines.append(f"likelihood: none, since {self.likelihood_problem}")
        else:
            cell = "" if likelihood.cell is None else f"; the cell {likelihood.cell:.1f}"
            lines.append(
                f"likelihood: {likelihood.total:.1f} nats, {likelihood.per_token:.2f} per token"
                f"{cell}"
            )
        valid = "valid" if charges.composition_valid else "not valid"
        usual = "balance in no usual states"
        if charges.usual_states is not None:
            usual = f"balance as {charges.usual_states}"
        lines.append(f"composition: {valid} by SMACT (table of 2014); charges {usual}")
        if charges.problem:
            lines.append(f"charges: {charges.problem}")
        elif charges.instability_index is not None:
            lines.append(
                "charges: states fit the bond valences; global instability index "
                f"{charges.instability_index:.2f} v.u."
            )
        return lines

    def _site_lines(self) -> list[str]:
        rows = [
            [
                site.label,
                site.symbol,
                " ".join(f"{without_sign_of_zero(f'{x:.3f}'):>6}" for x in site.position),
                "-" if site.log_probability is None else f"{site.log_probability:.1f}",
                "-" if site.surprise is None else f"{site.surprise:+.1f}",
                "-" if site.oxidation_state is None else f"{site.oxidation_state:+d}",
                "-" if site.bond_valence_sum is None else f"{site.bond_valence_sum:+.2f}",
                "-" if site.neighbours is None else site.neighbours or "none",
                "surprising" if site.is_surprising else "",
            ]
            for site in self.sites
        ]
        lines = ["", *_table(_SITE_COLUMNS, rows), ""]
        if self.sites and self.sites[0].surprise is not None:
            found = ", ".join(site.label for site in self.surprising_sites) or "none"
            lines.append(
                f"surprising to the model, by more than {SURPRISING:g} standard deviations: {found}"
            )
        return lines

    def _contact_lines(self) -> list[str]:
        short = any(is_short(contact) for contact in self.contact_pairs)
        limit = f"below {SHORT_RATIO:g} of the sum of covalent radii"
        kind = f"short, {limit}" if short else f"none {limit}; closest"
        described = ", ".join(
            f"{self.sites[x.sites[0]].label}-{self.sites[x.sites[1]].label} {x.distance:.2f} Å "
            f"({x.ratio:.2f})"
            for x in self.contact_pairs
        )
        return [f"contacts: {kind}: {described}"]

    def _relative_lines(self) -> list[str]:
        relatives = self.relatives
        if not relatives.compared:
            return ["known: not compared, since there are no known crystals"]
        lines = []
        if relatives.same_crystal is not None:
            lines.append(f"known: it matches {relatives.same_crystal}")
        others = [x for x in relatives.same_formula if x.name != relatives.same_crystal]
        if others:
            kind = "known" if relatives.same_crystal is None else "other known"
            lines.append(f"{kind} crystals of this formula:")
            lines += [f"  {_describe(x)}" for x in others]
        elif relatives.same_crystal is None:
            lines.append("known: no crystal of this formula")
        if relatives.same_prototype is None:
            lines.append("prototype: none, since the crystal has no symmetry")
        elif not relatives.same_prototype:
            lines.append(f"prototype: {Novelty.NEW_PROTOTYPE.value}")
        else:
            lines.append("same prototype:")
            lines += [
                f"  {_describe(x)}: {_describe_exchange(x)}" for x in relatives.same_prototype
            ]
        return lines


def _describe(relative: Relative) -> str:
    group = "no symmetry" if relative.space_group is None else f"group {relative.space_group}"
    return f"{relative.name} ({relative.formula}, {group}; {relative.source})"


def _describe_exchange(relative: Relative) -> str:
    if not relative.exchange:
        return "the same elements"
    return ", ".join(f"{after} in place of {before}" for before, after in relative.exchange)


def _describe_group(number: int | None) -> str:
    return (
        "no space group found" if number is None else f"{space_group_symbols()[number]} ({number})"
    )


def _describe_judge(judge: JudgeRecord) -> str:
    if judge.e_above_hull is None:
        return f"{judge.judge}: no energy above the hull ({judge.stability.replace('_', ' ')})"
    above = without_sign_of_zero(f"{judge.e_above_hull:.3f}")
    against = f", against {judge.decomposition}" if judge.decomposition else ""
    return f"{judge.judge}: {above} eV/atom above the hull as it is{against}"


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Return lines of aligned columns."""
    table = [columns, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    return [
        "  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)).rstrip() for row in table
    ]


_SITE_COLUMNS = [
    "site", "element", "position", "nats", "surprise", "state", "valence", "neighbours", "",
]  # fmt: skip

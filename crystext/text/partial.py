"""Partially known crystals: the text of the known parts, and the completion.

The known parts are written like any crystal, with `?` for each line that is not known: the lengths,
the angles, an element, the coordinates of an atom. `...` at the end says that further atoms may
follow. The completion holds the lines that `?` stands for, from top to bottom, and then the
further atoms.

    known           completion
    5.64 5.64 5.64
    ?               90.00 90.00 90.00
    Na
    ?               0.000 0.000 0.000
    ?               Cl
    0.500 0.500 0.500
    ...
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crystext.chemistry.elements import ELECTRONEGATIVITY_RANK
from crystext.errors import InputError
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.text import Decoded, DecodeFailure, Format, decode


@dataclass(frozen=True)
class Marks:
    """The placeholders for unknown parts in a crystal's text."""

    mask: str = "?"
    """Placeholder for a line."""
    more: str = "..."
    """Last line of a crystal that may have further atoms."""


DEFAULT_MARKS = Marks()


@dataclass(frozen=True)
class UnknownParts:
    """Which parts of a crystal are not known. Sites are indices, from 0."""

    lengths: bool = False
    angles: bool = False
    elements: Collection[int] = ()
    """Sites whose element is not known."""
    positions: Collection[int] = ()
    """Sites whose coordinates are not known."""
    missing: Collection[int] = ()
    """Sites that are missing altogether; their number is unknown too."""


def encode_partial(
    crystal: Crystal, unknown: UnknownParts, fmt: Format, marks: Marks = DEFAULT_MARKS
) -> tuple[str, str]:
    """Return the text of the known parts of a crystal, and the completion.

    Sites are written in text order; those of unknown element follow in the crystal's own order,
    since their place among the others would reveal how electronegative they are. Missing sites
    come last, in text order. The values of unknown parts do not affect the text of known parts.

    Raises:
        InputError: a site does not exist, or the crystal cannot be written (see `encode`).
        SettingError: the format does not list sites (`Format.lists_sites`).
    """
    for site in (*unknown.elements, *unknown.positions, *unknown.missing):
        if not 0 <= site < len(crystal):
            raise InputError(
                f"there is no site {site}; the crystal has {format_count(len(crystal), 'site')}, "
                "counted from 0"
            )
    elements, positions, missing = map(
        frozenset, (unknown.elements, unknown.positions, unknown.missing)
    )
    order = partial_text_order(crystal.numbers.tolist(), elements, missing)
    ordered = Crystal(
        crystal.lengths, crystal.angles, crystal.numbers[order], crystal.positions[order]
    )
    lines = fmt.encode_in_given_order(ordered).split("\n")
    hidden = [unknown.lengths, unknown.angles]
    for site in order:
        hidden += [site in elements, site in positions] if site not in missing else [False] * 2
    present = 2 + 2 * (len(order) - len(missing))
    given = [marks.mask if hide else line for line, hide in zip(lines, hidden, strict=True)][
        :present
    ]
    if missing:
        given.append(marks.more)
    wanted = [line for line, hide in zip(lines, hidden, strict=True) if hide]
    return "\n".join(given), "\n".join(wanted + lines[present:])


def partial_text_order(
    numbers: Sequence[int], unknown_elements: Collection[int], missing: Collection[int] = ()
) -> list[int]:
    """Return the sites of a partial crystal in the order in which they are written.

    Args:
        numbers: atomic numbers.
        unknown_elements: sites whose element is not known.
        missing: sites that are missing altogether.
    """

    def place(site: int) -> tuple[bool, bool, int]:
        nameless = site in unknown_elements and site not in missing
        rank = 0 if nameless else ELECTRONEGATIVITY_RANK[numbers[site]]
        return site in missing, nameless, rank

    return sorted(range(len(numbers)), key=place)


def mask_element(crystal: Crystal, symbol: str, fmt: Format, marks: Marks = DEFAULT_MARKS) -> str:
    """Return the text of a crystal with `?` on the line of every site of the element.

    Sites are masked, never substrings: masking C leaves Ca and Cl alone. They keep their place, as
    in Gruver et al. (arXiv:2402.04379, section 3), which reveals how electronegative the element
    is relative to the others. `encode_partial` hides that too.

    Raises:
        InputError: the crystal has no such element, or cannot be written (see `encode`).
    """
    if symbol not in crystal.symbols:
        found = ", ".join(sorted(set(crystal.symbols)))
        raise InputError(f"there is no {symbol} to mask; the crystal holds {found}")
    lines = fmt.encode_in_given_order(crystal.in_text_order()).split("\n")
    lines[2::2] = [marks.mask if line == symbol else line for line in lines[2::2]]
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class PartialCrystal:
    """A partially known crystal, to be completed.

    If one number of a line of its text is unknown, the whole line is completed, and unknown angles
    are completed together with the lengths; known numbers are kept in the result.
    """

    lengths: Floats
    """Å; shape (3,). nan where not known."""
    angles: Floats
    """Degrees; shape (3,). All known, or all nan."""
    numbers: Ints
    """Atomic numbers; shape (N,). 0 where not known."""
    positions: Floats
    """Fractional coordinates; shape (N, 3). nan where not known."""
    same_element_groups: tuple[tuple[int, ...], ...] = ()
    """Groups of sites of unknown element; all sites of a group have the same element."""
    candidates: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Elements allowed on a site of unknown element; sites that are not listed allow any."""
    missing_atoms: tuple[int, int] = (0, 0)
    """Minimum and maximum number of missing atoms; the minimum is at least 1 if the maximum is."""
    missing_candidates: tuple[str, ...] | None = None
    """Elements of the missing atoms; None for any."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def unknown(self) -> UnknownParts:
        """The lines that are not known. Missing atoms count as one site after the last."""
        angles = bool(np.isnan(self.angles).any())
        return UnknownParts(
            # Tasks hide both, so a completion never begins with the angles.
            lengths=angles or bool(np.isnan(self.lengths).any()),
            angles=angles,
            elements=np.flatnonzero(self.numbers == 0).tolist(),
            positions=np.flatnonzero(np.isnan(self.positions).any(axis=1)).tolist(),
            missing=[len(self)] if self.missing_atoms[1] else [],
        )

    @property
    def is_complete(self) -> bool:
        """Whether nothing is unknown."""
        return self.unknown == UnknownParts(elements=[], positions=[], missing=[])

    @property
    def text_order(self) -> list[int]:
        """The sites in the order of the text."""
        return partial_text_order(self.numbers.tolist(), np.flatnonzero(self.numbers == 0).tolist())

    @property
    def is_element_infilling(self) -> bool:
        """Whether the only unknown is one element, at all sites of one group."""
        unknown = self.unknown
        shared = tuple(unknown.elements) in {
            tuple(sorted(group)) for group in self.same_element_groups
        }
        return shared and unknown == UnknownParts(
            elements=unknown.elements, positions=[], missing=[]
        )

    def known_text(self, fmt: Format, marks: Marks = DEFAULT_MARKS) -> str:
        """Return the text of the known parts, as `encode_partial` writes it.

        Raises:
            InputError: the known parts cannot be written (see `encode`).
        """
        # Unknown values do not affect the text, so any will do.
        ends = int(self.missing_atoms[1] > 0)
        whole = Crystal(
            np.where(np.isnan(self.lengths), 10.0, self.lengths),
            np.where(np.isnan(self.angles), 90.0, self.angles),
            np.append(np.maximum(self.numbers, 1), np.ones(ends, dtype=np.int64)),
            np.vstack([np.nan_to_num(self.positions, nan=0.0), np.zeros((ends, 3))]),
        )
        return encode_partial(whole, self.unknown, fmt, marks)[0]

    def decode_completion(self, text: str, fmt: Format) -> Decoded:
        """Read a completion: the inverse of leaving out the unknown parts.

        The result has the known values unrounded and the sites in the order of this crystal;
        missing atoms come last. Never raises for the content of the text: the failure, and its
        line in the text of the whole crystal, say what is wrong.
        """
        lines = self.known_text(fmt).split("\n")
        answers = text.split("\n")
        unknown = [i for i, line in enumerate(lines) if line == DEFAULT_MARKS.mask]
        if self.is_element_infilling:
            answers = answers[:1] * len(unknown) + answers[1:]
        if len(answers) < len(unknown):
            return Decoded(None, DecodeFailure.TRUNCATED, unknown[len(answers)] + 1, "nothing")
        for i, answer in zip(unknown, answers, strict=False):
            lines[i] = answer
        if lines[-1] == DEFAULT_MARKS.more:
            lines.pop()
        decoded = decode("\n".join(lines + answers[len(unknown) :]), format=fmt)
        if decoded.crystal is None:
            return decoded
        found = decoded.crystal
        place = np.argsort(self.text_order).tolist() + list(range(len(self), len(found)))
        numbers, positions = found.numbers[place], found.positions[place]
        here = slice(len(self))
        numbers[here] = np.where(self.numbers == 0, numbers[here], self.numbers)
        positions[here] = _prefer_given(self.positions, positions[here])
        whole = Crystal(
            _prefer_given(self.lengths, found.lengths),
            _prefer_given(self.angles, found.angles),
            numbers,
            positions,
        )
        return Decoded(whole)


def _prefer_given(given: Floats, decoded: Floats) -> Floats:
    return np.asarray(np.where(np.isnan(given), decoded, given))

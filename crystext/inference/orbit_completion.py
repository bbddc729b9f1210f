"""Samples the missing orbits of a crystal, with the known ones as the text's other lines.

The texts are those of the Wyckoff format, see `grammar.wyckoff.completion` for what may come next.
Known lines are given, not sampled. A sampled site keeps its distance from the known ones in the
known cell; if the cell is not known, it follows the orbits, as in any text of the format. A text
without a place for an atom takes any, and is recognized by its distances afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.grammar.fields import FieldKind
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.cell_bounds import MIN_MARGIN, CellBounds
from crystext.grammar.wyckoff.cell_contacts import CellContacts
from crystext.grammar.wyckoff.completion import OrbitGaps, Placement
from crystext.grammar.wyckoff.overlap import apart_from_others, apart_in_orbit, min_separation
from crystext.grammar.wyckoff.token_reader import (
    TokenKind,
    WyckoffTokenReader,
    has_wyckoff_vocabulary,
)
from crystext.inference.text_batch import Step, TextBatch
from crystext.inference.types import Request
from crystext.structures.crystal import Floats, Ints
from crystext.structures.distances import Bools, min_distances
from crystext.structures.wyckoff.orbits import Orbit
from crystext.text import WYCKOFF, Format

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.models.load import LoadedModel

_COORDINATE_VALUES = 1000
_VALUES: Ints = np.arange(_COORDINATE_VALUES)
_PROBED_DECIMALS = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.99])
_CELL_KINDS = (TokenKind.FIRST_WHOLE, TokenKind.WHOLE, TokenKind.DECIMALS)


@dataclass(frozen=True, eq=False)
class CellToFill:
    """What is known of the cell."""

    lattice: Floats | None
    """The file's cell, basis vectors as rows in Å; None if it is not known."""
    free_parameters: tuple[float | None, ...]
    """Of the standard cell; None where not known."""
    min_distance_ratio: float
    """See `Constraints`."""


class CompletionVocabulary:
    """Starts the texts of a batch: those of several fillings in turn."""

    def __init__(
        self, ids: WyckoffTokenReader, fillings: Sequence[OrbitGaps], cell: CellToFill
    ) -> None:
        """Take the gaps of each filling; text i has those of filling i, counted cyclically."""
        self.ids, self.fillings, self.cell = ids, fillings, cell
        self.placements: dict[str, tuple[Placement, ...]] = {}
        """The orbits of each finished text."""
        self.contacts: CellContacts | None = None
        """Of the cell; None if it is not known."""
        if cell.lattice is not None:
            self.contacts = CellContacts(cell.lattice, cell.min_distance_ratio)
        self.points_that_fit: dict[tuple[object, ...], bool] = {}
        """Whether positions without free coordinates have room beside the known sites."""

    @staticmethod
    def fits(model: LoadedModel | SamplingModel, fmt: Format) -> bool:
        """Return whether a model writes this format in tokens of the crystal vocabulary."""
        return has_wyckoff_vocabulary(model.tokenizer, fmt)

    def start(self, request: Request, count: int, *, final: bool) -> CompletionReader:
        """Return a reader of new texts."""
        return CompletionReader(self, count)


class _Text:
    """One text of a batch."""

    def __init__(self, gaps: OrbitGaps, vocabulary: CompletionVocabulary, turn: int) -> None:
        self.gaps, self.cell, self._turn = gaps, vocabulary.cell, turn
        self.contacts, self._points_that_fit = vocabulary.contacts, vocabulary.points_that_fit
        self.kind = TokenKind.GROUP
        self.state = gaps.start()
        self.placed: list[Placement] = []
        self.element, self.gap, self.position = 0, 0, 0
        self.free: list[float] = []
        self.ended = False
        self._parameters: list[float] = []
        self._whole = 0
        self._bounds: CellBounds | None = None
        self._sites: list[tuple[int, Floats]] = [
            (gap.elements[0], gaps.maps[gaps.index_of(gap.orbit)].sites(gap.orbit.free_coordinates))
            for gap in gaps.gaps
            if gap.orbit is not None
        ]
        """Element and sites in the file's cell of the orbits that are there, known ones first."""
        self._known_sites = len(self._sites)

    def allowed(self) -> Bools | int:
        """Return which values the next token may have, or the only one."""
        if self.kind is TokenKind.GROUP:
            return self.gaps.setting.number
        if self.kind is TokenKind.ELEMENT:
            allowed: Bools = np.zeros(119, dtype=np.bool_)
            allowed[list(self.gaps.choices(self.state))] = True
            return allowed
        if self.kind is TokenKind.POSITION:
            return self._allowed_positions()
        if self.kind is TokenKind.COORDINATE:
            known = self.gaps.gaps[self.gap].orbit
            if known is not None:
                value = float(known.free_coordinates[len(self.free)])
                return round(value * _COORDINATE_VALUES) % _COORDINATE_VALUES
            gap = self.gaps.gaps[self.gap]
            return self.gaps.pinned(gap, self.position, self.free, _VALUES / _COORDINATE_VALUES)
        return self._allowed_in_cell()

    def push(self, value: int) -> None:
        """Take the value of the next token."""
        if self.kind is TokenKind.GROUP:
            self.kind = TokenKind.ELEMENT
        elif self.kind is TokenKind.ELEMENT:
            self.element = value
            gaps = self.gaps.choices(self.state)[value]
            if self.gaps.gaps[gaps[0]].orbit is None or len(self.gaps.gaps[gaps[0]].elements) > 1:
                # Several unknown parts may hold this element: texts take them in turn.
                self._turn += 1
                self.gap = gaps[self._turn % len(gaps)]
            else:
                self.gap = gaps[0]
            self.kind = TokenKind.POSITION
        elif self.kind is TokenKind.POSITION:
            self.position, self.free = self.gaps.table.index_of_name[value], []
            self._next_coordinate()
        elif self.kind is TokenKind.COORDINATE:
            self.free.append(value / _COORDINATE_VALUES)
            self._next_coordinate()
        elif self.kind is TokenKind.DECIMALS:
            self._parameters.append(self._whole + value / DECIMALS)
            self.ended = len(self._parameters) == len(self.cell.free_parameters)
            self.kind = TokenKind.WHOLE
        else:
            self._whole, self.kind = value, TokenKind.DECIMALS

    def is_clear(self, values: Ints) -> Bools:
        """Return which values of the current coordinate keep the orbit away from all others."""
        position = self.gaps.table.positions[self.position]
        fractions = values / _COORDINATE_VALUES
        if len(self.free) + 1 < len(position.free_axes):
            return np.ones(len(values), dtype=np.bool_)
        if self.contacts is None:
            return self._is_apart(fractions)
        free = np.array([[*self.free, x] for x in fractions.tolist()]).reshape(len(values), -1)
        map_ = self.gaps.maps[self.position]
        return self.contacts.fits(map_, free, self.element, self._sites)

    def _allowed_positions(self) -> Bools:
        table = self.gaps.table
        fitting = self.gaps.positions(self.state, self.gap, self.element)
        if self.gaps.gaps[self.gap].orbit is None:
            fitting = [i for i in fitting if self._point_fits(i)] or fitting
        allowed: Bools = np.zeros(max(table.name_indices) + 1, dtype=np.bool_)
        allowed[[table.name_indices[i] for i in fitting]] = True
        return allowed

    def _point_fits(self, position: int) -> bool:
        """Return whether a position may have room: always, if it has free coordinates."""
        if self.contacts is None or not self.gaps.table.is_point[position]:
            return True
        # Texts begin with the same sites: the first orbits are looked up.
        key = self.gaps.setting, position, self.element, len(self._sites)
        is_first = len(self._sites) == self._known_sites
        if is_first and key in self._points_that_fit:
            return self._points_that_fit[key]
        free = np.zeros((1, 0))
        map_ = self.gaps.maps[position]
        clear = bool(self.contacts.fits(map_, free, self.element, self._sites)[0])
        if is_first:
            self._points_that_fit[key] = clear
        return clear

    def _is_apart(self, fractions: Floats) -> Bools:
        """Return which values of the last coordinate can keep their distance in some cell."""
        ratio = self.cell.min_distance_ratio
        table = min_distances(ratio) if ratio > 0 else np.zeros((119, 119))
        position = self.gaps.table.positions[self.position]
        decimals = WYCKOFF.coordinate_decimals
        own = min_separation(float(table[self.element, self.element]), decimals)
        clear = apart_in_orbit(position, self.free, fractions, own)
        setting = self.gaps.setting
        for z, there in self._sites:
            apart = np.full(len(there), min_separation(float(table[self.element, z]), decimals))
            standard = there @ setting.matrix.T + setting.shift
            clear &= apart_from_others(position, self.free, fractions, standard, apart)
        return clear

    def _next_coordinate(self) -> None:
        """Advance to the next coordinate, or place the orbit."""
        position = self.gaps.table.positions[self.position]
        if len(self.free) < len(position.free_axes):
            self.kind = TokenKind.COORDINATE
            return
        gap = self.gaps.gaps[self.gap]
        known = gap.orbit
        free = np.array(self.free) if known is None else known.free_coordinates
        source = self.gap if gap.source is None else gap.source
        self.placed.append(Placement(source, Orbit(self.element, position, free)))
        if known is None:
            self._sites.append((self.element, self.gaps.maps[self.position].sites(free)))
        self.state = self.gaps.place(self.state, self.gap, self.element, self.position)
        self.kind = TokenKind.ELEMENT
        if not any(self.state.left):
            self.kind = TokenKind.FIRST_WHOLE
            self.ended = self.cell.lattice is not None

    def _allowed_in_cell(self) -> Bools | int:
        index = len(self._parameters)
        known = self.cell.free_parameters[index]
        if known is not None:
            hundredths = round(known * DECIMALS)
            decimals = self.kind is TokenKind.DECIMALS
            return hundredths % DECIMALS if decimals else hundredths // DECIMALS
        if self._bounds is None:
            orbits = [each.orbit for each in self.placed]
            self._bounds = CellBounds(
                WYCKOFF,
                self.gaps.setting.number,
                [
                    self.gaps.table.sites(self.gaps.index_of(orbit), orbit.free_coordinates)
                    for orbit in orbits
                ],
                [orbit.atomic_number for orbit in orbits],
                self.cell.min_distance_ratio,
            )
        if self.kind is TokenKind.DECIMALS:
            margin = self._bounds.distance_margin(
                self._parameters, self._whole + np.arange(DECIMALS) / DECIMALS
            )
        else:
            wholes = np.arange(100 if len(self._bounds.names[index]) == 1 else 180)
            values = (wholes[:, None] + _PROBED_DECIMALS).reshape(-1)
            margin = self._bounds.distance_margin(self._parameters, values)
            margin = margin.reshape(len(wholes), -1).max(axis=1)
        allowed: Bools = margin >= MIN_MARGIN
        if not allowed.any():
            allowed[margin.argmax() if np.isfinite(margin).any() else -1] = True
        return allowed


class CompletionReader:
    """A batch of texts with known lines; see `text_batch.TokenReader`."""

    extra_draws = 0

    def __init__(self, vocabulary: CompletionVocabulary, count: int) -> None:
        """Start texts at their first token."""
        self._vocabulary, self._ids = vocabulary, vocabulary.ids
        fillings = vocabulary.fillings
        self._texts = [
            _Text(fillings[i % len(fillings)], vocabulary, i // len(fillings)) for i in range(count)
        ]
        orbits = max(
            sum(1 if gap.single or gap.orbit is not None else gap.atoms or 1 for gap in each.gaps)
            for each in fillings
        )
        self.max_tokens, self.max_redrawn_fields = 1 + 5 * orbits + 12, 3 * orbits

    def choose(self, batch: TextBatch) -> Step:
        """Sample the next token of each text."""
        tokens: Ints = np.zeros(len(self._texts), dtype=np.int64)
        by_kind: dict[TokenKind, dict[int, Bools]] = {}
        for row, text in enumerate(self._texts):
            allowed = text.allowed()
            if isinstance(allowed, int):
                self._take(row, allowed, tokens)
            else:
                by_kind.setdefault(text.kind, {})[row] = allowed
        for kind, masks in by_kind.items():
            values = self._draw(batch, kind, masks)
            for row, value in zip(masks, values.tolist(), strict=True):
                self._take(row, value, tokens)
        return Step(tokens, np.array([text.ended for text in self._texts], dtype=np.bool_))

    def take(self, rows: Ints | None) -> None:
        """Keep these texts; each has its token already."""
        if rows is not None:
            self._texts = [self._texts[row] for row in rows.tolist()]

    def accepts(self, row: int, text: str) -> bool:
        """Keep what a finished text places."""
        found = self._texts[row]
        self._vocabulary.placements.setdefault(text, tuple(found.placed))
        return True

    def _take(self, row: int, value: int, tokens: Ints) -> None:
        text = self._texts[row]
        kind = text.kind
        tokens[row] = self._ids.choices[kind][value - self._ids.first_value(kind)]
        text.push(value)

    def _draw(self, batch: TextBatch, kind: TokenKind, masks: dict[int, Bools]) -> Ints:
        """Sample the next values of some texts, all of one kind, among those allowed for each."""
        rows = np.array(list(masks))
        first = self._ids.first_value(kind)
        logits = batch.logits(self._ids.choices[kind], rows=rows)
        if kind is TokenKind.ELEMENT:
            # Without the first lengths: the number of orbits is known.
            logits = logits[:, : self._ids.n_elements]
        texts = [self._texts[row] for row in rows.tolist()]
        if kind is TokenKind.COORDINATE:
            return _draw_coordinates(batch, texts, list(masks.values()), rows, logits)
        allowed: Bools = np.zeros(logits.shape, dtype=np.bool_)
        for i, some in enumerate(masks.values()):
            allowed[i, : len(some) - first] = some[first:]
        field = FieldKind.CELL if kind in _CELL_KINDS else _FIELD_KINDS[kind]
        return np.asarray(first + batch.draw(field, logits, allowed, rows=rows))


def _draw_coordinates(
    batch: TextBatch,
    texts: list[_Text],
    masks: list[Bools],
    rows: Ints,
    logits: torch.Tensor,
) -> Ints:
    """Sample a coordinate for each text that leaves its orbit room.

    Where part of a site is known, few values agree with it, and all of them are checked.
    """
    pinned = [mask if mask.any() else np.ones_like(mask) for mask in masks]
    values: Ints = np.zeros(len(texts), dtype=np.int64)
    few = np.array([not mask.all() for mask in pinned], dtype=np.bool_)
    if few.any():
        some = np.flatnonzero(few)
        allowed = np.stack([_free_values(texts[i], pinned[i]) for i in some.tolist()])
        values[some] = batch.draw(
            FieldKind.COORDINATE, logits[torch.from_numpy(some)], allowed, rows=rows[some]
        )
    if not few.all():
        open_ = np.flatnonzero(~few)

        def is_free(chosen: Ints, which: Ints) -> Bools:
            pairs = zip(open_[which].tolist(), chosen[:, None], strict=True)
            found = [texts[i].is_clear(value)[0] for i, value in pairs]
            return np.array(found, dtype=np.bool_)

        def free_values(i: int) -> Bools:
            return _free_values(texts[open_[i]], pinned[open_[i]])

        values[open_] = batch.draw_free_coordinate(
            logits[torch.from_numpy(open_)], is_free, free_values, rows=rows[open_]
        )
    return values


def _free_values(text: _Text, pinned: Bools) -> Bools:
    """Return which of these values leave the orbit room; all of them if none does."""
    clear: Bools = np.zeros_like(pinned)
    clear[pinned] = text.is_clear(_VALUES[pinned])
    return clear if clear.any() else pinned


_FIELD_KINDS = {TokenKind.ELEMENT: FieldKind.ELEMENT, TokenKind.POSITION: FieldKind.POSITION}

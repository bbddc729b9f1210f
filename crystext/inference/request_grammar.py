"""What a request has a model write: a whole crystal, or what is not known of a partial one."""

from __future__ import annotations

from crystext.grammar.any_tokenizer import FieldAutomaton
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.grammar.fields import (
    FieldKind,
    decimals_of,
    kind_after_coordinates,
    kind_after_wyckoff,
    value_texts,
)
from crystext.grammar.infilling import InfillingAutomaton, infill_fields
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.grammar.wyckoff.infeasible import raise_if_infeasible
from crystext.grammar.wyckoff.lookahead import lookahead_for
from crystext.grammar.wyckoff.single_value_fields import SingleValueFields
from crystext.inference.types import Request
from crystext.structures.distances import has_min_distances
from crystext.structures.space_groups import find_space_group
from crystext.text import Decoded, Format, decode

MAX_RESTARTS = 20
"""How often a text by symmetry is drawn from its start, at the most, where orbits have no room, or
make a crystal of another space group than the text declares."""


def field_automaton_for(request: Request, fmt: Format) -> FieldAutomaton:
    """Return the automaton of one text in any format, to be read character by character."""
    if request.partial is None and fmt.is_wyckoff:
        # Where there is no room for it, it is known when the text is read: see `must_be_redrawn`.
        raise_if_infeasible(request.constraints)
        ahead = lookahead_for(request.constraints)
        return SingleValueFields(WyckoffAutomaton(fmt, ahead, always_finish=True))
    return automaton_for(request, fmt, 1)


def must_be_redrawn(request: Request, text: str, fmt: Format) -> bool:
    """Tell whether a text by symmetry is to be drawn again, from its start.

    Its coordinates may have left no cell in which atoms keep their distances. Or the orbits lie so
    that the crystal has a higher symmetry within the tolerance at which space groups are found: its
    own text would declare that group.
    """
    if not fmt.is_wyckoff or (crystal := decode_completion(request, text, fmt).crystal) is None:
        return False
    scale = request.constraints.min_distance_ratio
    if not has_min_distances(crystal.lattice, crystal.positions, crystal.numbers, scale):
        return True
    return str(find_space_group(crystal)) != text.partition("\n")[0]


def automaton_for(
    request: Request, fmt: Format, batch: int
) -> CoordinateAutomaton | InfillingAutomaton:
    """Return the automaton of so many texts, at their first field."""
    if request.partial is None:
        return CoordinateAutomaton(fmt, batch, request.constraints)
    return InfillingAutomaton(fmt, batch, request.partial, request.constraints)


def decode_completion(request: Request, text: str, fmt: Format) -> Decoded:
    """Read what was written: a crystal, completed where it was given in part, or a fault."""
    if request.partial is None:
        return decode(text, format=fmt)
    return request.partial.decode_completion(text, fmt)


def max_characters(request: Request, fmt: Format) -> int:
    """Return how many characters a text has at the most."""
    if request.partial is None and fmt.is_wyckoff:
        line = len("\nNa 192j") + 3 * (fmt.coordinate_decimals + len(" 0."))
        return len("230") + request.constraints.max_atoms * line + 6 * len(" 100.00")
    if request.partial is None:
        cell = 3 * (fmt.length_decimals + fmt.angle_decimals + 10)
        return cell + request.constraints.max_atoms * (3 * (fmt.coordinate_decimals + 3) + 4)
    kinds = [blank.field.kind for blank in infill_fields(request.partial)]
    return sum(1 + max(map(len, value_texts(kind, fmt))) for kind in kinds)


def next_field_kind(request: Request, text: str, fmt: Format) -> FieldKind:
    """Return the kind of field that goes on behind the beginning of a text, or comes next."""
    if request.partial is None and fmt.is_wyckoff:
        return kind_after_wyckoff(text, fmt)
    if request.partial is None:
        return kind_after_coordinates(text, fmt)
    blanks = infill_fields(request.partial)
    values = text.replace("\n", " ").split(" ")
    place = min(len(values), len(blanks)) - 1
    kind = blanks[place].field.kind
    written = len(values[-1].partition(".")[2])
    done = kind is not FieldKind.ELEMENT and 0 < written == decimals_of(kind, fmt)
    return blanks[min(place + done, len(blanks) - 1)].field.kind

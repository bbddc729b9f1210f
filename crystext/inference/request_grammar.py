"""What a request has a model write: a whole crystal, or what is not known of a partial one."""

from __future__ import annotations

from crystext.grammar.any_tokenizer import Fields
from crystext.grammar.automaton import Automaton
from crystext.grammar.fields import (
    Kind,
    decimals,
    kind_after,
    kind_after_by_symmetry,
    value_texts,
)
from crystext.grammar.infilling import InfillingAutomaton, blanks_of
from crystext.grammar.wyckoff.automaton import SymmetricAutomaton
from crystext.grammar.wyckoff.infeasible import refuse_the_impossible
from crystext.grammar.wyckoff.lookahead import look_ahead
from crystext.grammar.wyckoff.single_value_fields import MergedFields
from crystext.inference.types import Request
from crystext.structures.distances import keeps_distances
from crystext.structures.space_groups import find_space_group
from crystext.text import Decoded, Format, decode

MOST_DRAWS = 20
"""How often a text by symmetry is drawn from its start, at the most, where orbits have no room, or
make a crystal of another space group than the text declares."""


def fields_for(request: Request, fmt: Format) -> Fields:
    """Return the automaton of one text in any format, to be read character by character."""
    if request.partial is None and fmt.by_symmetry:
        # Where there is no room for it, it is known when the text is read: see `is_misdrawn`.
        refuse_the_impossible(request.constraints)
        ahead = look_ahead(request.constraints)
        return MergedFields(SymmetricAutomaton(fmt, ahead, settles=True))
    return automaton_for(request, fmt, 1)


def is_misdrawn(request: Request, text: str, fmt: Format) -> bool:
    """Tell whether a text by symmetry is to be drawn again, from its start.

    Its coordinates may have left no cell in which atoms keep their distances. Or the orbits lie so
    that the crystal has a higher symmetry within the tolerance at which space groups are found: its
    own text would declare that group.
    """
    if not fmt.by_symmetry or (crystal := read_answer(request, text, fmt).crystal) is None:
        return False
    scale = request.constraints.distance_scale
    if not keeps_distances(crystal.lattice, crystal.positions, crystal.numbers, scale):
        return True
    return str(find_space_group(crystal)) != text.partition("\n")[0]


def automaton_for(request: Request, fmt: Format, batch: int) -> Automaton | InfillingAutomaton:
    """Return the automaton of so many texts, at their first field."""
    if request.partial is None:
        return Automaton(fmt, batch, request.constraints)
    return InfillingAutomaton(fmt, batch, request.partial, request.constraints)


def read_answer(request: Request, text: str, fmt: Format) -> Decoded:
    """Read what was written: a crystal, completed where it was given in part, or a fault."""
    if request.partial is None:
        return decode(text, format=fmt)
    return request.partial.complete(text, fmt)


def most_characters(request: Request, fmt: Format) -> int:
    """Return how many characters a text has at the most."""
    if request.partial is None and fmt.by_symmetry:
        line = len("\nNa 192j") + 3 * (fmt.coordinate_decimals + len(" 0."))
        return len("230") + request.constraints.max_atoms * line + 6 * len(" 100.00")
    if request.partial is None:
        cell = 3 * (fmt.length_decimals + fmt.angle_decimals + 10)
        return cell + request.constraints.max_atoms * (3 * (fmt.coordinate_decimals + 3) + 4)
    kinds = [blank.field.kind for blank in blanks_of(request.partial)]
    return sum(1 + max(map(len, value_texts(kind, fmt))) for kind in kinds)


def kind_behind(request: Request, text: str, fmt: Format) -> Kind:
    """Return the kind of field that goes on behind the beginning of a text, or comes next."""
    if request.partial is None and fmt.by_symmetry:
        return kind_after_by_symmetry(text, fmt)
    if request.partial is None:
        return kind_after(text, fmt)
    blanks = blanks_of(request.partial)
    values = text.replace("\n", " ").split(" ")
    place = min(len(values), len(blanks)) - 1
    kind = blanks[place].field.kind
    written = len(values[-1].partition(".")[2])
    done = kind is not Kind.ELEMENT and 0 < written == decimals(kind, fmt)
    return blanks[min(place + done, len(blanks) - 1)].field.kind

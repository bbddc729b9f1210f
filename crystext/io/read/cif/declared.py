"""The space group that a CIF declares by name: Hall and H-M symbols, number and codes."""

from __future__ import annotations

from typing import NamedTuple

from crystext.errors import InputError
from crystext.io.read.cif.grammar import CifBlock
from crystext.io.read.cif.operations import Operations, operations_of_hall
from crystext.io.read.cif.symbols import (
    SymbolMeaning,
    axes_of_code,
    choice_of_code,
    number_of_schoenflies,
    settings_of_symbol,
)

HALL_TAGS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
HM_TAGS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_symmetry_space_group_name_h-m_full",
)
HM_REFERENCE_TAG = "_space_group_name_h-m_ref"
NUMBER_TAGS = ("_space_group_it_number", "_symmetry_int_tables_number")
SCHOENFLIES_TAGS = ("_space_group_name_schoenflies", "_space_group_name_schonflies")
SETTING_CODE_TAG = "_space_group_it_coordinate_system_code"


_MAX_CHARACTERS_SHOWN = 60
"""Maximum characters of a symbol in messages."""


class DeclaredSymmetry(NamedTuple):
    """The declared names of a group, independent of any list of operations."""

    hall: tuple[str, Operations] | None
    names: list[tuple[str, SymbolMeaning]]
    unknown: list[str]
    """Symbols that name no group."""
    number: int
    """The space group's number; 0 if it is not given."""
    choices: tuple[str, ...]
    """1 or 2 (origin), H or R (axes), if they are given."""
    axes: str
    """Axes of an orthorhombic group with two origins, such as ba-c, if the code gives them."""

    @property
    def choice(self) -> str:
        """The single choice that is given; empty if there is none or several."""
        return self.choices[0] if len(self.choices) == 1 else ""

    @property
    def is_empty(self) -> bool:
        """Whether no known group is named."""
        return not (self.hall or self.names or self.number)


def declared_symmetry(block: CifBlock) -> DeclaredSymmetry:
    """Return the space group that a data block declares by name.

    Raises:
        InputError: it gives the group two numbers.
    """
    symbol = block.first_value(*HALL_TAGS)
    operations = operations_of_hall(symbol) if symbol else None
    names, unknown = [], []
    texts = list(dict.fromkeys(value for name in HM_TAGS if (value := block.first_value(name))))
    if not texts and (reference := block.first_value(HM_REFERENCE_TAG)):
        texts = [reference]
    if symbol and operations is None:
        texts.append(symbol)
    for text in texts:
        named = settings_of_symbol(text)
        if named.settings:
            names.append((text, named))
        else:
            unknown.append(text[:_MAX_CHARACTERS_SHOWN])
    numbers = set()
    for text in filter(None, [block.first_value(name) for name in NUMBER_TAGS]):
        if text.isdecimal() and 1 <= int(text[:9]) <= 230:
            numbers.add(int(text[:9]))
        else:
            unknown.append(text[:_MAX_CHARACTERS_SHOWN])
    if not names and not numbers and (flies := block.first_value(*SCHOENFLIES_TAGS)):
        numbers = {number} if (number := number_of_schoenflies(flies)) else set()
        unknown += [] if numbers else [flies[:_MAX_CHARACTERS_SHOWN]]
    if len(numbers) > 1:
        both = " and ".join(map(str, sorted(numbers)))
        raise InputError(f"it gives its space group two numbers, {both}; expected one")
    choices = [named.choice for _, named in names] + [
        choice_of_code(block.first_value(SETTING_CODE_TAG))
    ]
    return DeclaredSymmetry(
        (symbol, operations) if operations else None,
        names,
        unknown,
        next(iter(numbers), 0),
        tuple(dict.fromkeys(filter(None, choices))),
        axes_of_code(block.first_value(SETTING_CODE_TAG)),
    )

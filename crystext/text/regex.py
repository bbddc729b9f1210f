"""A regular expression of texts, for programs that constrain a model by one.

It describes the form of a text: lines, decimals, elements, number of atoms. It cannot describe what
depends on the whole text: that the angles form a cell, or that atoms keep their distance; the
grammar of `crystext sample` enforces that too.
"""

from __future__ import annotations

from collections.abc import Sequence

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import check_element
from crystext.errors import SettingError
from crystext.text.base import Format
from crystext.text.coordinates import PLAIN
from crystext.text.formats import FORMATS, get_format


def text_pattern(
    format: str | Format = PLAIN, *, max_atoms: int = 20, elements: Sequence[str] = SYMBOLS
) -> str:
    r"""Return a regular expression that matches the whole text of a crystal.

    Newlines are written \n.

    Args:
        format: a format that a regular expression can describe.
        max_atoms: maximum number of atoms in a cell.
        elements: symbols of the elements that may occur.

    Raises:
        SettingError: a format or element does not exist, or a number is below 1.
    """
    fmt = get_format(format)
    if max_atoms < 1:
        raise SettingError(f"{max_atoms} atoms: expected 1 or more")
    for symbol in elements:
        check_element(symbol)
    if not elements:
        raise SettingError("no element is given; expected one or more, such as Li,O")
    pattern = fmt.regex(max_atoms=max_atoms, elements=elements)
    if pattern is None:
        others = [
            name
            for name, other in FORMATS.items()
            if other.regex(max_atoms=max_atoms, elements=elements) is not None
        ]
        raise SettingError(
            f"no regular expression describes the format {fmt.name} ({fmt.title}); expected "
            f"{' or '.join(others)}"
        )
    return pattern

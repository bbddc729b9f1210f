"""Texts as a regular expression, for programs that make a model keep to one.

It says how a text is written: lines, decimals, elements, how many atoms. It cannot say what hangs
together over the whole text: that the angles close, or that atoms keep their distance; the grammar
of `crystext sample` enforces that too.
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
    r"""Return a regular expression of the texts of crystals, to be matched as a whole.

    Newlines stand as \n.

    Args:
        format: one that a regular expression can describe.
        max_atoms: most atoms in a cell.
        elements: symbols of those that may occur.

    Raises:
        SettingError: no such format or element, or a number below 1.
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

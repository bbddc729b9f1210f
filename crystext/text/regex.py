"""The plain text as a regular expression, for programs that make a model keep to one.

It says how a text is written: lines, decimals, elements, how many atoms. It cannot say what hangs
together over the whole text: that the angles close, or that atoms keep their distance; sampling
here sees to that too.
"""

from __future__ import annotations

from collections.abc import Sequence

from crystext.chemistry.elements import SYMBOLS
from crystext.chemistry.formulas import check_element
from crystext.errors import SettingError
from crystext.text.formats import COORDINATE_FORMATS, PLAIN, Format, get_format


def text_pattern(
    format: str | Format = PLAIN, *, max_atoms: int = 20, elements: Sequence[str] = SYMBOLS
) -> str:
    r"""Return a regular expression of the texts of crystals, to be matched as a whole.

    It is written in what all engines know: groups, classes and counts. Newlines stand as \n.

    Args:
        format: one that lists the coordinates of every atom.
        max_atoms: most atoms in a cell.
        elements: symbols of those that may occur.

    Raises:
        SettingError: no such format or element, or a number below 1.
    """
    fmt = get_format(format)
    if fmt.is_wyckoff:
        raise SettingError(
            f"no regular expression says which positions a space group has, so there is none of "
            f"the format {fmt.name}; expected {' or '.join(f.name for f in COORDINATE_FORMATS)}"
        )
    if max_atoms < 1:
        raise SettingError(f"{max_atoms} atoms: expected 1 or more")
    for symbol in elements:
        check_element(symbol)
    if not elements:
        raise SettingError("no element is given; expected one or more, such as Li,O")
    length = _positive_number("[1-9][0-9]{0,3}", fmt.length_decimals)
    angle = _positive_number("(?:[1-9][0-9]?|1[0-7][0-9])", fmt.angle_decimals)
    coordinate = rf"0\.[0-9]{{{fmt.coordinate_decimals}}}"
    if fmt.as_published:
        coordinate = rf"(?:{coordinate}|1\.{'0' * fmt.coordinate_decimals})"
    atom = rf"\n(?:{'|'.join(dict.fromkeys(elements))})\n{_triple(coordinate)}"
    return rf"{_triple(length)}\n{_triple(angle)}(?:{atom}){{1,{max_atoms}}}"


def _triple(number: str) -> str:
    return f"{number} {number} {number}"


def _positive_number(whole: str, decimals: int) -> str:
    """Return the pattern of a number above zero, of this whole part or of the whole part 0."""
    if not decimals:
        return whole
    digits = [
        f"{'0' * zeros}[1-9]" + (f"[0-9]{{{left}}}" if (left := decimals - zeros - 1) else "")
        for zeros in range(decimals)
    ]
    return rf"(?:{whole}\.[0-9]{{{decimals}}}|0\.(?:{'|'.join(digits)}))"

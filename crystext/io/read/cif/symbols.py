"""Convert names of space groups to the settings that they may mean.

Source: the tables of spglib (short, full and extended symbols of 530 settings) and of gemmi (34
settings beside them), with the spellings of older tables and of programs: F m 3 m, C m c e,
P2(1)/c, P 2_1/c, F 4/m -3 2/m, R -3 c :H, F d -3 m Z.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gemmi import SpaceGroup


class SymbolMeaning(NamedTuple):
    """The meaning of a space-group symbol."""

    settings: tuple[SpaceGroup, ...]
    """All settings with this symbol, the usual one first; empty if there is none."""
    choice: str
    """1 or 2 (origin), H or R (axes), or b1, -cba and so on, if given; else empty."""


_CHOICES = {"1": "1", "2": "2", "S": "1", "Z": "2", "H": "H", "HR": "H", "R": "R", "RH": "R",
            "O1": "1", "O2": "2"}  # fmt: skip
_SUFFIX = re.compile(
    r"(?:\s*:\s*|\s+)(O?[12]|[SZHR]|HR|RS|RZ|-?[abc][123]?|[12]?-?[abc]-?[abc]-?[abc])\s*$",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\s*(?:[(\[#]|\bno\b\.?)\s*(?:no\.?|#)?\s*\d{2,3}\s*[)\]]?\s*$", re.IGNORECASE
)
_WORDS = re.compile(r"[\[({]?\s*\b(origin|hexagonal|rhombohedral|setting|axes|choice|cell|unique)\b"
                    r".*$", re.IGNORECASE)  # fmt: skip
_SCHOENFLIES = re.compile(r"\s+[CDOTS][ _]?[0-9a-z{}]*\^\{?\d{1,2}\}?\s*$", re.IGNORECASE)


@lru_cache(maxsize=256)
def settings_of_symbol(symbol: str) -> SymbolMeaning:
    """Return the meaning of a Hermann-Mauguin symbol, in any spelling."""
    text = _normalize_symbol(symbol)
    choice = ""
    if words := _WORDS.search(text):
        choice = _choice_of_words(words[0])
        text = text[: words.start()].rstrip(" ,;:-")
    text = _SCHOENFLIES.sub("", _NUMBER.sub("", text))
    # A colon ends the symbol itself; a part after a space may belong to it.
    while (suffix := _SUFFIX.search(text)) and (
        ":" in suffix[0] or suffix[1].upper() in _CHOICES.keys() - {"1", "2"}
    ):
        choice = choice or choice_of_code(suffix[1])
        text = text[: suffix.start()]
    settings = _find_settings(text)
    if not settings and (ending := re.fullmatch(r"(.*[^-/\s])([SZHR])", text)):
        settings, choice = _find_settings(ending[1]), choice or _CHOICES[ending[2]]
    return SymbolMeaning(settings, choice)


def settings_of_number(number: int) -> tuple[SpaceGroup, ...]:
    """Return the settings of a group by its number, the standard one first."""
    from gemmi import spacegroup_table_itb

    return tuple(s for s in spacegroup_table_itb() if s.number == number)


def is_unambiguous(number: int, choice: str, axes: str) -> bool:
    """Whether a number, with the choices beside it, leaves one setting of gemmi's whole table."""
    from gemmi import spacegroup_table

    settings = tuple(s for s in spacegroup_table() if s.number == number)
    if choice:
        return len(settings_of_choice(settings_of_number(number), choice, axes)) == 1
    return len({s.hm for s in settings}) == 1


def settings_of_choice(
    settings: tuple[SpaceGroup, ...], choice: str, axes: str = ""
) -> tuple[SpaceGroup, ...]:
    """Return the settings of an origin or of axes, or all of them without a choice.

    Args:
        settings: settings of one group.
        choice: 1, 2, H, R, or axes such as b1.
        axes: axes of orthorhombic groups with two origins, such as ba-c, besides the origin choice.
    """
    chosen = tuple(
        s for s in settings if not choice or choice in (setting_extension(s), s.qualifier)
    )
    if not chosen and (match := re.fullmatch(r"(-?)([abc])([123]?)", choice)):
        # The tables leave out settings whose operations equal those of others: -b1 is b3.
        # A group with one choice of its cell has axes b, and the codes b1 and -b1; the axis alone,
        # as the words "unique axis b" name it, leaves the cell open.
        opposite, axis, cell = match.groups()
        same = axis + ({"1": "3", "2": "2", "3": "1"}[cell] if opposite and cell else cell)
        alike = {same, axis} if cell in ("", "1") else {same}
        chosen = tuple(s for s in settings if s.qualifier in alike)
        if not chosen and not cell:
            chosen = tuple(s for s in settings if s.qualifier[:1] == axis)
    if axes:
        chosen = tuple(s for s in chosen if s.qualifier == ("" if axes == "abc" else axes))
    return chosen


def setting_extension(setting: SpaceGroup) -> str:
    """Return 1, 2, H or R for one of two alternative settings; else an empty string."""
    return "" if setting.ext == "\0" else str(setting.ext)


def choice_of_code(code: str) -> str:
    """Return the meaning of a coordinate-system code: 1, 2, H, R, or axes such as b1; or empty."""
    text = code.strip()
    if text.upper() in _CHOICES:
        return _CHOICES[text.upper()]
    if axes_of_code(text):
        return text[0]
    return text.lower() if re.fullmatch(r"-?[abc][123]?|(-?[abc]){3}", text, re.IGNORECASE) else ""


def axes_of_code(code: str) -> str:
    """Return the axes after the origin in a coordinate-system code: ba-c of 1ba-c."""
    match = re.fullmatch(r"\s*[12](-?[abc]-?[abc]-?[abc])\s*", code, re.IGNORECASE)
    return match[1].lower() if match else ""


@cache
def number_of_schoenflies(symbol: str) -> int:
    """Return the number of a group by its Schoenflies symbol, C2h^5; 0 if it is unknown."""
    import spglib

    plain = re.sub(r"[\s^._]", "", symbol).lower()
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        if kind is not None and re.sub(r"[\s^._]", "", kind.schoenflies).lower() == plain:
            return int(kind.number)
    return 0


def _choice_of_words(words: str) -> str:
    axis = re.search(r"unique[\s-]*axis\W*([abc])\b", words, re.IGNORECASE)
    cell = re.search(r"cell[\s-]*choice\W*([123])\b", words, re.IGNORECASE)
    if axis or cell:
        return (axis[1].lower() if axis else "b") + (cell[1] if cell else "")
    if match := re.search(
        r"(?:origin|choice|setting)[^\d]{0,12}\b([12])\b(?!/)", words, re.IGNORECASE
    ):
        return match[1]
    if re.search(r"hexagonal", words):
        return "H"
    if re.search(r"rhombohedral", words):
        return "R"
    if re.search(r"cent(re|er)|inversion|-3m|(?<![-\d])-1\b|2/m", words):
        # The second origin of every group that has two is at a centre of inversion.
        return "2"
    return "1" if re.search(r"-4|\b23\b|222", words) else ""


_BAR = re.compile(r"\\bar\s*\{?\s*(\d)\s*\}?|\\overline\s*\{?\s*(\d)\s*\}?|\\=\s*(\d)|(\d)\u0304"
                  r"|(\d)\u0305|\u00af(\d)")  # fmt: skip


def _normalize_symbol(symbol: str) -> str:
    # Superscript and subscript digits are digits.
    symbol = "".join(unicodedata.normalize("NFKC", c) if c.isdigit() else c for c in symbol)
    text = _BAR.sub(lambda m: "-" + next(g for g in m.groups() if g), symbol)
    text = text.replace("$", "").replace("\u2212", "-").replace("\u2013", "-")
    text = re.sub(r"<\s*/?\s*su[bp]\s*>|~|\\,", "", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[2346])\s*[_(\[{]+\s*([1-5])\s*[)\]}]+", r"\1", text)
    text = re.sub(r"(?<=[2346])_([1-5])", r"\1", text)
    return " ".join(text.replace("_", " ").replace("'", "").replace('"', "").split())


def _find_settings(text: str) -> tuple[SpaceGroup, ...]:
    spaced = _symbol_letters(" ".join(re.sub(r"\s*/\s*", "/", text).split()))
    tables = _symbol_tables()
    for key, table in ((spaced, tables[0]), (spaced.replace(" ", ""), tables[1])):
        if found := table.get(key):
            return found
    return ()


def _symbol_letters(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


@cache
def _symbol_tables() -> tuple[dict[str, tuple[SpaceGroup, ...]], dict[str, tuple[SpaceGroup, ...]]]:
    """Return settings by symbols with spaces, and by symbols without, which are less certain."""
    from gemmi import spacegroup_table

    spaced: dict[str, list[SpaceGroup]] = {}
    for index, setting in enumerate(spacegroup_table()):
        for spelling in _spellings(index, setting):
            settings = spaced.setdefault(_symbol_letters(spelling), [])
            if all(setting.hall != other.hall for other in settings):
                settings.append(setting)
    close: dict[str, list[SpaceGroup]] = {}
    for spelling, settings in spaced.items():
        merged = close.setdefault(spelling.replace(" ", ""), [])
        merged += [s for s in settings if all(s.hall != other.hall for other in merged)]
    certain = {key: v for key, v in close.items() if len({s.number for s in v}) == 1}
    return {k: tuple(v) for k, v in spaced.items()}, {k: tuple(v) for k, v in certain.items()}


def _spellings(index: int, setting: SpaceGroup) -> list[str]:
    found = [setting.hm]
    if index < 530:
        import spglib

        kind = spglib.get_spacegroup_type(index + 1)
        assert kind is not None
        assert kind.number == setting.number
        names = [kind.international_full]
        if 3 <= setting.number <= 15:
            # P 1 21/n 1, the axes without symmetry left out, is the usual P 21/n.
            names.append(" ".join(part for part in setting.hm.split() if part != "1"))
        else:
            names += kind.international.split("=")
        found += [name.replace("_", "").strip() for name in names]
    if 123 <= setting.number <= 142:
        # spglib's full symbols leave out the axes along the diagonals, which are all twofold.
        first, second, third = setting.hm.split()[1:]
        middles = {name.split()[2] for name in found if len(name.split()) == 4} | {second}
        found += [
            f"{setting.hm[0]} {first} {middle} 2/{third}" for middle in middles if "/" in middle
        ]
    if setting.number >= 195:
        found += [spelling.replace("-3", "3") for spelling in found]
    if 215 <= setting.number <= 220:
        found += [spelling.replace("-4", "4") for spelling in found]
    if setting.number in (146, 155) and setting_extension(setting) == "H":
        # Symbols of the Protein Data Bank.
        found.append("H" + setting.hm[1:])
    if setting.number in _DOUBLE_GLIDES:
        found += [spelling for old in list(found) for spelling in _symbols_with_e_glide(old)]
    return found


_DOUBLE_GLIDES = (39, 41, 64, 67, 68)


def _symbols_with_e_glide(symbol: str) -> list[str]:
    """Return the symbols with e, used since 1992, of an older one with the glides a, b or c."""
    parts = symbol.split()
    spellings = []
    for i in range(1, len(parts)):
        changed = re.sub(r"[abc]$", "e", parts[i])
        if changed != parts[i]:
            spellings.append(" ".join([*parts[:i], changed, *parts[i + 1 :]]))
    return spellings

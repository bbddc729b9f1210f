"""Read POSCAR and CONTCAR files by VASP's own rules.

    title
    scale                   one number, a volume where it is negative; or three, for x, y and z
    3 lattice vectors       Å, before scaling
    symbols                 VASP 5 and later; over several lines where there are many
    counts
    Selective dynamics      may be missing; only the first letter counts
    Direct or Cartesian     likewise; c, C, k and K are Cartesian, everything else is direct
    a position per atom     and after it anything: flags, a symbol, a comment
    velocities and more     ignored

As in VASP, numbers end at the first word that is not a number, so comments may follow. Neither
pymatgen nor ASE reads all of these files, and they differ on some (three scales, Cartesian
positions under a negative scale). VASP's rules are followed where they are unambiguous, and files
that contradict themselves are refused. The format: https://www.vasp.at/wiki/index.php/POSCAR.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from crystext.chemistry.elements import ATOMIC_NUMBERS, HYDROGEN_ISOTOPES
from crystext.errors import InputError, did_you_mean
from crystext.io.read.reading import Reading
from crystext.structures.crystal import Crystal, Floats, isotope_notes, lengths_and_angles

_LAYOUT = "a title, a scale, three lattice vectors, symbols, counts, Direct or Cartesian, positions"

_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*)+")
_FORMULA_PART = re.compile(r"([A-Z][a-z]?)(\d*)")
_CONFIGURATION = re.compile(r"\s*(?:Direct|Cartesian)\s+configuration", re.IGNORECASE)
_FLAGS = ({"T", "F"}, {".T.", ".F."}, {".TRUE.", ".FALSE."})


class _Atoms(NamedTuple):
    """The contents of the lines after the lattice."""

    symbols: list[str]
    """One per atom."""
    positions: Floats
    """Direct or Cartesian, as written; shape (N, 3)."""
    cartesian: bool
    notes: list[str]


def looks_like_poscar(lines: list[str]) -> bool:
    """Return whether a text may be a POSCAR, by its first six lines."""
    if len(lines) < 6 or len(_numbers(lines[1])) not in (1, 3):
        return False
    return all(len(_numbers(line)) >= 3 for line in lines[2:5])


def read_poscar(text: str, *, lenient: bool = False) -> Reading:
    """Return the crystal of a POSCAR, with notes on assumptions made.

    Args:
        text: the whole file.
        lenient: if the lines of atoms name other elements than the line of symbols, or there are
            more positions than the counts say, follow the symbols and the counts, with a note.

    Raises:
        InputError: a line is invalid (the message names it), no element is named, or the file
            contradicts itself.
    """
    lines = text.rstrip().split("\n")
    if not any(line.strip() for line in lines):
        raise InputError(f"it is empty; expected a POSCAR: {_LAYOUT}")
    vectors = np.array([_vector(lines, i, "a lattice vector") for i in (2, 3, 4)])
    scale = _scale(lines, vectors)
    vectors = vectors * scale
    volume = float(np.linalg.det(vectors))
    if not abs(volume) > 0:
        raise InputError("lines 3 to 5: the three lattice vectors span no volume; check them")
    atoms = _atoms(lines, lenient)
    positions = atoms.positions
    if atoms.cartesian:
        positions = np.linalg.solve(vectors.T, (positions * scale).T).T
    # A left-handed basis is inverted together with its positions, which keeps the chirality.
    positions = positions * math.copysign(1.0, volume)
    lengths, angles = lengths_and_angles(vectors)
    numbers = [HYDROGEN_ISOTOPES.get(s, ATOMIC_NUMBERS.get(s, 0)) for s in atoms.symbols]
    crystal = Crystal(lengths, angles, np.array(numbers, dtype=np.int64), positions)
    crystal.check()
    isotopes = [(i, symbol) for i, symbol in enumerate(atoms.symbols, start=1)]
    return Reading(crystal, (*atoms.notes, *isotope_notes(isotopes)))


def read_xdatcar(text: str) -> list[Reading | InputError]:
    """Return the crystal of each configuration of an XDATCAR, or the error.

    Its header is that of a POSCAR, repeated before each configuration if the cell varies.

    Raises:
        InputError: it has no configuration.
    """
    lines = text.rstrip().split("\n")
    starts = [i for i, line in enumerate(lines) if _CONFIGURATION.match(line)]
    if not starts:
        raise InputError(
            "it has no line such as 'Direct configuration= 1'; expected an XDATCAR: the header of "
            f"a POSCAR ({_LAYOUT}), and configurations"
        )
    header = lines[: starts[0]]
    found: list[Reading | InputError] = []
    ends = [*starts[1:], len(lines)]
    for number, (at, following) in enumerate(zip(starts, ends, strict=True), start=1):
        try:
            atoms = sum(_symbols_and_counts([*header, lines[at]])[1])
            behind = lines[at + 1 : following]
            found.append(read_poscar("\n".join([*header, *lines[at : at + 1], *behind[:atoms]])))
        except InputError as error:
            where = f"configuration {number} (lines are counted from its header)"
            found.append(InputError(f"{where}: {error}"))
            continue
        if any(line.strip() for line in behind[atoms:]):
            header = behind[atoms:]
    return found


def _scale(lines: list[str], vectors: Floats) -> Floats:
    """Return the factors of x, y and z: shape (3,)."""
    found = _numbers(lines[1])
    if len(found) not in (1, 3):
        raise _unexpected_line_error(lines, 1, "a scale, which is one number or three")
    if len(found) == 3 and min(found) <= 0:
        raise _unexpected_line_error(
            lines, 1, "three scales above 0; only a single one may be a volume"
        )
    if found[0] == 0:
        raise _unexpected_line_error(lines, 1, "a scale other than 0")
    if found[0] < 0:
        volume = abs(float(np.linalg.det(vectors)))
        if not volume > 0:
            raise InputError("lines 3 to 5: the three lattice vectors span no volume; check them")
        return np.full(3, np.cbrt(-found[0] / volume))
    return np.array(found if len(found) == 3 else found * 3)


def _atoms(lines: list[str], lenient: bool) -> _Atoms:
    names, counts, at = _symbols_and_counts(lines)
    selective = _words(lines, at)[:1] != [] and lines[at].strip()[0] in "sS"
    at += selective
    mode = _line(lines, at).strip()
    if not mode[:1].isalpha():
        raise _unexpected_line_error(lines, at, "Direct or Cartesian")
    notes = []
    if mode[0] not in "cCkKdDfF":
        notes.append(
            f"line {at + 1}, {mode[:40]!r}, is read as Direct, as VASP reads any word that does "
            "not begin with c or k"
        )
    total, first = sum(counts), at + 1
    if total > len(lines) - first:
        raise InputError(
            f"its counts add up to {total} atoms, but it ends with line {len(lines)} and the "
            f"positions begin in line {first + 1}; expected a line for each. The file may be cut "
            "off"
        )
    positions = np.array(
        [_vector(lines, i, "a position of three numbers") for i in range(first, first + total)]
    ).reshape(-1, 3)
    labels = _labels(lines[first : first + total], selective)
    if names:
        symbols = [name for name, n in zip(names, counts, strict=True) for _ in range(n)]
        notes += _check_labels(symbols, labels, first, lenient)
    else:
        symbols, named = _symbols_elsewhere(lines, counts, labels, lenient)
        notes += named
    _refuse_surplus(lines, first + total, total, lenient, notes)
    return _Atoms(symbols, positions, mode[0] in "cCkK", notes)


def _symbols_and_counts(lines: list[str]) -> tuple[list[str], list[int], int]:
    """Return symbols (none in a VASP 4 file), counts, and the index of the next line."""
    at, names = 5, []
    while not _is_count(_words(lines, at)[:1]):
        # A VASP 4 file has numbers here; VASP 5 needs only symbols before them.
        for word in (words := _words(lines, at)):
            names.append(_symbol(word, at))
        if not words:
            raise _unexpected_line_error(
                lines, at, "element symbols, or the number of atoms of each element"
            )
        at += 1
    counts: list[int] = []
    while _is_count(_words(lines, at)[:1]) and not (names and len(counts) >= len(names)):
        for word in _words(lines, at):
            if not _is_count([word]):
                break
            counts.append(int(word))
        at += 1
    if names and len(names) != len(counts):
        raise InputError(
            f"it names {len(names)} elements ({', '.join(names[:12])}) and {len(counts)} counts "
            f"({', '.join(map(str, counts[:12]))}); expected a count for each element"
        )
    if sum(counts) < 1:
        raise InputError("its counts add up to 0 atoms; a crystal needs at least one")
    return names, counts, at


def _symbol(word: str, at: int) -> str:
    """Return the symbol in a word, which may be the name of a potential: Fe_pv, Ti_sv/6a2f546d."""
    symbol = re.split("[/_]", word, maxsplit=1)[0]
    if symbol not in ATOMIC_NUMBERS and symbol not in HYDROGEN_ISOTOPES:
        raise InputError(
            f"line {at + 1} holds {word[:40]!r}, which is not an element; expected symbols such as "
            "Fe, Fe_pv or Fe/6a2f546d." + did_you_mean(symbol, ATOMIC_NUMBERS)
        )
    return symbol


def _labels(lines: Iterable[str], selective: bool) -> list[str] | None:
    """Return the symbol after each position; None unless every position has one."""
    labels = []
    for line in lines:
        words = line.split()[3:]
        if selective or any({w.upper() for w in words[:3]} <= flags for flags in _FLAGS):
            words = words[3:]
        if not words or words[0] not in ATOMIC_NUMBERS.keys() | HYDROGEN_ISOTOPES.keys():
            return None
        labels.append(words[0])
    return labels


def _check_labels(
    symbols: list[str], labels: list[str] | None, first: int, lenient: bool
) -> Iterable[str]:
    """Yield a note, or refuse the file, if atom labels contradict the line of symbols."""
    if labels is None or labels == symbols:
        return
    i = next(i for i in range(len(labels)) if labels[i] != symbols[i])
    found = (
        f"line {first + i + 1} labels atom {i + 1} {labels[i]}, but by the symbols and counts "
        f"above it is {symbols[i]}"
    )
    if not lenient:
        raise InputError(f"{found}; expected the same. Correct one of them")
    yield f"{found}; the latter is read"


def _symbols_elsewhere(
    lines: list[str], counts: list[int], labels: list[str] | None, lenient: bool
) -> tuple[list[str], list[str]]:
    """Return the symbols of a VASP 4 file: from after the positions, or from the title."""
    titled = _title_symbols(lines[0], counts)
    of_title = None if titled is None else [s for s, n in zip(titled, counts, strict=True)
                                            for _ in range(n)]  # fmt: skip
    if labels is not None:
        if of_title is not None and of_title != labels:
            found = "its title and the symbols behind its positions name other elements"
            if not lenient:
                raise InputError(f"{found}; expected the same. Correct one of them")
            return labels, [f"{found}; the latter are read"]
        start = 0
        for n in counts:
            if len(set(labels[start : start + n])) > 1 and not lenient:
                raise InputError(
                    f"its counts ({', '.join(map(str, counts[:12]))}) make atoms {start + 1} to "
                    f"{start + n} one element, but the symbols behind their positions differ; "
                    "expected the same. Correct one of them"
                )
            start += n
        return labels, []
    if of_title is None:
        raise InputError(
            f"line 6 holds counts, {' '.join(map(str, counts[:12]))}, and no line says of which "
            "elements (a file of VASP 4); expected their symbols on a line before the counts. Add "
            "it, in the order of the POTCAR"
        )
    return of_title, [f"its elements, {', '.join(titled or ())}, are taken from its title"]


def _title_symbols(title: str, counts: list[int]) -> list[str] | None:
    """Return the element of each count if a title consists of symbols, or is a formula."""
    words = [re.split("[/_]", word, maxsplit=1)[0] for word in title.split()]
    if len(words) == len(counts) and all(word in ATOMIC_NUMBERS for word in words):
        return words
    if not words or not all(_FORMULA.fullmatch(word) for word in words):
        return None
    parts = [part for word in words for part in _FORMULA_PART.findall(word)]
    symbols = [symbol for symbol, _ in parts]
    amounts = [int(amount or 1) for _, amount in parts]
    proportional = len(counts) == len(amounts) and all(
        a * counts[0] == n * amounts[0] for a, n in zip(amounts, counts, strict=True)
    )
    return symbols if proportional and all(s in ATOMIC_NUMBERS for s in symbols) else None


def _refuse_surplus(lines: list[str], at: int, total: int, lenient: bool, notes: list[str]) -> None:
    """Refuse surplus positions; velocities come after a header line or an empty line."""
    if at < len(lines) and len(_numbers(lines[at])) >= 3:
        found = f"line {at + 1} holds a further position, but the counts add up to {total} atoms"
        if not lenient:
            raise InputError(f"{found}; expected as many. Correct the counts, or remove it")
        notes.append(f"{found}; it is ignored")


def _vector(lines: list[str], at: int, what: str) -> list[float]:
    found = _numbers(_line(lines, at))
    if len(found) < 3:
        raise _unexpected_line_error(
            lines, at, what if "three" in what else f"{what} of three numbers"
        )
    if not all(map(math.isfinite, found[:3])):
        raise InputError(f"line {at + 1} holds a number that is not finite: {lines[at].strip()!r}")
    return found[:3]


def _numbers(line: str) -> list[float]:
    """Return the numbers at the start of a line, up to the first word that is not a number."""
    found: list[float] = []
    for word in line.split():
        try:
            # Fortran's D marks an exponent of double precision; Python's _ is not allowed.
            found.append(float("_" if "_" in word else re.sub("[dD]", "e", word)))
        except ValueError:
            break
    return found


def _words(lines: list[str], at: int) -> list[str]:
    """Return the words of a line, up to a comment."""
    return re.split("[!#]", _line(lines, at), maxsplit=1)[0].split()


def _line(lines: list[str], at: int) -> str:
    if at >= len(lines):
        raise InputError(f"it ends after line {len(lines)}; expected {_LAYOUT}")
    return lines[at]


def _is_count(words: list[str]) -> bool:
    return words != [] and words[0].isascii() and words[0].isdigit() and len(words[0]) < 20


def _unexpected_line_error(lines: list[str], at: int, expected: str) -> InputError:
    found = repr(_line(lines, at).strip()[:60]) if _line(lines, at).strip() else "nothing"
    return InputError(f"line {at + 1} holds {found}; expected {expected}")

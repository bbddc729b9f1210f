"""The prototypes of known crystals: from shipped texts, from orbits that a store holds, by spglib.

A text in the Wyckoff format states its prototype; for other crystals spglib finds it, which takes a
minute for 10,000 crystals, once: the results are cached beside the set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from crystext.data.shipped import shipped_texts
from crystext.evaluate.reference_sets import ReferenceSet
from crystext.metrics.base import map_crystals
from crystext.metrics.prototypes import (
    Prototype,
    PrototypeIndex,
    find_prototype,
    make_prototype,
    prototype_of,
)
from crystext.runtime.files import write_text
from crystext.runtime.processes import Workers

_ORBIT_LINE = re.compile(r"^([A-Z][a-z]?)(?: \d+([a-zA]))?\b", re.MULTILINE)
"""The element of an atom's line or of an orbit's, and the letter of the orbit."""


def text_orbits(text: str) -> list[tuple[str, str]]:
    """Return the symbol of each line of a text, and the letter of its orbit, empty without one."""
    orbits: list[tuple[str, str]] = _ORBIT_LINE.findall(text)
    return orbits


def text_prototype(text: str) -> Prototype | None:
    """Return the prototype of a text in the Wyckoff format; None for another text."""
    group, orbits = text.partition("\n")[0], text_orbits(text)
    if group.isdecimal() and all(letter for _, letter in orbits):
        return make_prototype(int(group), orbits)
    return None


def reference_prototypes(
    reference: ReferenceSet,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> Iterator[tuple[str, Prototype]]:
    """Yield names and prototypes of a set's crystals; those without a symmetry are left out.

    Args:
        reference: the set.
        workers: processes, or an executor, for crystals whose orbits the set does not hold.
        report: called with the number of such crystals done, and of all.
    """
    given = list(_given(reference))
    missing = [i for i, prototype in enumerate(given) if prototype is None]
    found = dict(zip(missing, _computed(reference, missing, workers, report), strict=True))
    for i, prototype in enumerate(given):
        prototype = found[i] if prototype is None else prototype
        if prototype is not None:
            yield reference.name(i), prototype


def prototype_index(
    reference: ReferenceSet,
    workers: Workers = 1,
    report: Callable[[int, int], None] = lambda done, whole: None,
) -> PrototypeIndex:
    """Return the prototypes of a set; see `reference_prototypes`."""
    index = PrototypeIndex()
    for name, prototype in reference_prototypes(reference, workers, report):
        index.add(prototype, name)
    return index


def _given(reference: ReferenceSet) -> Iterator[Prototype | None]:
    """Yield the prototype that the set states for each crystal; None where it states none."""
    if reference.shipped_file is not None:
        yield from map(text_prototype, shipped_texts(reference.shipped_file))
        return
    for i in range(len(reference)):
        orbits = reference.dataset[i].wyckoff
        yield None if orbits is None else prototype_of(orbits)


def _computed(
    reference: ReferenceSet,
    rows: Sequence[int],
    workers: Workers,
    report: Callable[[int, int], None],
) -> list[Prototype | None]:
    """Return the prototypes of some crystals by spglib, from the cache if it has them."""
    if not rows:
        return []
    path = reference.cache_folder / f"prototypes-spglib-{version('spglib')}.json"
    cached = _read(path, len(rows))
    if cached is not None:
        return cached
    crystals = [reference.dataset[i].require_crystal() for i in rows]
    found = map_crystals(find_prototype, crystals, workers, report)
    if reference.is_cacheable:
        write_text(path, json.dumps(found), shared=True)
    return found


def _read(path: Path, count: int) -> list[Prototype | None] | None:
    """Return cached prototypes; None if there are none, or of another number of crystals."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if len(rows) != count:
            return None
        return [
            None if row is None else Prototype(int(row[0]), tuple((s, tuple(x)) for s, x in row[1]))
            for row in rows
        ]
    except (OSError, ValueError, TypeError, LookupError):
        return None

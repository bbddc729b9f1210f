"""Answers of structured extraction: JSON, and the items that it states.

An answer may have words around its JSON, such as a code fence. What it states is compared as texts
without regard to case and spaces; the identifiers that link a dopant to its materials are free.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from crystext.errors import InputError

BASEMATS, DOPANTS, LINKS = "basemats", "dopants", "dopants2basemats"
"""Keys of an answer about doping: materials, dopants, and which has which."""

Items = dict[str, Counter[Hashable]]
"""Items by kind, with how often each is stated."""

Entry = Counter[tuple[str, str]]
"""What is stated about a material: fields with values."""

_MAX_LENGTH = 100_000


def parse_json(answer: str, opening: str) -> Any:
    """Return the first JSON value of an answer that begins with one of some characters.

    Raises:
        InputError: there is none.
    """
    if not answer.strip():
        raise InputError("empty answer")
    decoder = json.JSONDecoder()
    starts = [i for i, character in enumerate(answer[:_MAX_LENGTH]) if character in opening]
    for start in starts[:1]:
        try:
            return decoder.raw_decode(answer[start:_MAX_LENGTH])[0]
        except (ValueError, RecursionError):
            break
    raise InputError("no JSON" if not starts else "JSON that is damaged or cut")


def doping_items(value: Any) -> Items:
    """Return materials, dopants and links that an object states.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise InputError("JSON that is no object")
    names = {kind: _named_texts(value.get(kind, {}), kind) for kind in (BASEMATS, DOPANTS)}
    items: Items = {kind: Counter(texts.values()) for kind, texts in names.items()}
    links = value.get(LINKS, {})
    if not isinstance(links, Mapping):
        raise InputError(f"no object of {LINKS}")
    items[LINKS] = Counter()
    for dopant, materials in links.items():
        for material in [materials] if isinstance(materials, str) else materials or ():
            # An identifier that is none of the answer's links nothing: it is wrong as it stands.
            pair = (
                names[DOPANTS].get(str(dopant), f"?{dopant}"),
                names[BASEMATS].get(str(material), f"?{material}"),
            )
            items[LINKS][pair] += 1
    return items


def entries(value: Any, fields: Sequence[str]) -> list[Entry]:
    """Return the entries that a list of objects states; one object is a list of one.

    Raises:
        InputError: it is something else.
    """
    rows = [value] if isinstance(value, Mapping) else value
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise InputError("JSON that is no list of objects")
    stated = [
        Counter(
            (field, text)
            for field in fields
            for text in map(normal_text, _texts(row.get(field)))
            if text
        )
        for row in rows
    ]
    return [entry for entry in stated if entry]


def normal_text(text: str) -> str:
    """Return a text for comparison: without regard to case and spaces at ends or in rows."""
    return " ".join(text.split()).casefold()


def match_entries(reference: Sequence[Entry], answered: Sequence[Entry]) -> list[tuple[int, int]]:
    """Return the pairs of entries, one to one, that share most fields and values in all.

    Args:
        reference: the right entries.
        answered: those of an answer, in any order.
    """
    # Heavy, and not needed for the suite's title.
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    if not reference or not answered:
        return []
    shared = np.array([[(x & y).total() for y in answered] for x in reference])
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def entry_items(reference: Sequence[Entry], answered: Sequence[Entry]) -> tuple[Items, Items]:
    """Return the items of right and of answered entries, each with the number of its match."""
    partner = {column: row for row, column in match_entries(reference, answered)}
    unmatched = len(reference)
    positions = [partner.get(i, unmatched + i) for i in range(len(answered))]
    return _by_field(reference, range(len(reference))), _by_field(answered, positions)


def _by_field(stated: Sequence[Entry], positions: Sequence[int]) -> Items:
    items: Items = {}
    for entry, position in zip(stated, positions, strict=True):
        for (field, text), count in entry.items():
            items.setdefault(field, Counter())[position, text] += count
    return items


def _named_texts(value: Any, kind: str) -> dict[str, str]:
    if isinstance(value, list):
        value = {str(i): x for i, x in enumerate(value)}
    if not isinstance(value, Mapping) or not all(isinstance(x, str) for x in value.values()):
        raise InputError(f"no object of texts as {kind}")
    return {str(key): normal_text(text) for key, text in value.items() if text.strip()}


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [x if isinstance(x, str) else json.dumps(x) for x in values]

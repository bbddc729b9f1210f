"""Structured extraction as the published evaluation of LLaMat scores it, quirks included.

- Texts are compared word by word: half of a name is half right, and one word fits anywhere;
- questions whose right answer is empty are left out (169 of 232 on doping), so that what a model
  makes up there costs nothing;
- answers on doping, and on materials (MOF 1), that cannot be read are left out; those on frameworks
  (MOF 2) count as empty;
- on materials, every ' of an answer becomes a ", so that an apostrophe makes it unreadable;
- the words of all entries are one set: which belongs to which is seen in links alone, from the
  whole formula, or name, to each word.

Source: arXiv:2412.09560 and the code that its authors published (M3RG-IITD/llamat, commit 1dbee74,
`evaluation_codes/{doping,mof1,mof2}_eval.py`), after that of Dagdelen et al. (Nat. Commun. 15,
1418). Where it ends with an error, such as for a list of texts, the answer counts as unreadable.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crystext.benchmark.language.counts import Counts
from crystext.benchmark.language.extraction_answers import BASEMATS, DOPANTS, LINKS

_END = "<|im_e"
"""Where LLaMat's answers are cut."""

_MAX_LENGTH = 20_000
"""Longer answers are not read as Python literals."""

LINK = "link_{}_f1"


def doping_scores(pairs: Iterable[tuple[Mapping[str, Any], str]]) -> Mapping[str, float]:
    """Return the published scores of answers on doping.

    Args:
        pairs: right answers, as the file has them, and answers.
    """
    totals = {kind: Counts() for kind in (BASEMATS, DOPANTS, LINKS)}
    exact, count = 0, 0
    for right, answer in pairs:
        if not any(right.values()):
            continue
        stated = _literal(answer)
        try:
            counted = _doping_counts(right, {kind: stated.get(kind) or {} for kind in totals})
        except (AttributeError, TypeError):
            continue
        totals = {kind: _add(totals[kind], counted[kind]) for kind in totals}
        exact += stated == right
        count += 1
    names = {BASEMATS: "basemats_f1", DOPANTS: "dopants_f1", LINKS: "links_f1"}
    scores = {names[kind]: counts.f1 for kind, counts in totals.items()}
    return {**scores, "exact": exact / count if count else math.nan}


def _doping_counts(right: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Counts]:
    counts = {}
    for kind in (BASEMATS, DOPANTS):
        expected, given = (
            [word for word in " ".join(x[kind].values()).split(" ") if word]
            for x in (right, stated)
        )
        hits = sum(word in given for word in expected)
        spurious = sum(word not in expected for word in given)
        counts[kind] = Counts(hits, spurious, len(expected) - hits)
    expected, given = _linked_words(right), _linked_words(stated)
    hits = sum(link in given for link in expected)
    counts[LINKS] = Counts(hits, len(given) - hits, len(expected) - hits)
    return counts


def _linked_words(stated: Mapping[str, Any]) -> list[str]:
    links = []
    for dopant, materials in stated[LINKS].items():
        for material in materials:
            if material in stated[BASEMATS] and dopant in stated[DOPANTS]:
                links += [
                    f"{x} {y}"
                    for x in stated[BASEMATS][material].split(" ")
                    for y in stated[DOPANTS][dopant].split(" ")
                    if x and y
                ]
    return links


def entry_scores(
    pairs: Iterable[tuple[Sequence[Mapping[str, Any]], str]],
    fields: Sequence[str],
    root: str,
    *,
    drops_unreadable: bool,
) -> Mapping[str, float]:
    """Return the published scores of answers on materials, or on frameworks.

    Args:
        pairs: right entries, as the file has them, and answers.
        fields: of an entry.
        root: the field whose whole text is linked to the words of all others.
        drops_unreadable: whether answers that cannot be read are left out, as on materials; else
            they are empty.
    """
    kinds = [*fields, *(LINK.format(x) for x in fields if x != root)]
    totals = {kind: Counts() for kind in kinds}
    exact, count = 0, 0
    for right, answer in pairs:
        if not right:
            continue
        stated = _rows(answer, fields, single_quotes=drops_unreadable)
        if stated is None and drops_unreadable:
            continue
        expected = _word_sets(right, fields, root)
        given = _word_sets(stated or [], fields, root)
        for kind in kinds:
            x, y = expected.get(kind, set()), given.get(kind, set())
            totals[kind] = _add(totals[kind], Counts(len(x & y), len(y - x), len(x - y)))
        exact += _sorted_rows(right) == _sorted_rows(stated or [])
        count += 1
    scores = {kind if "_f1" in kind else f"{kind}_f1": x.f1 for kind, x in totals.items()}
    return {**scores, "exact": exact / count if count else math.nan}


def _rows(
    answer: str, fields: Sequence[str], *, single_quotes: bool
) -> list[dict[str, Any]] | None:
    """Return the objects of an answer with all fields and no others; None if it has none."""
    text = answer.split(_END)[0].strip()
    try:
        rows = json.loads(text.replace("'", '"') if single_quotes else text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    is_text = {"formula", "name", "acronym", "mof_formula", "name_of_mof"}
    full = [{x: row.get(x, "" if x in is_text else [""]) for x in fields} for row in rows]
    for row in full:
        for value in row.values():
            texts = value if isinstance(value, list) else [value]
            if not all(isinstance(text, str) for text in texts):
                return None
    return full


def _word_sets(
    rows: Sequence[Mapping[str, Any]], fields: Sequence[str], root: str
) -> dict[str, set[str]]:
    sets: dict[str, set[str]] = {}
    for row in rows:
        words = {field: _words(row.get(field, "")) for field in fields}
        for field, found in words.items():
            sets.setdefault(field, set()).update(found)
        start = row.get(root)
        if isinstance(start, str) and start:
            for field in fields:
                if field != root:
                    ends = {f"{start}|||{word}" for word in words[field] if word != start}
                    sets.setdefault(LINK.format(field), set()).update(ends)
    return sets


def _words(value: Any) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return [word for text in texts for word in (x.strip() for x in text.split(" ")) if word]


def _sorted_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(rows, key=lambda row: str(row.get("formula", "")))
    return str([dict(sorted(row.items())) for row in ordered])


def _literal(answer: str) -> Any:
    """Return the Python literal that an answer is; None if it is none."""
    try:
        return ast.literal_eval(answer.split(_END)[0][:_MAX_LENGTH].strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _add(first: Counts, second: Counts) -> Counts:
    return Counts(*(x + y for x, y in zip(first, second, strict=True)))

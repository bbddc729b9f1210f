"""Figures of conditional sampling and infilling."""

from __future__ import annotations

from evaluation.documents.sources import (
    PLAIN_WEIGHTS,
    current,
    figure,
    made_by,
    named,
    newest,
    of,
    percent,
    read,
    table,
)
from evaluation.result_file import current_results


def satisfied(file: str, way: str, how: str) -> str:
    """Return how many samples have what was requested, of how many."""
    result = current(file)
    prompts = result["prompts_of_each_kind"] - result[way]["too_large_to_ask_for"]
    rows = result[way][how]
    names = [x for x in rows if x.endswith(" as asked for") and not x.startswith("prompts ")]
    # Where several conditions were requested at once, all of them have to hold.
    name = "all as asked for" if len(names) > 1 else names[0]
    return of(rows[name], prompts * result["answers_to_each"])


@figure("conditions.table")
def conditions() -> str:
    """What is requested in the Wyckoff format, and how often it is satisfied."""
    enforced, elements = "conditioning_wyckoff", "conditioning_wyckoff_elements"
    prompt, guided = "conditioning_wyckoff_prompt", "conditioning_wyckoff_guided"
    first = "of MP-20 validation, enforced, first sample"
    alone = "of MP-20 test, by the prompt alone, at temperature 0.3"
    wanted = [
        (f"space groups {first}", enforced, "space group", "enforced"),
        ("formulas, likewise", enforced, "formula", "enforced"),
        ("formulas together with space groups, likewise", enforced, "both", "enforced"),
        ("chemical systems, likewise, two samples each", elements, "chemical system", "enforced"),
        ("exclusions of frequent elements, likewise", elements, "exclusion", "enforced"),
        ("numbers of atoms, likewise", elements, "size", "enforced"),
        (f"space groups {alone}", prompt, "space group", "prompt alone"),
        ("formulas, likewise", prompt, "formula", "prompt alone"),
        (
            "formulas, by the prompt alone, at temperature 0.1 with `--guidance 2`",
            guided,
            "formula",
            "prompt alone",
        ),
    ]
    rows = [
        (title, satisfied(file, way, how), f"`{file}.json`") for title, file, way, how in wanted
    ]
    header = "requested, in the Wyckoff format", "satisfied", f"file in {named(current_results())}"
    return table(header, rows)


@figure("conditions.plain_text")
def plain_text() -> str:
    """What earlier weights made of conditions in the plain text."""
    asked = read(PLAIN_WEIGHTS / "conditioning.json")
    kept = read(PLAIN_WEIGHTS / "conditioning_enforced.json")["formula"]["enforced"]

    def met(way: str, name: str) -> str:
        return percent(asked[way]["prompt alone"][name]["share"])

    texts = kept["composition as asked for"]["count"]
    return (
        "In the plain text, earlier weights satisfied "
        f"{met('space group', 'space_group as asked for')} of the space groups and "
        f"{met('formula', 'composition as asked for')} of the formulas by the prompt alone, and "
        f"{met('cell', 'composition as asked for')} where the formula of the whole cell was "
        f"requested (`conditioning.json`). With the formula enforced, {texts:,} of "
        f"{kept['crystals']['count']:,} texts had it (`conditioning_enforced.json`, both in "
        f"{named(PLAIN_WEIGHTS)}, by `python -m evaluation.measure.conditioning`)."
    )


@figure("infilling")
def infilling() -> str:
    """Whether the model finds a masked element or cell."""
    found = current("infilling")
    element, cell = found["element"], found["cell"]
    shares = element["shares"]

    def volume(way: str) -> str:
        return percent(cell[way]["shares"]["volume within 10%"]["share"])

    return (
        "On crystals of MP-20 validation, the true element is among the first five for "
        f"{percent(shares['true element among the first 5']['share'])} of "
        f"{element['crystals']:,}: for {percent(shares['among the first 5, place kept']['share'])} "
        "where its sites keep their place and for "
        f"{percent(shares['among the first 5, place last']['share'])} where they come last. Of "
        f"{cell['crystals']} masked cells, the first completion of "
        f"{cell['first proposal']['drawn']} has a volume within 10% of the true one for "
        f"{volume('first proposal')}, and the most probable cell for {volume('most probable')} "
        f"{made_by(newest('infilling'), 'measure.infilling')}."
    )


@figure("infilling.given")
def given() -> str:
    """Whether infilling leaves alone what is given."""
    found = current("infilling_given")
    row = found["shares"]["given parts equal to the bit"]
    return (
        f"With one element of {found['crystals']:,} crystals of MP-20 validation to be replaced, "
        f"all else was as given, to the bit, in {row['count']:,} of "
        f"{round(row['count'] / row['share']):,} completions "
        f"{made_by(newest('infilling_given'), 'measure.infilling_given')}."
    )

from __future__ import annotations

from crystext.chemistry.elements import SYMBOLS
from crystext.evaluate.html.periodic_table import grid_positions, periodic_table
from crystext.evaluate.report import LabelCounts


def counts(drawn: dict[str, int], known: dict[str, int] | None = None) -> LabelCounts:
    labels = sorted({*drawn, *(known or {})})
    return LabelCounts(
        stage="distributions",
        name="elements",
        title="elements",
        labels=labels,
        counts=[drawn.get(x, 0) for x in labels],
        reference_counts=None if known is None else [known.get(x, 0) for x in labels],
        total=100,
        reference_total=None if known is None else 200,
    )


def marks(found: LabelCounts) -> dict[str, str]:
    return {tile.symbol: tile.mark for tile in periodic_table(found) if tile.mark}


def test_each_element_has_a_place_of_its_own() -> None:
    assert set(grid_positions()) == set(SYMBOLS)
    assert len(set(grid_positions().values())) == len(SYMBOLS)
    known = {"H": (1, 1), "He": (1, 18), "Fe": (4, 8), "Hf": (6, 4), "Og": (7, 18)}
    assert {symbol: grid_positions()[symbol] for symbol in known} == known
    # The series stand below, each in the row of its own.
    assert [grid_positions()[x] for x in ("La", "Lu", "Ac", "Lr")] == [
        (9, 3),
        (9, 17),
        (10, 3),
        (10, 17),
    ]


def test_an_element_twice_as_frequent_as_in_the_reference_is_marked() -> None:
    drawn = {"O": 50, "Fe": 30, "Cu": 10, "Au": 2}
    known = {"O": 100, "Fe": 20, "Cu": 80, "Au": 0}
    assert marks(counts(drawn, known)) == {"Fe": "▲", "Cu": "▼"}


def test_nothing_is_marked_without_a_reference() -> None:
    assert marks(counts({"O": 50})) == {}


def test_shares_are_of_crystals() -> None:
    found = periodic_table(counts({"O": 50, "Fe": 5}, {"O": 100}))
    tiles = {tile.symbol: tile for tile in found}
    told = "O: 50.0% of the samples, 50.0% of the reference"
    assert tiles["O"].description == told
    assert tiles["Fe"].text == "5.0%"
    assert "absent" in tiles["Au"].classes

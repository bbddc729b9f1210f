"""The funnel over columns made up at random, beside plain sets."""

from hypothesis import given
from hypothesis import strategies as st

from crystext.evaluate.funnel import funnel
from crystext.evaluate.stages.base import ENERGY_REQUESTED

verdict = st.sampled_from([True, False, None])
row = st.fixed_dictionaries(
    {
        "structure_valid": verdict,
        "valid": verdict,
        "unique": verdict,
        "novel": verdict,
        "metastable": verdict,
        "stable": verdict,
        ENERGY_REQUESTED: st.booleans(),
        "formula": st.sampled_from(["NaCl", "Fe", "SiO2"]),
    }
)


def columns_of(rows):
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return columns | {"parsed": [True] * len(rows)}


@given(st.lists(row, min_size=1, max_size=30))
def test_each_step_counts_what_meets_its_demands(rows):
    steps = {step.name: step for step in funnel(columns_of(rows), len(rows))}
    demands = {
        "valid": ["valid"],
        "novel": ["valid", "unique", "novel"],
        "sun": ["stable", "unique", "novel"],
    }
    for name, needed in demands.items():
        if name not in steps:
            continue
        energies = name == "sun"
        judged = [r for r in rows if r[ENERGY_REQUESTED] or not energies]
        kept = [r for r in judged if all(r[x] is True for x in needed)]
        assert (steps[name].count, steps[name].total) == (len(kept), len(judged))
        assert steps[name].unique_formulas == len({r["formula"] for r in kept})
        assert steps[name].low <= steps[name].proportion <= steps[name].high


@given(st.lists(row, min_size=1, max_size=30))
def test_the_steps_down_to_novel_never_grow(rows):
    for r in rows:
        r["valid"] = r["valid"] and r["structure_valid"]
    counts = [s.count for s in funnel(columns_of(rows), len(rows))]
    names = [s.name for s in funnel(columns_of(rows), len(rows))]
    falling = counts[: names.index("novel") + 1] if "novel" in names else counts[:3]
    assert falling == sorted(falling, reverse=True)


def test_what_nothing_is_known_of_has_no_step():
    columns = {"parsed": [True, False], "formula": ["Fe", None], "novel": [None, None]}
    assert [step.name for step in funnel(columns, 2)] == ["drawn", "parsed"]

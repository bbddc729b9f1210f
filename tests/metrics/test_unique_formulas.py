from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from crystext.metrics.unique_formulas import count_formulas


@given(st.lists(st.sampled_from(["NaCl", "Fe", "SiO2", "MgO"])))
def test_formulas_are_counted(formulas: Sequence[str]):
    found = count_formulas(formulas)
    assert found.crystals == len(formulas)
    assert found.unique_formulas == len(set(formulas))
    assert found.most_frequent_count == max(map(formulas.count, formulas), default=0)
    if formulas:
        assert formulas.count(found.most_frequent) == found.most_frequent_count
    else:
        assert found.most_frequent is None

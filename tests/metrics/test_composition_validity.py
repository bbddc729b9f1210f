import re
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition
from smact import Element, metals
from smact.screening import smact_validity

from crystext.chemistry.elements import ATOMIC_NUMBERS, SYMBOLS
from crystext.chemistry.oxidation import OXIDATION_TABLES
from crystext.errors import SettingError
from crystext.metrics.composition_validity import is_composition_valid

PEERS = ("cdvae", "llama-2-7B_0.7_0.7", "llama-2-7B_1.0_1.0", "llama-2-13B_1.0_1.0")


def numbers(formula):
    counts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    return np.array([ATOMIC_NUMBERS[s] for s, n in counts for _ in range(int(n or 1))])


@pytest.fixture(scope="module")
def mp20_test(shared_data):
    cifs = pq.read_table(shared_data / "mp20_test.parquet", columns=["cif"])["cif"].to_pylist()
    formulas = [re.search(r"_chemical_formula_sum\s+(.*)", cif)[1] for cif in cifs]
    assert len(formulas) == 9046
    return [numbers(formula) for formula in formulas]


@pytest.mark.parametrize("formula", ["NaCl", "Fe2O3", "CaTiO3", "Na4Cl4", "Xe", "FeNi3", "LaMnO3"])
def test_well_known_compositions_are_valid(formula):
    assert is_composition_valid(numbers(formula))


@pytest.mark.parametrize("formula", ["NaCl2", "Na2Cl", "CaF3", "Al2O4"])
def test_unbalanced_charges_are_invalid(formula):
    assert not is_composition_valid(numbers(formula), table="icsd24")


def test_counts_are_taken_as_they_are_not_scaled_to_balance():
    assert is_composition_valid(numbers("MgF2"), table="icsd24")
    assert not is_composition_valid(numbers("MgF"), table="icsd24")


def test_cations_must_be_less_electronegative_than_anions():
    # SiH balances as Si(-1) H(+1) only, but H (2.2) is more electronegative than Si (1.9).
    assert is_composition_valid(numbers("SiH4"), table="icsd24")
    assert not is_composition_valid(numbers("SiH"), table="icsd24")
    # PdH balances as Pd(+1) H(-1), but neither is the more electronegative one.
    assert Element("Pd").pauling_eneg == Element("H").pauling_eneg
    assert not is_composition_valid(numbers("PdH"), table="icsd24")


def test_alloys_pass_by_the_shortcut_only():
    brass = numbers("CuZn")
    assert is_composition_valid(brass)
    assert not is_composition_valid(brass, alloys=False)


@pytest.mark.parametrize("table", OXIDATION_TABLES)
def test_noble_gases_without_states_form_no_valid_compound(table):
    assert not is_composition_valid(numbers("HeO"), table=table)
    assert not is_composition_valid(numbers("NaAr"), table=table)


@pytest.mark.parametrize("table", OXIDATION_TABLES)
@pytest.mark.parametrize("alloys", [True, False])
def test_every_element_is_handled(table, alloys):
    for z in range(1, 119):
        assert is_composition_valid(np.array([z]), table=table, alloys=alloys)
        is_composition_valid(np.array([z, 8, 8]), table=table, alloys=alloys)
    assert not is_composition_valid(np.array([118, 8]), table=table)


def test_missing_electronegativity_is_accepted():
    assert Element("Pm").pauling_eneg is None
    assert is_composition_valid(numbers("Pm2O3"), table="smact14")


def test_an_unknown_table_gets_a_suggestion():
    with pytest.raises(SettingError, match="Did you mean 'icsd24'"):
        is_composition_valid(numbers("NaCl"), table="icsd25")


@pytest.mark.parametrize("table", OXIDATION_TABLES)
@settings(max_examples=300, deadline=None)
@given(
    counts=st.dictionaries(
        st.sampled_from([s for s in SYMBOLS[:95] if Element(s).pauling_eneg is not None]),
        st.integers(1, 8),
        min_size=2,
        max_size=5,
    ),
    alloys=st.booleans(),
)
def test_verdict_is_smacts_where_electronegativities_are_known(table, counts, alloys):
    composition = np.array([ATOMIC_NUMBERS[s] for s, n in counts.items() for _ in range(n)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = smact_validity(
            Composition(counts), include_alloys=alloys, oxidation_states_set=table
        )
    assert is_composition_valid(composition, table=table, alloys=alloys) == expected


@pytest.mark.parametrize(("table", "valid"), [("smact14", 0.9124), ("icsd24", 0.9095)])
def test_mp20_test_scores_the_published_share(mp20_test, table, valid):
    found = np.mean([is_composition_valid(n, table=table) for n in mp20_test])
    assert round(float(found), 4) == valid


def test_mp20_test_has_the_known_shares_of_elements_and_alloys(mp20_test):
    names = [{SYMBOLS[z - 1] for z in n} for n in mp20_test]
    assert round(np.mean([len(s) == 1 for s in names]), 4) == 0.0078
    assert round(np.mean([len(s) > 1 and s <= set(metals) for s in names]), 4) == 0.3535


@pytest.mark.parametrize("name", PEERS)
def test_published_samples_passed_the_same_test(shared_data, name):
    # Gruver et al. published their metastable samples, and CDVAE's, after CDVAE's validity filter.
    import pandas as pd

    cifs = pd.read_csv(shared_data / "peers" / f"metastable_{name}.csv.gz")["cif"]
    formulas = [re.search(r"_chemical_formula_sum\s+(.*)", cif)[1] for cif in cifs]
    assert formulas
    assert all(is_composition_valid(numbers(formula)) for formula in formulas)

"""Hulls from files, by name, and written by us."""

import gzip
import json
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core.composition import Composition

from crystext.energies import hull_sources as hulls
from crystext.energies.corrections import EnergyCorrection
from crystext.energies.hull_sources import hull_of_phases, open_hull, save_hull
from crystext.energies.potentials.m3gnet import M3GNET
from crystext.errors import InputError, SettingError
from crystext.runtime.files import file_digest

PHASES = {"Na": -1.3, "Cl": -1.8, "NaCl": -3.4, "NaCl3": -2.0}


def saved(folder, phases=PHASES, potential="EMT"):
    path = folder / "hull.parquet"
    save_hull(phases.items(), path, name="made", date="2026-11-20", potential=potential)
    return path


def test_a_hull_that_was_written_is_read_with_name_date_and_potential(tmp_path):
    hull = open_hull(saved(tmp_path))
    assert (hull.name, hull.date, hull.potential) == ("made", "2026-11-20", "EMT")
    assert hull.references == {"Na": -1.3, "Cl": -1.8}
    assert hull.energy({"Na": 1, "Cl": 1}) == pytest.approx(-3.4 + 1.55)
    assert hull.energy({"Na": 1, "K": 1}) is None


def test_a_hull_is_shown_in_one_line(tmp_path):
    shown = "<Hull made: 2 compounds of 2 elements (Cl, Na), from hull.parquet>"
    assert repr(open_hull(saved(tmp_path))) == shown
    assert repr(open_hull()).startswith("<Hull mp2020: 95,834 compounds of 89 elements (Ac, Ag, ")
    assert len(repr(open_hull())) < 200


energies = st.floats(-5, 0, allow_nan=False)


@given(st.dictionaries(st.sampled_from(["NaCl", "NaK", "KCl", "Na2K3Cl", "Na3Cl"]), energies))
@settings(max_examples=40)
def test_the_hull_of_any_phases_is_that_of_pymatgens_phase_diagram(compounds):
    phases = {"Na": -1.3, "Cl": -1.8, "K": -1.1, **compounds}
    entries = [PDEntry(Composition(f), e * Composition(f).num_atoms) for f, e in phases.items()]
    diagram = PhaseDiagram(entries)
    hull = hull_of_phases(phases.items(), name="any", potential=None)
    for wanted in ("NaCl", "NaK2Cl", "K2Cl3"):
        amounts = Composition(wanted).get_el_amt_dict()
        references = sum(n * hull.references[s] for s, n in amounts.items()) / sum(amounts.values())
        expected = diagram.get_hull_energy_per_atom(Composition(wanted))
        assert hull.energy(amounts) + references == pytest.approx(expected, abs=1e-6)


@given(st.dictionaries(st.sampled_from(["NaCl", "NaK", "KCl", "Na2K3Cl", "Na3Cl"]), energies))
@settings(max_examples=20)
def test_a_hull_that_was_written_places_and_judges_as_the_phases_do(compounds):
    phases = {"Na": -1.3, "Cl": -1.8, "K": -1.1, **compounds}
    whole = hull_of_phases(phases.items(), name="any", potential="EMT")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hull.parquet"
        save_hull(phases.items(), path, name="any", date="", potential="EMT")
        written = open_hull(path)
    for wanted in ("NaCl", "NaK2Cl", "K2Cl3", "Na3Cl", "Na7Cl"):
        amounts = Composition(wanted).get_el_amt_dict()
        assert written.energy(amounts) == pytest.approx(whole.energy(amounts), abs=1e-6)
        # Phases above the hull are evidence of how well a system is known.
        was, now = whole.phases_at(amounts), written.phases_at(amounts)
        assert (now.evidence, now.in_system, now.with_all_elements) == (
            was.evidence,
            was.in_system,
            was.with_all_elements,
        )


def test_of_a_composition_the_lowest_phase_counts_however_it_is_written(tmp_path):
    hull = hull_of_phases(
        [*PHASES.items(), ("Na2Cl2", -3.9), ("ClNa", -2.0), ("Na4", -1.2)], name="x", potential=None
    )
    assert hull.energy({"Na": 1, "Cl": 1}) == pytest.approx(-3.9 + 1.55)
    assert hull.references["Na"] == -1.3


def test_a_phase_with_an_element_that_has_no_energy_makes_nothing_stable():
    hull = hull_of_phases([*PHASES.items(), ("NaF", -90.0)], name="x", potential=None)
    assert hull.energy({"Na": 1, "F": 1}) is None
    assert hull.energy({"Na": 1, "Cl": 1}) == pytest.approx(-3.4 + 1.55)


def test_a_table_of_ones_own_has_to_be_said_what_it_is_of(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("formula,energy_ev_per_atom\nNa,-1.3\nCl,-1.8\nNaCl,-3.4\n")
    with pytest.raises(SettingError, match="--hull-of"):
        open_hull(path)
    assert open_hull(path, of="mp2020").potential is None
    assert open_hull(path, of="EMT").potential == "EMT"


def test_energies_of_another_potential_are_refused(tmp_path):
    hull = open_hull(saved(tmp_path))
    hull.check_comparable("EMT", EnergyCorrection.OWN)
    with pytest.raises(SettingError, match="energies of EMT, and these are of CHGNet"):
        hull.check_comparable("CHGNet-0.3.0", EnergyCorrection.CORRECTED)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("formula,energy\nNa,-1.3\n", "lacks the column energy_ev_per_atom"),
        ("formula,energy_ev_per_atom\nNa,nan\n", "energy 'nan'"),
        ("formula,energy_ev_per_atom\nNa,\n", "energy ''"),
        ("formula,energy_ev_per_atom\nNaCl,-3.4\n", "no element"),
        ("formula,energy_ev_per_atom\nQq,-3.4\n", "formula cannot be read"),
        ("formula,energy_ev_per_atom\n,-3.4\n", "formula cannot be read"),
        ("", "lacks the column"),
    ],
)
def test_a_table_that_is_no_hull_is_refused_with_what_is_wrong(tmp_path, rows, match):
    path = tmp_path / "hull.csv"
    path.write_text(rows)
    with pytest.raises(InputError, match=match):
        open_hull(path, of="mp2020")


def test_no_hull_of_a_name_gets_a_suggestion(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'mp2020'"):
        open_hull("mp2002")


def test_the_hull_of_m3gnet_comes_with_the_package():
    hull = open_hull("m3gnet")
    assert hull.potential == M3GNET
    assert len(hull.references) >= 80
    assert hull.date
    # Formation energies of Materials Project (PBE with MP2020 corrections), in eV/atom; the
    # potential and the corrections together are good to some tens of meV.
    known = {"NaCl": -2.10, "MgO": -3.06, "SrTiO3": -3.55, "GaAs": -0.43, "KCl": -2.26,
             "NaOH": -1.55, "CaH2": -0.67, "H2O": -1.28}  # fmt: skip
    for formula, expected in known.items():
        found = hull.energy(Composition(formula).get_el_amt_dict())
        assert found == pytest.approx(expected, abs=0.1), formula


def test_the_hull_of_m3gnet_lies_where_that_of_dft_does():
    ours, theirs = open_hull("m3gnet"), open_hull("mp2020")
    heights = [
        (theirs.energy(amounts), found)
        for amounts, _ in islice(theirs.compounds, 0, None, 1000)
        if (found := ours.energy(amounts)) is not None
    ]
    assert len(heights) > 50
    # It knows fewer phases, so it may lie higher; it lies much lower nowhere.
    differences = np.array([found - height for height, found in heights])
    assert np.median(np.abs(differences)) < 0.06
    assert np.quantile(differences, 0.02) > -0.15


def test_a_parquet_table_without_the_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="formula and energy_ev_per_atom"):
        open_hull(tmp_path / "x.parquet")


def test_the_published_references_are_the_file_whose_checksum_is_known(shared_data):
    name = hulls._ELEMENTS_FILE.name
    assert "md5:" + file_digest(shared_data / "hull" / name, "md5") == hulls._ELEMENTS_FILE.checksum


def test_of_the_published_energies_those_on_the_hull_make_it(tmp_path):
    rows = "NaCl,-2.0,0.0\nNaCl,-1.5,0.5\nNa3Cl,-0.5,0.5\nNa,0.0,0.0\n"
    with gzip.open(tmp_path / hulls._ENERGIES_FILE.name, "wt") as file:
        file.write("formula,formation_energy_per_atom,energy_above_hull\n" + rows)
    entries = {s: {"energy": -2.0, "composition": {s: 2.0}} for s in ("Na", "Cl")}
    with gzip.open(tmp_path / hulls._ELEMENTS_FILE.name, "wt") as file:
        json.dump(entries, file)
    hull = hulls._read_materials_project(
        tmp_path / hulls._ENERGIES_FILE.name, tmp_path / hulls._ELEMENTS_FILE.name
    )
    assert hull.energy({"Na": 1, "Cl": 1}) == pytest.approx(-2.0)
    assert hull.energy({"Na": 3, "Cl": 1}) == pytest.approx(-1.0)
    assert len(hull.compounds) == 1
    assert np.isclose(hull.references["Na"], -1.0)


def test_a_hull_of_the_package_is_meant_by_its_name_whatever_lies_in_the_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mp2020").mkdir()
    assert open_hull("mp2020").name == "mp2020"
    with pytest.raises(InputError, match="expected one"):
        open_hull(Path("mp2020"))


def test_energies_of_another_potential_are_told_of_the_hull_that_fits_them():
    hull = open_hull("m3gnet")
    with pytest.raises(SettingError, match="take the hull mp2020, or a hull of CHGNet"):
        hull.check_comparable("CHGNet-0.3.0", EnergyCorrection.CORRECTED)
    with pytest.raises(SettingError, match=r"take a hull of MatPES"):
        hull.check_comparable("MatPES", EnergyCorrection.OWN)

"""The potentials, and that they say nothing before they have proved themselves."""

import numpy as np
import pytest
from ase.calculators.emt import EMT

from crystext.energies.corrections import Scale
from crystext.energies.m3gnet import PROOF, _calculator, _read, load_m3gnet
from crystext.energies.potential import Potential, prove
from crystext.energies.potentials import load_potential
from crystext.energies.proof import NACL
from crystext.errors import ModelError
from tests.chores import COPPER, emt


@pytest.fixture(scope="module")
def weights(shared_data):
    return shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES"


@pytest.fixture(scope="module")
def as_it_comes(weights):
    return _calculator(_read(weights))


def test_the_energies_are_those_of_the_weights_as_they_were_trained(weights):
    potential = load_potential(weights)
    energies = {name: potential.energy(crystal) for name, crystal, _ in PROOF}
    # The first is from matgl's own tests of the time; the last three fail without the remedy.
    assert energies["MoS"] == pytest.approx(-10.824362, abs=1e-4)
    assert energies["Si"] / 8 == pytest.approx(-5.419, abs=1e-3)
    assert energies["NaCl"] / 8 == pytest.approx(-3.368, abs=1e-3)
    assert energies["MgO"] / 8 == pytest.approx(-5.956, abs=1e-3)
    assert energies["SrTiO3"] / 5 == pytest.approx(-8.028, abs=1e-3)
    assert potential.scale is Scale.UNCORRECTED


def test_the_weights_as_matgl_runs_them_are_refused(as_it_comes):
    with pytest.raises(ModelError, match=r"NaCl -1\.\d+ instead of -3\.3675"):
        prove(Potential("as it comes", as_it_comes, Scale.UNCORRECTED, PROOF))


def test_measured_heats_of_formation_tell_a_potential_that_is_run_wrongly(weights, as_it_comes):
    prove(Potential("one's own", load_m3gnet(weights).calculator))
    with pytest.raises(ModelError, match=r"TiC \d\.\d+ instead of -0\.9540"):
        prove(Potential("one's own", as_it_comes))


def test_chgnet_gives_the_energies_of_its_weights_with_corrections(weights):
    pytest.importorskip("chgnet")
    chgnet, m3gnet = load_potential("chgnet"), load_m3gnet(weights)
    assert chgnet.scale is Scale.CORRECTED
    # Of the anion, eV: Wang et al., Sci. Rep. 11, 15496 (2021), Table 1.
    difference = (chgnet.energy(NACL) - m3gnet.energy(NACL)) / 4
    assert difference == pytest.approx(-0.614, abs=0.05)


def test_any_calculator_of_ase_is_a_potential_once_it_has_proved_itself():
    assert load_potential(emt).energy(COPPER) / 4 == pytest.approx(emt().proof[0][2], abs=1e-3)
    with pytest.raises(ModelError, match=r"copper .* instead of 1\.0000"):
        load_potential(lambda: Potential("EMT", EMT(), proof=(("copper", COPPER, 1.0),)))


def test_a_potential_that_does_not_know_the_crystals_of_its_proof_is_refused():
    with pytest.raises(ModelError, match="cannot prove itself"):
        load_potential(lambda: Potential("EMT", EMT()))


def test_an_energy_that_is_not_a_number_proves_nothing():
    class Silent(EMT):
        def calculate(self, *arguments, **options):
            super().calculate(*arguments, **options)
            self.results["energy"] = np.nan

    with pytest.raises(ModelError, match="copper nan"):
        load_potential(lambda: Potential("silent", Silent(), proof=(("copper", COPPER, 0.0),)))


def test_weights_that_are_not_known_are_refused(weights, tmp_path):
    network = _read(weights)
    next(network.parameters()).add_(1e-3)
    network.save(tmp_path / "changed")
    with pytest.raises(ModelError, match="cannot prove itself"):
        load_potential(tmp_path / "changed")


def test_a_folder_that_lacks_a_file_is_told_which(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match=r"model\.pt, state\.pt"):
        load_potential(tmp_path)


def test_a_misspelt_potential_gets_a_suggestion():
    with pytest.raises(ModelError, match="Did you mean 'm3gnet'"):
        load_potential("m3gent")

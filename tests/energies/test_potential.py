"""The potentials, which are checked against known energies before they are used."""

from types import MethodType

import numpy as np
import pytest
from ase.calculators.emt import EMT

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.known_energies import NACL, SRTIO3
from crystext.energies.potential import Potential, check_energies, to_atoms
from crystext.energies.potentials import load_potential
from crystext.energies.potentials.m3gnet import (
    KNOWN_ENERGIES,
    _calculator,
    _load_network,
    load_m3gnet,
)
from crystext.errors import ModelError, SettingError
from tests.process_tasks import COPPER, emt


@pytest.fixture(scope="module")
def weights(shared_data):
    return shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES"


@pytest.fixture(scope="module")
def as_it_comes(weights):
    return _calculator(_load_network(weights))


def test_the_energies_are_those_of_the_weights_as_they_were_trained(weights):
    potential = load_potential(weights)
    energies = {name: potential.energy(crystal) for name, crystal, _ in KNOWN_ENERGIES}
    # The first is from matgl's own tests of the time; the last three fail without the remedy.
    assert energies["MoS"] == pytest.approx(-10.824362, abs=1e-4)
    assert energies["Si"] / 8 == pytest.approx(-5.419, abs=1e-3)
    assert energies["NaCl"] / 8 == pytest.approx(-3.368, abs=1e-3)
    assert energies["MgO"] / 8 == pytest.approx(-5.956, abs=1e-3)
    assert energies["SrTiO3"] / 5 == pytest.approx(-8.028, abs=1e-3)
    assert potential.scale is EnergyCorrection.UNCORRECTED


def test_the_weights_as_matgl_runs_them_are_refused(as_it_comes):
    with pytest.raises(ModelError, match=r"NaCl -1\.\d+ instead of -3\.3675"):
        check_energies(
            Potential("as it comes", as_it_comes, EnergyCorrection.UNCORRECTED, KNOWN_ENERGIES)
        )


def test_measured_heats_of_formation_tell_a_potential_that_is_run_wrongly(weights, as_it_comes):
    check_energies(Potential("one's own", load_m3gnet(weights).calculator))
    with pytest.raises(ModelError, match=r"TiC \d\.\d+ instead of -0\.9540"):
        check_energies(Potential("one's own", as_it_comes))


def test_chgnet_gives_the_energies_of_its_weights_with_corrections(weights):
    chgnet, m3gnet = load_potential("chgnet"), load_m3gnet(weights)
    assert chgnet.scale is EnergyCorrection.CORRECTED
    # Of the anion, eV: Wang et al., Sci. Rep. 11, 15496 (2021), Table 1.
    difference = (chgnet.energy(NACL) - m3gnet.energy(NACL)) / 4
    assert difference == pytest.approx(-0.614, abs=0.05)


def test_any_calculator_of_ase_is_a_potential_once_it_has_proved_itself():
    assert load_potential(emt).energy(COPPER) / 4 == pytest.approx(
        emt().known_energies[0][2], abs=1e-3
    )
    with pytest.raises(ModelError, match=r"copper .* instead of 1\.0000"):
        load_potential(lambda: Potential("EMT", EMT(), known_energies=(("copper", COPPER, 1.0),)))


def test_a_potential_that_does_not_know_the_crystals_of_its_check_is_refused():
    with pytest.raises(ModelError, match=r"cannot be checked.* Si.* known_energies="):
        load_potential(lambda: Potential("EMT", EMT()))


def test_the_keyword_of_version_0_1_is_refused_by_naming_the_new_one():
    with pytest.raises(SettingError, match="proof of Potential is called known_energies now"):
        Potential("EMT", EMT(), proof=(("copper", COPPER, -0.00568),))


def test_a_calculator_without_a_stress_is_refused_before_it_relaxes():
    class Unstressed(EMT):
        implemented_properties = ("energy", "forces")

    with pytest.raises(ModelError, match="does not calculate stress"):
        load_potential(
            lambda: Potential("x", Unstressed(), known_energies=(("Cu", COPPER, -0.00568),))
        )


def test_energies_alone_are_those_that_come_with_forces(weights):
    potential = load_m3gnet(weights)
    assert potential.evaluate is not None
    assert potential.energies is not None
    atoms = [to_atoms(crystal) for crystal in (NACL, SRTIO3)]
    alone = potential.energies(atoms)
    assert alone == pytest.approx([float(x["energy"]) for x in potential.evaluate(atoms)])
    # Forces are there again afterwards.
    assert potential.evaluate(atoms)[0]["forces"].shape == (len(atoms[0]), 3)


def test_the_cutoffs_are_those_of_the_networks(weights):
    assert load_m3gnet(weights).cutoff == 5.0
    assert load_potential("chgnet").cutoff == 6.0


def test_an_energy_that_is_not_a_number_proves_nothing():
    class Silent(EMT):
        def calculate(self, *arguments, **options):
            super().calculate(*arguments, **options)
            self.results["energy"] = np.nan

    with pytest.raises(ModelError, match="copper nan"):
        load_potential(
            lambda: Potential("silent", Silent(), known_energies=(("copper", COPPER, 0.0),))
        )


def test_weights_that_are_not_known_are_refused(weights, tmp_path):
    network = _load_network(weights)
    next(network.parameters()).add_(1e-3)
    network.save(tmp_path / "changed")
    with pytest.raises(ModelError, match="unknown weights"):
        load_potential(tmp_path / "changed")


def test_a_folder_that_lacks_a_file_is_told_which(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match=r"model\.pt, state\.pt"):
        load_potential(tmp_path)


def test_a_misspelt_potential_gets_a_suggestion():
    with pytest.raises(ModelError, match="Did you mean 'm3gnet'"):
        load_potential("m3gent")


def test_the_quicker_layers_compute_what_matgls_own_do(weights):
    """They differ in nothing but where messages are summed, which matgl's are told here."""
    import torch
    from matgl.layers._graph_convolution import M3GNetGraphConv

    def summed_at_the_end(layer, index, edges, atoms, basis, _, count):
        start, end = index.long()
        inputs = torch.hstack([atoms[start], atoms[end], edges])
        messages = layer.node_update_func(inputs) * layer.node_weight_func(basis)
        return torch.zeros(count, messages.shape[1]).index_add(0, end, messages)

    network = _load_network(weights)
    for layer in network.modules():
        if isinstance(layer, M3GNetGraphConv):
            layer.node_update_ = MethodType(summed_at_the_end, layer)
    atoms = to_atoms(SRTIO3)
    atoms.rattle(0.1, seed=1)
    found = []
    for calculator in (_calculator(network), load_m3gnet(weights).calculator):
        atoms.calc = calculator
        found.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
    (energy, forces, stress), (own_energy, own_forces, own_stress) = found
    assert np.abs(forces).max() > 0.5
    assert own_energy == pytest.approx(energy, abs=1e-4)
    assert own_forces == pytest.approx(forces, abs=1e-4)
    assert own_stress == pytest.approx(stress, abs=1e-5)


def test_atoms_that_moved_are_computed_anew(weights):
    atoms = to_atoms(NACL)
    atoms.calc = load_m3gnet(weights).calculator
    before = atoms.get_potential_energy()
    atoms.positions[0] += 0.1
    moved = atoms.get_potential_energy()
    assert moved > before + 1e-3
    atoms.set_cell(atoms.cell * 1.05, scale_atoms=True)
    assert abs(atoms.get_potential_energy() - moved) > 1e-3

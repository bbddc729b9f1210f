"""The potential, and that it says nothing before it has proved itself."""

import pytest

from crystext.energies.potential import (
    PROOF,
    Potential,
    _calculator,
    _read,
    load_potential,
    prove,
)
from crystext.errors import ModelError


@pytest.fixture(scope="module")
def weights(shared_data):
    return shared_data.parent / "weights" / "M3GNet-MP-2021.2.8-PES"


def test_the_energies_are_those_of_the_weights_as_they_were_trained(weights):
    potential = load_potential(weights)
    energies = {name: potential.energy(crystal) for name, crystal, _ in PROOF}
    # The first is from matgl's own tests of the time; the last three fail without the remedy.
    assert energies["MoS"] == pytest.approx(-10.824362, abs=1e-4)
    assert energies["Si"] / 8 == pytest.approx(-5.419, abs=1e-3)
    assert energies["NaCl"] / 8 == pytest.approx(-3.368, abs=1e-3)
    assert energies["MgO"] / 8 == pytest.approx(-5.956, abs=1e-3)
    assert energies["SrTiO3"] / 5 == pytest.approx(-8.028, abs=1e-3)


def test_the_weights_as_matgl_runs_them_are_refused(weights):
    with pytest.raises(ModelError, match=r"NaCl -1\.\d+ instead of -3\.3675"):
        prove(Potential("as it comes", _calculator(_read(weights))))


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

"""What every potential known by name promises: a new one is tested without a line of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.energies.corrections import EnergyCorrection
from crystext.energies.potential import check_energies
from crystext.energies.potentials import (
    POTENTIALS,
    choose_potential,
    potential_identity,
    potential_name,
)
from crystext.errors import ModelError

every_potential = pytest.mark.parametrize("name", POTENTIALS)


@every_potential
def test_a_potential_is_found_by_each_of_its_names_in_any_case(name: str) -> None:
    loader = POTENTIALS[name]
    for given in (name, loader.name, *loader.aliases):
        assert potential_name(given) == loader.name
        assert potential_name(given.upper()) == loader.name
        # Relaxations are found again by whichever name.
        assert potential_identity(given) == potential_identity(given.upper()) == name


def test_no_two_potentials_share_a_name() -> None:
    names = [n.lower() for x in POTENTIALS.values() for n in (x.name, *x.aliases)]
    assert len(set(names)) == len(names)


@every_potential
def test_a_potential_loads_and_reproduces_its_known_energies(name: str, shared_data: Path) -> None:
    loader = POTENTIALS[name]
    weights = shared_data.parent / "weights" / loader.name
    source = weights if weights.is_dir() else None
    if source is None and (reason := loader.unavailable()):
        pytest.skip(reason)
    potential = loader.load(source)
    assert potential.name == loader.name
    assert potential.known_energies
    assert potential.scale is not EnergyCorrection.OWN
    assert potential.cutoff is not None
    check_energies(potential)


@every_potential
def test_a_folder_is_read_if_it_has_every_file_of_the_weights(name: str, tmp_path: Path) -> None:
    loader = POTENTIALS[name]
    for file in loader.files:
        assert not loader.reads(tmp_path)
        (tmp_path / file).touch()
    assert loader.reads(tmp_path) is bool(loader.files)
    if loader.files:
        assert potential_name(tmp_path) == loader.name


@every_potential
def test_auto_keeps_to_the_potential_with_which_energies_were_begun(name: str) -> None:
    assert choose_potential("auto", POTENTIALS[name].name).source == name


def test_a_source_that_no_potential_knows_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no potential; expected model\.json"):
        potential_name(tmp_path)
    with pytest.raises(ModelError, match="no potential is called 'mace'"):
        potential_name("mace")

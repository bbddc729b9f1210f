"""`crystext explain` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run

Refuses = Callable[..., str]

CIF = """data_rutile
_cell_length_a 4.594
_cell_length_b 4.594
_cell_length_c 2.959
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ti1 Ti 0 0 0
Ti2 Ti 0.5 0.5 0.5
O1 O 0.305 0.305 0
O2 O 0.695 0.695 0
O3 O 0.195 0.805 0.5
O4 O 0.805 0.195 {z}
"""


@pytest.fixture
def rutile(tmp_path: Path) -> Path:
    file = tmp_path / "rutile.cif"
    file.write_text(CIF.format(z=0.5))
    return file


def test_rutile_is_known_and_its_charges_fit(cli: Run, rutile: Path, tiny_model: Path) -> None:
    ended = cli("explain", rutile, "--model", tiny_model, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["formula"], told["space_group"], told["novelty"]) == ("TiO2", 136, "same_crystal")
    assert [site["oxidation_state"] for site in told["sites"]] == [4, 4, -2, -2, -2, -2]
    assert [site["neighbours"] for site in told["sites"]] == ["O6"] * 2 + ["Ti3"] * 4
    assert 0 < told["instability_index"] < 0.5
    assert not any(contact["short"] for contact in told["contacts"])
    # The known crystal that it matches is distorted, and has another space group.
    (exchange,) = told["same_prototype"][0]["exchange"]
    assert exchange[1] == "Ti"


def test_a_judge_gives_the_energy_as_drawn(cli: Run, rutile: Path, tiny_model: Path) -> None:
    ended = cli("explain", rutile, "--model", tiny_model, "--potential", "chgnet", "--no-shipped")
    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.splitlines()[-1]
    assert "eV/atom above the hull as drawn" in last
    assert float(last.split(": ")[1].split()[0]) < 0.1


def test_what_is_no_whole_crystal_is_refused(
    cli_refuses: Refuses, tmp_path: Path, tiny_model: Path
) -> None:
    partial = tmp_path / "partial.cif"
    partial.write_text(CIF.format(z="?"))
    message = cli_refuses("explain", partial, "--model", tiny_model)
    assert "1 unknown value; expected a whole crystal" in message
    missing = cli_refuses("explain", tmp_path / "nothing.cif")
    assert "nothing.cif" in missing
    whole = tmp_path / "whole.cif"
    whole.write_text(CIF.format(z=0.5))
    typo = cli_refuses("explain", whole, "--model", tiny_model, "--potential", "chgnt")
    assert "Did you mean 'chgnet'?" in typo

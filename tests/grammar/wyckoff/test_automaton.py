from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spglib
from ase.data import covalent_radii
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.fields import END, FieldKind, value_texts
from crystext.grammar.token_reader import DECIMALS
from crystext.grammar.wyckoff.automaton import WyckoffAutomaton
from crystext.grammar.wyckoff.field_adapter import SingleValueFields
from crystext.grammar.wyckoff.lookahead import lookahead_for
from crystext.structures.crystal import Crystal
from crystext.structures.properties import crystal_system
from crystext.structures.wyckoff.orbits import primitive_translations
from crystext.structures.wyckoff.positions import symmetry_operations
from crystext.text import WYCKOFF, decode, encode
from tests.grammar.wyckoff.random_texts import random_text

SCALE = 0.65

groups = st.integers(1, 230)
seeds = st.integers(0, 2**32 - 1)


def written(group: int, seed: int, scale: float, **asked: Any) -> tuple[str, bool]:
    constraints = Constraints(min_distance_ratio=scale, space_group=group, **asked)
    return random_text(constraints, np.random.default_rng(seed), tightly=True)


def crystal_of(text: str) -> Crystal:
    decoded = decode(text, format=WYCKOFF)
    assert decoded.crystal is not None, (text, decoded)
    return decoded.crystal


def least_over_radii(crystal: Crystal) -> float:
    """Return the least distance of two atoms, images included, over the sum of their radii."""
    ratios = [10.0]
    structure = crystal.structure
    for site, neighbours in zip(structure, structure.get_all_neighbors(4.0), strict=True):
        radius = covalent_radii[site.specie.Z]
        ratios += [x.nn_distance / (radius + covalent_radii[x.specie.Z]) for x in neighbours]
    return min(ratios)


@given(groups, seeds, st.sampled_from([0.0, SCALE]))
@settings(max_examples=120)
def test_whatever_is_written_is_a_crystal_with_the_symmetry_it_declares(
    group: int, seed: int, scale: float
) -> None:
    text, crowded = written(group, seed, scale)
    assert text.split("\n")[0] == str(group)
    crystal = crystal_of(text)
    assert len(crystal) <= 20
    assume(not crowded and scale > 0)
    cell: Any = (crystal.lattice, crystal.positions, crystal.numbers)
    found = spglib.get_symmetry(cell, symprec=1e-3)
    assert found is not None
    # The crystal's cell is primitive: the declared group's operations are a subgroup of those that
    # are found, one of each coset of the lattice, and so their number divides that of these.
    own = len(symmetry_operations(group)[0]) // len(primitive_translations(group))
    assert len(found["rotations"]) % own == 0


@given(groups, seeds)
@settings(max_examples=80)
def test_atoms_keep_their_distance_where_there_is_room(group: int, seed: int) -> None:
    text, crowded = written(group, seed, SCALE, max_atoms=12)
    assume(not crowded)
    assert least_over_radii(crystal_of(text)) >= SCALE - 1e-6


@pytest.mark.parametrize("group", [2, 14, 62, 166, 225])
def test_most_random_orbits_find_a_cell(group: int) -> None:
    crowded = [written(group, seed, SCALE, max_atoms=8)[1] for seed in range(20)]
    assert sum(crowded) < 15


@given(groups, seeds)
@settings(max_examples=40)
def test_a_formula_is_written_to_the_atom(group: int, seed: int) -> None:
    asked = {"formula": (("Ca", 1), ("Ti", 1), ("O", 3)), "max_atoms": 20}
    constraints = Constraints(space_group=group, **asked)  # type: ignore[arg-type]
    assume(lookahead_for(constraints).space_groups.any())
    crystal = crystal_of(random_text(constraints, np.random.default_rng(seed))[0])
    counts = [crystal.symbols.count(symbol) for symbol in ("Ca", "Ti", "O")]
    assert counts[0] > 0
    assert counts == [counts[0], counts[0], 3 * counts[0]]


@pytest.mark.parametrize("system", ["triclinic", "trigonal", "cubic"])
def test_a_crystal_system_leaves_its_groups_only(system: str) -> None:
    allowed = lookahead_for(Constraints(crystal_system=system)).space_groups
    assert {crystal_system(int(g)) for g in np.flatnonzero(allowed)} == {system}


def follow(text: str, constraints: Constraints) -> str | None:
    """Push a text's values; return what was not allowed, or None."""
    automaton = WyckoffAutomaton(WYCKOFF, lookahead_for(constraints))
    lines = text.split("\n")
    words = [lines[0], *(word for line in lines[1:-1] for word in line.split(" "))]
    for word in words:
        kind = automaton.field.kind
        value = value_texts(kind, WYCKOFF).index(word)
        if kind is FieldKind.COORDINATE:
            if not automaton.fits(np.array([value]))[0]:
                return word
        elif not automaton.allowed()[value]:
            return word
        automaton.push(value)
    assert automaton.allowed()[END]
    automaton.push(END)
    for word in lines[-1].split(" "):
        value = round(float(word) * DECIMALS)
        if not automaton.allowed_wholes()[value // DECIMALS]:
            return word
        if not automaton.allowed_decimals(value // DECIMALS)[value % DECIMALS]:
            return word
        automaton.push(value)
    return None if not automaton.atoms_too_close else "crowded"


def test_real_crystals_are_allowed_step_by_step(shared_data: Path) -> None:
    from pyarrow.parquet import read_table
    from pymatgen.core.structure import Structure

    cifs = read_table(shared_data / "mp20_val.parquet")["cif"].to_pylist()[::150]
    constraints = Constraints(min_distance_ratio=SCALE)
    refused = []
    for cif in cifs:
        crystal = Crystal.from_structure(Structure.from_str(cif, fmt="cif"))
        text = encode(crystal, WYCKOFF)
        if (word := follow(text, constraints)) is not None:
            refused.append((word, text))
    # Atoms nearer, or cells emptier, than nearly all of the data's.
    assert len(refused) <= 1, refused


def test_an_atom_on_a_mirror_is_no_orbit_of_the_general_position() -> None:
    automaton = WyckoffAutomaton(WYCKOFF, lookahead_for(Constraints(space_group=6)))
    automaton.push(6)
    automaton.push(ATOMIC_NUMBERS["Na"])
    automaton.push(value_texts(FieldKind.POSITION, WYCKOFF).index("2c"))
    automaton.push(123)
    allowed = automaton.allowed()
    # Pm has mirrors at y = 0 and y = 1/2; a printed unit beside them stands for them, rounded.
    assert not allowed[[0, 500]].any()
    assert allowed[[2, 498, 502, 998]].all()


@given(groups, seeds)
@settings(max_examples=25)
def test_merged_fields_spell_the_same_texts(group: int, seed: int) -> None:
    constraints = Constraints(space_group=group, max_atoms=8)
    text, _ = random_text(constraints, np.random.default_rng(seed))
    fields = SingleValueFields(
        WyckoffAutomaton(WYCKOFF, lookahead_for(constraints), always_finish=True)
    )
    rest = text
    while fields.field.kind is not FieldKind.ELEMENT:
        texts = value_texts(fields.field.kind, WYCKOFF)
        ends = [i for i, c in enumerate(rest) if c in " \n"] + [len(rest)]
        value = texts.index(rest[: ends[0]])
        assert fields.allowed().shape == (1, len(texts))
        assert fields.allowed()[0, value], (text, rest)
        separator = fields.separator_after(value)
        fields.push(np.array([value]))
        rest = rest[ends[0] :]
        if rest:
            assert rest[0] == separator
            rest = rest[1:]
    assert rest == ""
    assert np.flatnonzero(fields.allowed()[0]).tolist() == [END]

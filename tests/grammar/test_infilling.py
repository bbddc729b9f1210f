from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.conditions.sampling_constraints import Constraints
from crystext.grammar.completion_token_reader import CompletionTokenReader
from crystext.grammar.fields import END, FieldKind, value_texts
from crystext.grammar.infilling import InfillingAutomaton
from crystext.structures.crystal import Crystal
from crystext.structures.distances import min_distances
from crystext.text import PLAIN
from crystext.text.partial import PartialCrystal
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from crystext.tokenization.encode import completion_ids
from tests.example_crystals import NACL, SRTIO3, crystal
from tests.strategies import crystals

SCALE = 0.65
RULES = Constraints(min_distance_ratio=SCALE)
TOKENIZER = build_tokenizer()


def without(
    whole: Crystal,
    *,
    lengths: bool = False,
    angles: bool = False,
    elements: list[int] | None = None,
    positions: list[int] | None = None,
    more: tuple[int, int] = (0, 0),
    shared: tuple[tuple[int, ...], ...] = (),
    candidates: dict[int, tuple[str, ...]] | None = None,
) -> PartialCrystal:
    """Return a crystal less what is named."""
    numbers, places = whole.numbers.copy(), np.array(whole.positions)
    numbers[elements or []] = 0
    places[positions or []] = np.nan
    unknown = np.full(3, np.nan)
    return PartialCrystal(
        unknown if lengths else whole.lengths,
        unknown if angles else whole.angles,
        numbers,
        places,
        shared,
        candidates or {},
        more,
    )


def written(automaton: InfillingAutomaton, rng: np.random.Generator) -> str:
    """Write the completion of one crystal by drawing among what is allowed; leave it unended."""
    text = ""
    while True:
        allowed, field = automaton.allowed()[0], automaton.field
        named = field.kind is FieldKind.ELEMENT
        if named and allowed[END] and (rng.random() < 0.5 or allowed.sum() == 1):
            return text
        values = [v for v in np.flatnonzero(allowed).tolist() if v != END or not named]
        value = int(rng.choice(values))
        text += field.separator + value_texts(field.kind, PLAIN)[value]
        automaton.push(np.array([value]))


def nearest(crystal: Crystal, site: int) -> float:
    """Return by how much a site keeps its least distances; pymatgen looks for the neighbours."""
    structure, table = crystal.structure, min_distances(SCALE)
    z = crystal.numbers.tolist()
    found = structure.get_neighbors(structure[site], 8.0)
    return min((x.nn_distance - table[z[site], z[x.index]] for x in found), default=1.0)


partials = st.builds(
    lambda whole, hide, seed: (whole, hide, seed),
    crystals(max_atoms=5),
    st.tuples(*[st.booleans()] * 2, st.integers(0, 31), st.integers(0, 31), st.integers(0, 2)),
    st.integers(0, 2**31),
)


@settings(max_examples=40)
@given(partials)
def test_any_completion_makes_a_crystal_with_all_that_was_given(
    drawn: tuple[Crystal, tuple[bool, bool, int, int, int], int],
) -> None:
    whole, (lengths, angles, elements, positions, more), seed = drawn
    sites = range(len(whole))
    partial = without(
        whole,
        lengths=lengths,
        angles=angles,
        elements=[i for i in sites if elements >> i & 1],
        positions=[i for i in sites if positions >> i & 1],
        more=(min(more, 1), more),
    )
    assume(not partial.is_complete)
    automaton = InfillingAutomaton(PLAIN, 1, partial, RULES)
    text = written(automaton, np.random.default_rng(seed))
    found = partial.decode_completion(text, PLAIN).crystal
    assert found is not None
    # The text and the automaton tell one crystal.
    assert found == automaton.crystal(0)
    for known, now in (
        (partial.lengths, found.lengths),
        (partial.angles, found.angles),
        (partial.positions, found.positions[: len(whole)]),
    ):
        given_ones = ~np.isnan(known)
        assert (known[given_ones] == now[given_ones]).all()
    named = partial.numbers > 0
    assert (found.numbers[: len(whole)][named] == partial.numbers[named]).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_place_that_is_drawn_keeps_its_distance_to_atoms_given_further_down(seed: int) -> None:
    # Na comes first in the text; the seven others are given behind it. So wide a cell has room in
    # every plane.
    wide = Crystal(np.full(3, 8.0), NACL.angles, NACL.numbers, NACL.positions)
    partial = without(wide, positions=[0])
    text = written(InfillingAutomaton(PLAIN, 1, partial, RULES), np.random.default_rng(seed))
    found = partial.decode_completion(text, PLAIN).crystal
    assert found is not None
    assert nearest(found, 0) > -1e-3
    free = InfillingAutomaton(PLAIN, 1, partial, RULES)
    free.push(np.array([0]))
    free.push(np.array([500]))
    assert not free.allowed()[0].all(), "the rule has work to do"


def test_an_element_that_is_drawn_for_a_place_fits_its_surroundings() -> None:
    tight = crystal([3.0] * 3, [90] * 3, [("H", [0, 0, 0]), ("O", [0.4, 0, 0])])
    allowed = InfillingAutomaton(PLAIN, 1, without(tight, elements=[0]), RULES).allowed()[0]
    table, o = min_distances(SCALE), ATOMIC_NUMBERS["O"]
    fits = [z for z in range(1, 119) if table[z, o] <= 1.2 and table[z, z] <= 3.0]
    assert np.flatnonzero(allowed).tolist() == fits
    assert 0 < len(fits) < 118


def test_where_no_candidate_fits_the_one_with_most_room_is_left() -> None:
    tight = crystal([3.0] * 3, [90] * 3, [("H", [0, 0, 0]), ("O", [0.3, 0, 0])])
    partial = without(tight, elements=[0], candidates={0: ("Cs", "Ba", "Rb")})
    allowed = InfillingAutomaton(PLAIN, 1, partial, RULES).allowed()[0]
    assert np.flatnonzero(allowed).tolist() == [ATOMIC_NUMBERS["Ba"]]


def test_candidates_are_the_only_elements() -> None:
    partial = without(SRTIO3, elements=[3], candidates={3: ("Zr", "Hf")})
    allowed = InfillingAutomaton(PLAIN, 1, partial, RULES).allowed()[0]
    assert np.flatnonzero(allowed).tolist() == [40, 72]


def test_sites_that_share_an_element_hold_one() -> None:
    partial = without(SRTIO3, elements=[0, 1, 2], positions=[4], shared=((0, 1, 2),))
    for seed in range(5):
        automaton = InfillingAutomaton(PLAIN, 1, partial, RULES)
        text = written(automaton, np.random.default_rng(seed))
        found = partial.decode_completion(text, PLAIN).crystal
        assert found is not None
        assert len(set(found.symbols[:3])) == 1


def test_one_element_at_all_its_sites_is_one_line() -> None:
    partial = without(SRTIO3, elements=[0, 1, 2], shared=((0, 1, 2),))
    assert partial.is_element_infilling
    found = partial.decode_completion("S", PLAIN).crystal
    assert found is not None
    assert found.symbols == ["S", "S", "S", "Ti", "Sr"]


def test_a_cell_that_is_drawn_is_wide_enough_for_what_it_holds() -> None:
    partial = without(SRTIO3, lengths=True, angles=True)
    for seed in range(8):
        automaton = InfillingAutomaton(PLAIN, 1, partial, RULES)
        found = partial.decode_completion(
            written(automaton, np.random.default_rng(seed)), PLAIN
        ).crystal
        assert found is not None
        shortest = min(found.structure.lattice.get_lll_reduced_lattice().abc)
        assert shortest >= min_distances(SCALE)[38, 38] - 1e-6


def test_given_numbers_of_an_unknown_line_stay_unrounded_in_the_crystal() -> None:
    lengths, places = np.array([3.90517, np.nan, 3.9]), SRTIO3.positions.copy()
    places[3] = [0.12345, np.nan, np.nan]
    partial = PartialCrystal(lengths, SRTIO3.angles, SRTIO3.numbers, places)
    text = written(InfillingAutomaton(PLAIN, 1, partial, RULES), np.random.default_rng(0))
    first, second = text.split("\n")
    assert first.startswith("3.91 ")
    assert first.endswith(" 3.90")
    assert second.startswith("0.123 ")
    found = partial.decode_completion(text, PLAIN).crystal
    assert found is not None
    assert found.lengths[0] == 3.90517
    assert found.positions[3, 0] == 0.12345


def test_as_many_atoms_are_added_as_are_asked_for() -> None:
    partial = without(SRTIO3, more=(2, 3))
    counts = set()
    for seed in range(12):
        automaton = InfillingAutomaton(PLAIN, 1, partial, Constraints())
        found = partial.decode_completion(
            written(automaton, np.random.default_rng(seed)), PLAIN
        ).crystal
        assert found is not None
        counts.add(len(found) - len(SRTIO3))
    assert counts == {2, 3}


masks = st.tuples(
    st.booleans(), st.booleans(), st.integers(0, 31), st.integers(0, 31), st.integers(0, 2)
)


@settings(max_examples=25)
@given(masks, st.integers(0, 2**31))
def test_tokens_of_the_fields_are_those_into_which_the_tokenizer_cuts_the_text(
    mask: tuple[bool, bool, int, int, int], seed: int
) -> None:
    lengths, angles, elements, positions, more = mask
    partial = without(
        SRTIO3,
        lengths=lengths,
        angles=angles,
        elements=[i for i in range(5) if elements >> i & 1],
        positions=[i for i in range(5) if positions >> i & 1],
        more=(min(more, 1), more),
    )
    assume(not partial.is_complete)
    automaton = InfillingAutomaton(PLAIN, 1, partial, Constraints())
    slots = CompletionTokenReader(TOKENIZER, PLAIN, [blank.field for blank in automaton.fields])
    rng, ids, text = np.random.default_rng(seed), list[int](), ""
    while True:
        place, field = automaton.field_index, automaton.field
        allowed = np.flatnonzero(automaton.allowed()[0])
        if field.kind is FieldKind.ELEMENT and allowed[0] == END:
            break
        value = int(rng.choice(allowed))
        text += field.separator + value_texts(field.kind, PLAIN)[value]
        tokens = slots.tokens_at(place)
        parts = [value] if len(tokens) == 1 else [value // 100, value % 100]
        ids += slots.forced_tokens(place) + [int(t[p]) for t, p in zip(tokens, parts, strict=True)]
        automaton.push(np.array([value]))
    assert ids == completion_ids(TOKENIZER, text)
    assert len(ids) + 1 <= slots.max_tokens

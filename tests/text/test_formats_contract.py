"""What holds for every text format of the package, and for one that is added."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError, SettingError
from crystext.grammar.base import grammar_of
from crystext.structures.crystal import Crystal
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from crystext.structures.wyckoff.orbits import to_wyckoff
from crystext.tasks.prompts import load_prompts
from crystext.text import FORMATS, DecodeFailure, Format, decode
from crystext.text.regex import text_pattern
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.strategies import corrupt, corrupted_texts, crystals

each_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
each_crystal = pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)


def texts_of(fmt: Format) -> SearchStrategy[str]:
    """Return texts of known crystals in a format, each of a random description."""
    return st.builds(
        lambda name, seed: fmt.equivalent_texts(
            EXAMPLE_CRYSTALS[name], 1, np.random.default_rng(seed)
        )[0],
        st.sampled_from(sorted(EXAMPLE_CRYSTALS)),
        st.integers(0, 2**32),
    )


def corrupted(fmt: Format) -> SearchStrategy[str]:
    """Return texts of a format of which a part is cut out or replaced."""
    inserts = st.text(max_size=4) | st.sampled_from(["\n", " ", "1e9", "Na\n", "-", "٣", "0", "9"])
    return st.builds(corrupt, texts_of(fmt), st.integers(0, 300), st.integers(0, 300), inserts)


def written(crystal: Crystal, fmt: Format) -> str:
    """Return a crystal's text; an example that the format refuses is none of a test."""
    try:
        return fmt.encode(crystal)
    except InputError:
        assume(False)
        raise


def same(found: Crystal | None, crystal: Crystal) -> bool:
    assert found is not None
    return bool(StructureMatcher().fit(found.structure, crystal.structure))


@each_format
def test_a_format_is_registered_by_its_name_and_says_what_it_holds(fmt: Format) -> None:
    assert FORMATS[fmt.name] is fmt
    assert fmt.title
    assert "\n" not in fmt.title


@each_format
@each_crystal
def test_a_known_crystal_comes_back_as_the_same_structure(fmt: Format, name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    text = fmt.encode(crystal)
    assert same(fmt.decode(text).crystal, crystal)
    assert decode(text).crystal is not None


@each_format
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(crystal=crystals(max_atoms=6))
def test_what_is_written_is_read_with_the_same_formula(fmt: Format, crystal: Crystal) -> None:
    text = written(crystal, fmt)
    decoded = fmt.decode(text)
    # The published encoder alone writes cells that it spoils.
    assume(decoded.failure is not DecodeFailure.NO_VOLUME)
    assert decoded.crystal is not None, decoded
    assert reduced_formula(decoded.crystal.numbers) == reduced_formula(crystal.numbers)
    assert fmt.recognizes(text)
    assert len(text) <= fmt.max_characters(len(crystal))
    assert len(fmt.line_kinds(text)) == text.count("\n") + 1


@each_format
@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data(), strict=st.booleans(), exact=st.booleans())
def test_any_text_is_a_crystal_or_has_a_reason(
    fmt: Format, data: st.DataObject, strict: bool, exact: bool
) -> None:
    odd = st.sampled_from(["", "\n", " \n ", "152", "225\n", "1 1 1", "\ud800"])
    text = data.draw(st.one_of(st.text(), corrupted_texts, corrupted(fmt), odd))
    decoded = fmt.decode(text, strict=strict, exact=exact)
    if decoded.crystal is None:
        assert decoded.failure is not None
        assert decoded.line is not None
        assert decoded.line >= 1
    else:
        decoded.crystal.check()
        assert decoded.failure is None


@each_format
@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_lenient_reading_takes_what_is_strictly_right_the_same(
    fmt: Format, data: st.DataObject
) -> None:
    text = data.draw(texts_of(fmt) | corrupted(fmt))
    strict = fmt.decode(text)
    assume(strict.crystal is not None)
    lenient = fmt.decode(text, strict=False)
    assert lenient.crystal is not None
    assert lenient.repairs == ()
    for name in ("lengths", "angles", "numbers", "positions"):
        assert np.array_equal(getattr(lenient.crystal, name), getattr(strict.crystal, name))


@each_format
@each_crystal
def test_no_format_of_another_kind_recognizes_the_text(fmt: Format, name: str) -> None:
    text = fmt.encode(EXAMPLE_CRYSTALS[name])
    # Those of one class differ in decimals, which recognizing is not about.
    kin = [other.name for other in FORMATS.values() if type(other) is type(fmt)]
    assert [other.name for other in FORMATS.values() if other.recognizes(text)] == kin


@each_format
def test_the_regular_expression_says_what_is_written_and_read(fmt: Format) -> None:
    if fmt.regex(max_atoms=1, elements=SYMBOLS) is None:
        with pytest.raises(SettingError, match=f"the format {fmt.name} "):
            text_pattern(fmt)
        return
    for crystal in EXAMPLE_CRYSTALS.values():
        text = fmt.encode(crystal)
        assert re.fullmatch(text_pattern(fmt), text)
        assert not re.fullmatch(text_pattern(fmt, max_atoms=len(crystal) - 1 or 1), text + "\nNa")


@each_format
def test_the_shipped_prompts_ask_for_it(fmt: Format) -> None:
    assert fmt.template in load_prompts().templates


@each_format
@each_crystal
def test_equivalent_texts_are_many_and_of_the_same_structure(fmt: Format, name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    texts = fmt.equivalent_texts(crystal, 5, np.random.default_rng(0))
    assert len(texts) == 5
    for text in texts:
        assert same(fmt.decode(text).crystal, crystal)
    again = fmt.equivalent_texts(crystal, 5, np.random.default_rng(0))
    assert texts == again


@each_format
@each_crystal
def test_a_record_is_written_as_the_crystal_that_it_declares(fmt: Format, name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    wyckoff = to_wyckoff(crystal) if fmt.needs_wyckoff else None
    record = Record(crystal, {"band_gap": 1.5}, name, wyckoff)
    text = fmt.encode_record(record, np.random.default_rng(0))
    declared = fmt.record_as_written(record)
    found = fmt.decode(text).crystal
    assert found is not None
    assert same(found, crystal)
    assert declared.labels["band_gap"] == 1.5
    assert declared.crystal is not None
    assert len(found) == len(declared.crystal)


@each_format
@each_crystal
def test_lines_are_those_of_sites_where_a_format_says_so(fmt: Format, name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    if not fmt.lists_sites:
        with pytest.raises(SettingError, match="does not list every atom"):
            fmt.encode_in_given_order(crystal)
        return
    text = fmt.encode_in_given_order(crystal)
    kinds = dict(zip(text.split("\n"), fmt.line_kinds(text), strict=True))
    assert [line for line, kind in kinds.items() if kind == "element"] == list(
        dict.fromkeys(crystal.symbols)
    )


@each_format
def test_what_is_enforced_is_a_condition_that_a_grammar_can_see_to(fmt: Format) -> None:
    assert set(fmt.enforces) <= {"space_group", "crystal_system"}
    grammar = grammar_of(fmt)
    assert not fmt.enforces or grammar is not None
    assert grammar is None or grammar.format is fmt

"""Small files with a trap each: read as the crystal they describe, or refused where allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crystext.chemistry.formulas import parse_formula
from crystext.errors import InputError
from crystext.io.read import read_crystals
from crystext.structures.record import UNREADABLE, Record

NAMES = """
occ_dot_partial.cif occ_q.cif occ_dot_all.cif spinel_itcode2.cif spinel_itcode1.cif
diamond_2_x0.125.cif hm_origin_words.cif corundum_R.cif corundum_Rplain.cif ni3s2_R.cif
hall_only.cif hm_old.cif sg_gibberish.cif p21c_paren.cif cmca.cif p4nmm2.cif hm_r3h.cif
symop_tagcase3.cif occ_tagcase.cif upper_tags.cif upper_loop.cif no_identity.cif raw_generated.cif
lani5_3dec.cif hcp_3dec.cif x2x_4dec.cif neg_sixth.cif label_ho2.cif label_cd.cif prime_label.cif
attached_h_formula.cif attached_h_q.cif text_data_line.cif text_data_line_end.cif idx_comment.vasp
int_cart.vasp threescale.vasp one_site_noloop.cif count_comment.vasp
""".split()


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> Path:
    folder = shared_data / "reading_cases"
    if not folder.is_dir():
        pytest.skip(f"needs the reading cases; no folder {folder}")
    return folder


@pytest.fixture(scope="module")
def expected(cases: Path) -> Mapping[str, Mapping[str, Any]]:
    """For each file, the right formulas of the whole cell, and whether it may be refused."""
    answers: Mapping[str, Mapping[str, Any]] = json.loads((cases / "expected.json").read_text())
    return answers


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_as_the_crystal_it_describes_or_refused(
    cases: Path, expected: Mapping[str, Mapping[str, Any]], name: str
) -> None:
    answer = expected[name]
    (item,) = _items(cases / name)
    if item.crystal is None:
        assert answer["refusal_allowed"], f"refused: {item.message}"
        return
    symbols = list(item.crystal.symbols)
    found = {symbol: symbols.count(symbol) for symbol in symbols}
    assert found in [parse_formula(cell) for cell in answer["cell"]]


def _items(path: Path) -> list[Record]:
    try:
        return list(read_crystals(path))
    except InputError as error:
        return [Record.failed(path.name, UNREADABLE, str(error))]


def test_no_file_of_the_reading_cases_is_left_out(
    cases: Path, expected: Mapping[str, Mapping[str, Any]]
) -> None:
    assert sorted(expected) == sorted(NAMES)
    assert sorted(NAMES) == sorted(path.name for path in cases.iterdir() if path.suffix != ".json")

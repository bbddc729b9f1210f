"""The regular expression for other engines says what the codec writes and reads."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crystext.errors import InputError, SettingError
from crystext.structures.crystal import Crystal
from crystext.text import COORDINATE_FORMATS, DecodeFailure, decode, encode
from crystext.text.regex import text_pattern
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.strategies import crystals

each_format = pytest.mark.parametrize("fmt", COORDINATE_FORMATS, ids=lambda fmt: fmt.name)


@each_format
@settings(max_examples=50)
@given(crystal=crystals())
def test_every_text_that_is_written_matches(fmt: str, crystal: Crystal) -> None:
    try:
        text = encode(crystal, fmt)
    except InputError:
        return
    pattern = text_pattern(fmt, max_atoms=len(crystal))
    read = decode(text, format=fmt).crystal
    # The published format cuts angles, some of them to zero.
    assert re.fullmatch(pattern, text) or read is None
    if len(crystal) > 1:
        assert not re.fullmatch(text_pattern(fmt, max_atoms=len(crystal) - 1), text)


@each_format
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_text_that_matches_is_a_crystal_or_has_no_volume(
    fmt: str, data: st.DataObject
) -> None:
    pattern = text_pattern(fmt, max_atoms=3, elements=["Li", "O"])
    text = data.draw(st.from_regex(pattern, fullmatch=True, alphabet="0123456789. \nLiO"))
    decoded = decode(text, format=fmt)
    assert decoded.failure in (None, DecodeFailure.NO_VOLUME)
    if decoded.crystal is not None:
        assert set(decoded.crystal.symbols) <= {"Li", "O"}
        assert len(decoded.crystal) <= 3


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"format": "wyckoff"}, r"describes the format wyckoff .*; expected plain or"),
        ({"format": "plein"}, "Did you mean 'plain'"),
        ({"elements": ["Lii"]}, "no element 'Lii'"),
        ({"elements": []}, "no element is given"),
        ({"max_atoms": 0}, "0 atoms"),
    ],
)
def test_what_has_no_pattern_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        text_pattern(**asked)  # type: ignore[arg-type]


def test_the_command_prints_the_pattern(cli: Run, cli_refuses: Callable[..., str]) -> None:
    ended = cli("pattern", "--only", "Sr,Ti,O", "--max-atoms", 5)
    assert (ended.returncode, ended.stderr) == (0, "")
    found = ended.stdout.removesuffix("\n")
    assert re.fullmatch(found, encode(EXAMPLE_CRYSTALS["srtio3"]))
    assert not re.fullmatch(found, encode(EXAMPLE_CRYSTALS["iron"]))
    assert "no element 'Xx'" in cli_refuses("pattern", "--only", "Xx")

"""`crystext discover`, as a user runs it: what is refused before anything is drawn."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--chemical-system", "Po-O"), "has no Po"),
        (("--composition", "Li3PO4", "--n-atoms", "9"), "8 or 16"),
        (("--composition", "Li3PO4", "--max-atoms", "6"), "max-atoms 8"),
        (("--chemical-system", "Li-O", "--exclude", "O"), "both requested and excluded"),
        (("--chemical-system", "Li-O", "--budget", "soon"), "20m"),
        (("--chemical-system", "Li-O", "--subsystems"), "3 to 6 elements"),
        (("--chemical-system", "Li-O", "--potential", "chgnt"), "Did you mean 'chgnet'"),
        (("--chemical-system", "Li-O", "--potential", ","), "no potential is given"),
        (("--chemical-system", "Li-O", "--hull", "mp2019"), "no hull is called"),
        (("--chemical-system", "Li-O", "--known-crystals", "no.cif"), "no.cif"),
        (("--chemical-system", "Li-O", "--below", "0"), "more than 0"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(options, message, cli_refuses, tmp_path):
    error = cli_refuses("discover", *options, "--out", tmp_path / "out")
    assert message in error
    assert not (tmp_path / "out" / "rounds").exists()


def test_a_folder_of_something_else_is_refused(cli_refuses, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    error = cli_refuses("discover", "--chemical-system", "Li-O", "--out", tmp_path)
    assert "notes.txt" in error
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

"""Inputs: invalid structures count as samples."""

import json

import pytest

from crystext.errors import CrystextError, InputError
from crystext.evaluate.samples import read_samples
from crystext.structures.record import UNREADABLE
from crystext.text import decode, encode
from tests.evaluate.example_inputs import BRASS, ROCK_SALT, TEXTS, write_run, write_table


def test_every_text_of_a_run_is_an_attempt(tmp_path):
    found = read_samples(write_run(tmp_path / "run", model="shipped"))
    assert [x.failure_kind for x in found.samples] == [None] * 4 + ["BAD_LENGTHS", "TRUNCATED"]
    assert all((x.crystal is None) == (x.message is not None) for x in found.samples)
    assert (found.kind, found.model) == ("run", "shipped")


def test_a_structure_that_cannot_be_read_is_an_attempt(tmp_path):
    (tmp_path / "good.cif").write_text(ROCK_SALT.structure.to(fmt="cif"))
    (tmp_path / "bad.cif").write_text("data_x\n_cell_length_a nan\nloop_\n_atom_site_label\nNa\n")
    (tmp_path / "empty.cif").write_text("")
    found = read_samples(tmp_path)
    faults = {x.name: x.failure_kind for x in found.samples}
    assert faults == {"bad": UNREADABLE, "empty": UNREADABLE, "good": None}
    assert found.kind == "folder"


def test_the_checksum_follows_the_contents(tmp_path):
    path = write_table(tmp_path / "a.parquet", [ROCK_SALT])
    first = read_samples(path).sha256
    assert read_samples(path).sha256 == first
    write_table(path, [BRASS])
    assert read_samples(path).sha256 != first


def test_files_that_are_not_read_are_no_matter(tmp_path):
    (tmp_path / "good.cif").write_text(ROCK_SALT.structure.to(fmt="cif"))
    before = read_samples(tmp_path).sha256
    (tmp_path / "README").symlink_to(tmp_path / "absent")
    (tmp_path / "WAVECAR").write_bytes(b"0")
    assert read_samples(tmp_path).sha256 == before


def test_the_first_attempts_can_be_taken_alone(tmp_path):
    run = write_run(tmp_path / "run")
    assert len(read_samples(run, 2).samples) == 2
    with pytest.raises(InputError, match="holds 6 attempts; 7 were requested"):
        read_samples(run, 7)


def test_a_pickle_is_refused_unopened(tmp_path):
    path = tmp_path / "eval_gen.pt"
    path.write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match="lengths, angles, numbers and positions"):
        read_samples(path)


def test_an_input_without_any_crystal_is_refused(tmp_path):
    with pytest.raises(InputError, match="none of the 2 attempts"):
        read_samples(write_run(tmp_path / "run", ["no crystal", TEXTS[-1]]))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(CrystextError, match=r"empty\.csv"):
        read_samples(tmp_path / "empty.csv")


def test_a_record_that_its_text_contradicts_is_refused(tmp_path):
    run = write_run(tmp_path / "run")
    path = run / "attempts.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[4]["fault"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match=r"attempt 4 .* changed by hand"):
        read_samples(run)


def test_texts_are_read_in_the_format_of_their_run(tmp_path):
    """A model that drew freely wrote fewer decimals than its format has."""
    run = write_run(tmp_path / "run", [encode(BRASS), encode(ROCK_SALT, "gruver2024")])
    path = run / "attempts.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kind = decode(rows[1]["text"], format="plain").failure.name
    rows[1]["fault"] = kind
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "settings.json").write_text(json.dumps({"model": "absent", "format": "plain"}))
    assert [x.failure_kind for x in read_samples(run).samples] == [None, kind]
    # The shipped model's own format is plain.
    (run / "settings.json").write_text(json.dumps({"model": "shipped"}))
    assert [x.failure_kind for x in read_samples(run).samples] == [None, kind]


def test_a_run_of_an_unknown_format_is_read_in_any(tmp_path):
    texts = [encode(BRASS), encode(ROCK_SALT, "gruver2024"), encode(ROCK_SALT, "wyckoff")]
    run = write_run(tmp_path / "run", texts, model=str(tmp_path / "absent"))
    assert all(x.crystal is not None for x in read_samples(run).samples)


@pytest.mark.parametrize("word", ["asked", "requested"])
def test_the_conditions_requested_are_read_in_the_words_of_both_versions(tmp_path, word):
    conditions = [[{"name": "space_group", word: 225}, {"name": "band_gap", word: 2.0}], []]
    run = write_run(tmp_path / "run", [encode(BRASS), encode(ROCK_SALT)], conditions)
    assert [dict(x.conditions) for x in read_samples(run).samples] == [
        {"space_group": 225, "band_gap": 2.0},
        {},
    ]


def test_conditions_that_are_none_are_refused(tmp_path):
    run = write_run(tmp_path / "run", [encode(BRASS)], [[{"colour": "red"}]])
    with pytest.raises(InputError, match="attempt 0 has invalid conditions"):
        read_samples(run)


def test_notes_and_lenient_reading_reach_the_attempts(tmp_path):
    text = "LiD\n1\n4 0 0\n0 4 0\n0 0 4\nLi D\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    (tmp_path / "a.vasp").write_text(text)
    (tmp_path / "b.vasp").write_text(text.replace("D\n1 1", "H\n1 1") + ".7 .7 .7\n")
    strict = read_samples(tmp_path).samples
    assert "deuterium is read as hydrogen" in strict[0].notes[0]
    assert (strict[1].crystal, strict[1].notes) == (None, ())
    lenient = read_samples(tmp_path, lenient=True).samples
    assert lenient[1].crystal is not None
    assert "a further position" in lenient[1].notes[0]

"""What a program asks of a model reaches it, in the process that asks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions import Conditions
from crystext.errors import InputError, ModelError, SettingError
from crystext.generation.results import InfillResults
from crystext.generation.run import read_attempts, run_sampling
from crystext.generation.sampling_run import SamplingRun
from crystext.inference.types import SamplingSettings
from crystext.io.read import read_crystal
from crystext.io.read.partial_structures import read_partial_structure
from crystext.io.write import cif
from crystext.lm import CrystalLM
from crystext.text import WYCKOFF, encode
from tests.example_crystals import NACL, QUARTZ


@pytest.fixture(scope="module")
def lm(tiny_model: Path) -> CrystalLM:
    return CrystalLM.load(tiny_model)


def test_a_seed_gives_the_crystals_of_the_command_line(
    lm: CrystalLM, tiny_model: Path, tmp_path: Path
) -> None:
    run_sampling(SamplingRun(12, str(tiny_model), SamplingSettings(seed=7)), tmp_path / "run")
    wanted = list(read_attempts(tmp_path / "run"))
    drawn = lm.sample(12, seed=7)
    assert [x.text for x in drawn] == [x["text"] for x in wanted]
    assert [x.log_probability for x in drawn] == [x["log_probability"] for x in wanted]
    assert [x.prompt for x in drawn] == [x["prompt"] for x in wanted]


@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        ({"composition": "Cl2 Na2"}, lambda x: x.formula == "NaCl"),
        ({"chemical_system": "Sr-Ti-O"}, lambda x: set(x.crystal.symbols) == {"Sr", "Ti", "O"}),
        ({"elements": ["Fe", "O"]}, lambda x: set(x.crystal.symbols) >= {"Fe", "O"}),
        ({"only": "Fe O"}, lambda x: set(x.crystal.symbols) <= {"Fe", "O"}),
        ({"exclude": ["O"]}, lambda x: "O" not in x.crystal.symbols),
        ({"n_atoms": (3, 4)}, lambda x: len(x.crystal) in (3, 4)),
        ({"n_atoms": 5}, lambda x: len(x.crystal) == 5),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_can_be_enforced_is_kept_by_every_crystal(
    lm: CrystalLM, asked: dict[str, Any], keeps: Any
) -> None:
    for drawn in lm.sample(6, max_atoms=6, **asked):
        assert keeps(drawn)
        (record,) = drawn.conditions
        assert (record.name, record.handling, record.satisfied) == (*asked, "enforced", True)


@pytest.mark.parametrize(
    "knob",
    [
        {"seed": 1},
        {"temperature": 0.5},
        {"element_temperature": 0.1},
        {"coordinate_temperature": 0.1},
        {"top_p": 0.3},
        {"guidance": 5.0},
        {"max_atoms": 2},
        {"min_distance_ratio": 0.0},
        {"constrained": False},
        {"max_attempts_per_sample": 3},
        {"composition": "NaCl"},
        {"band_gap": 3.0},
    ],
    ids=lambda knob: next(iter(knob)),
)
def test_every_knob_changes_what_is_drawn(lm: CrystalLM, knob: dict[str, Any]) -> None:
    given = {"space_group": 225, "max_atoms": 4, "temperature": 1.0}
    plain, turned = lm.sample(8, **given), lm.sample(8, **{**given, **knob})
    # Drawn again in vain, a crystal stays the one that it was first.
    assert [(x.text, x.attempts) for x in plain] != [(x.text, x.attempts) for x in turned]


def test_what_does_not_match_is_drawn_again_up_to_the_limit(lm: CrystalLM) -> None:
    drawn = lm.sample(4, space_group=230, max_attempts_per_sample=3)
    assert all(x.satisfied or x.attempts == 3 for x in drawn)


def test_a_larger_number_adds_to_the_crystals_of_a_smaller_one(lm: CrystalLM) -> None:
    few, more = lm.sample(3, seed=5), lm.sample(11, seed=5)
    assert len(few) == 3
    assert few == more[:3]


def test_numbers_of_numpy_draw_what_plain_ones_do(lm: CrystalLM) -> None:
    plain = lm.sample(3, seed=5, temperature=1.0, n_atoms=3, space_group=225)
    given = {"seed": np.int64(5), "temperature": np.float32(1), "n_atoms": np.float64(3)}
    assert lm.sample(np.int64(3), **given, space_group=np.int64(225)) == plain


def test_samples_come_as_they_are_drawn(lm: CrystalLM) -> None:
    endless = lm.iter_samples(10**9, batch_size=2, seed=3)
    assert [x.text for x in islice(endless, 4)] == [
        x.text for x in lm.sample(4, batch_size=2, seed=3)
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"compositon": "NaCl"}, "'compositon'.* Did you mean 'composition'"),
        ({"temprature": 1}, "Did you mean 'temperature'"),
        ({"composition": "NaCk"}, "Ck"),
        ({"space_group": 231}, "231"),
        ({"temperature": -1}, "temperature of -1"),
        ({"oxidation": {"P": []}}, "P has no states"),
        ({"format": 3}, "no format is called 3"),
        ({"n": 0}, "0 crystals"),
        ({"max_attempts_per_sample": 0}, "0 attempts per sample"),
        ({"batch_size": 0}, "batch size of 0"),
        ({"guidance": 2.0}, "guidance"),
        ({"n_atoms": 50}, "50 atoms"),
        ({"n": "SrTiO3"}, "did you mean composition='SrTiO3'"),
        ({"n": 2.5}, "n is 2.5; expected a whole number"),
        ({"n": None}, "n is None"),
        ({"temperature": "1"}, "temperature is '1'; expected a number"),
        ({"element_temperature": "1"}, "element_temperature is '1'"),
        ({"top_p": None}, "top_p is None"),
        ({"max_attempts_per_sample": "3"}, "max_attempts_per_sample is '3'"),
        ({"batch_size": 0.5}, "batch_size is 0.5"),
        ({"max_atoms": "8"}, "max_atoms is '8'"),
        ({"min_distance_ratio": None}, "least distance of atoms is None"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_anything_is_drawn(
    lm: CrystalLM, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        lm.iter_samples(**wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [("max_tries", "max_attempts_per_sample"), ("min_distance", "min_distance_ratio")],
)
def test_keywords_of_version_0_1_are_refused_by_their_new_names(
    lm: CrystalLM, old: str, new: str
) -> None:
    calls: list[Callable[..., object]] = [lm.sample, lm.iter_samples, lm.infill]
    for call in calls:
        with pytest.raises(SettingError, match=f"{old} is called {new} now; write {new}=1"):
            call(**{old: 1})


def test_a_model_is_loaded_when_it_is_first_needed(tiny_model: Path, lm: CrystalLM) -> None:
    lazy = CrystalLM.open(str(tiny_model))
    assert repr(lazy) == f"<CrystalLM {tiny_model}: not loaded yet>"
    run = lazy.sampling_run(3, [Conditions.from_keywords(n_atoms=2)], seed=4)
    assert run.files is lazy.files
    assert "not loaded" in repr(lazy)
    assert lazy.sample(3, n_atoms=2, seed=4) == lm.sample(3, n_atoms=2, seed=4)
    assert "not loaded" in repr(lazy), "sampling reads the weights without the network's classes"
    assert lazy.model.folder == tiny_model
    assert repr(lazy).endswith("million parameters>")


def test_a_prompt_that_leaves_no_room_is_refused(lm: CrystalLM) -> None:
    with pytest.raises(ModelError, match="try fewer atoms"):
        lm.sample(1, max_atoms=500)


def test_nothing_is_printed_where_nobody_watches(
    lm: CrystalLM, capfd: pytest.CaptureFixture[str]
) -> None:
    lm.sample(1)
    assert capfd.readouterr() == ("", "")


def test_drawing_and_scoring_leave_the_threads_as_they_were(lm: CrystalLM) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    lm.sample(1)
    lm.score(QUARTZ)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_a_score_is_the_same_for_whatever_holds_the_crystal(lm: CrystalLM, tmp_path: Path) -> None:
    path = tmp_path / "quartz.cif"
    path.write_text(cif(QUARTZ), encoding="utf-8")
    atoms = Atoms(QUARTZ.numbers, scaled_positions=QUARTZ.positions, cell=QUARTZ.lattice, pbc=True)
    scores = lm.score_all([QUARTZ, QUARTZ.structure, atoms, path])
    assert {len(score.sites) for score in scores} == {9}
    # Half-way between two texts, a length may be rounded either way.
    expected = pytest.approx([lm.score(QUARTZ).total] * 4, rel=2e-3)
    assert [score.total for score in scores] == expected
    assert lm.score_all(path)[0].total == scores[3].total
    with pytest.raises(InputError, match="expected a list of crystals"):
        lm.score_all(None)  # type: ignore[arg-type]


def test_explaining_takes_one_name_for_a_list_and_suggests_options(lm: CrystalLM) -> None:
    with pytest.raises(SettingError, match="Did you mean 'potentials'"):
        lm.explain(QUARTZ, potential="chgnet")  # type: ignore[call-arg]
    with pytest.raises(InputError, match="no-such-set"):
        lm.explain(QUARTZ, known_crystals="no-such-set")
    with pytest.raises(ModelError, match="'no-such-potential'"):
        lm.explain(QUARTZ, potentials="no-such-potential")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"properties": []}, "the properties are"),
        ({"properties": 5}, "the properties are 5"),
        ({"properties": "hardness"}, "does not predict 'hardness'"),
        ({"views": 1.5}, "views is 1.5"),
        ({"views": 0}, "views is 0; expected 1 or more"),
    ],
    ids=str,
)
def test_predictions_that_make_no_sense_are_refused(
    lm: CrystalLM, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        lm.predict("SrTiO3", **wrong)


def test_a_score_depends_on_what_the_prompt_says(lm: CrystalLM) -> None:
    plain, asked = lm.score(QUARTZ), lm.score(QUARTZ, composition="SiO2", band_gap=5.5)
    assert "SiO2" in asked.prompt
    assert asked.total != plain.total
    assert len(lm.score(QUARTZ, translations=3, seed=1).readings) == 3
    with pytest.raises(SettingError, match="'exclude' has no prompt line"):
        lm.score(QUARTZ, exclude="Fe")
    with pytest.raises(InputError, match="no file or folder"):
        lm.score("nowhere.cif")


def test_the_text_by_symmetry_is_scored_where_it_is_asked_for(lm: CrystalLM) -> None:
    asked = {"composition": "SiO2", "format": "wyckoff"}
    score = lm.score(QUARTZ, **asked)
    assert score.format is WYCKOFF
    assert score.readings[0].text == encode(QUARTZ, "wyckoff")
    assert score.prompt == lm.sample(1, **asked)[0].prompt
    assert [x.total for x in lm.score_all([QUARTZ], **asked)] == [score.total]
    assert lm.score(QUARTZ, format="plain").total == lm.score(QUARTZ).total
    for format, message in (("gruver2024", "the model writes plain"), ("wyckof", "'wyckoff'")):
        with pytest.raises(SettingError, match=message):
            lm.score(QUARTZ, format=format)


def test_the_shipped_model_is_the_default_and_keeps_a_formula() -> None:
    lm = CrystalLM.load()
    assert repr(lm).startswith("<CrystalLM shipped: ")
    drawn = lm.sample(4, composition="SrTiO3", space_group="Pm-3m")
    assert [x.formula for x in drawn] == ["SrTiO3"] * 4
    found = [x.structure.get_space_group_info(0.1)[1] for x in drawn if x.structure]
    assert [x.conditions[1].actual for x in drawn] == found


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="no model folder nowhere"):
        CrystalLM.load("nowhere")


def test_infilling_keeps_what_is_given_and_tells_what_it_changes(
    lm: CrystalLM, tmp_path: Path
) -> None:
    path = tmp_path / "salt.cif"
    path.write_text(cif(NACL), encoding="utf-8")
    for source in (path, NACL, NACL.structure):
        ranked = lm.infill(
            source, species={"Na": "?"}, candidates=["K", "Rb"], min_distance_ratio=0.0
        )
        assert {x.crystal.symbols[0] for x in ranked} == {"K", "Rb"}
        for x in ranked:
            assert x.crystal.positions.tolist() == NACL.positions.tolist()
            assert {change.before for change in x.changes} == {"Na"}
    by_likelihood = [x.log_probability for x in ranked]
    assert by_likelihood == sorted(by_likelihood, reverse=True)
    assert repr(ranked[:1]).startswith("<InfillResults: 1, first Na1 Na -> ")
    assert ranked.infill_run.texts_drawn == ranked[:1].infill_run.texts_drawn == 0
    assert ranked.to_dataframe()["rank"].tolist() == [1, 2]
    assert len(read_crystal(ranked[:1].save(tmp_path / "best.cif"))) == len(NACL)


@pytest.mark.parametrize(
    "knob",
    [
        {"seed": 1},
        {"temperature": 0.0},
        {"coordinate_temperature": 0.0},
        {"top_p": 0.01},
        {"n": 2},
        {"coordinates": [0, 1]},
        {"cell": True},
        {"add": ["O"]},
        {"species": {"Na1": "?"}},
    ],
    ids=lambda knob: next(iter(knob)),
)
def test_every_knob_of_infilling_changes_what_is_proposed(
    lm: CrystalLM, knob: dict[str, Any]
) -> None:
    given = {"coordinates": [0], "n": 3, "min_distance_ratio": 0.0}
    plain, turned = lm.infill(NACL, **given), lm.infill(NACL, **{**given, **knob})
    assert told(plain) != told(turned)


def told(proposals: InfillResults) -> tuple[int, list[str]]:
    return proposals.infill_run.texts_drawn, [x.text for x in proposals]


def test_elements_are_filled_in_at_a_temperature_of_their_own(lm: CrystalLM) -> None:
    given = {"species": {0: "?", 4: "?"}, "n": 8, "min_distance_ratio": 0.0}
    cold = lm.infill(NACL, **given, element_temperature=0.0)
    assert [x.times_drawn for x in cold] == [8]
    assert len(lm.infill(NACL, **given)) > 1


def test_infilling_draws_at_the_temperatures_that_the_model_asks_for(
    lm: CrystalLM, tiny_model: Path, tmp_path: Path
) -> None:
    description = Path(shutil.copytree(tiny_model, tmp_path / "cold")) / "crystext.json"
    about = json.loads(description.read_text())
    description.write_text(json.dumps(about | {"coordinate_temperature": 0.0}))
    # A model's folder is read when it is opened.
    cold = CrystalLM.load(tmp_path / "cold")
    given = {"coordinates": [0, 5], "n": 4, "min_distance_ratio": 0.0}
    assert [x.times_drawn for x in cold.infill(NACL, **given)] == [4]
    assert len(lm.infill(NACL, **given)) == 4
    warm = cold.infill(NACL, **given, temperature=1.0)
    assert [x.text for x in warm] == [x.text for x in lm.infill(NACL, **given)]


def test_labels_go_through_infilling_into_structures_and_files(
    lm: CrystalLM, tmp_path: Path
) -> None:
    given = NACL.structure
    given.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    given.add_site_property("magmom", [1.0] * len(given))
    for i, site in enumerate(given):
        site.label = f"{'AB'[i // 4]}_{i}"
    (best,) = lm.infill(given, species={"A_0": "?"}, candidates=["K"], min_distance_ratio=0.0)
    assert best.structure.labels == list(best.labels) == ["K1", *given.labels[1:]]
    assert best.structure.site_properties == {}
    assert {str(species) for species in best.structure.species} == {"K", "Na", "Cl"}
    path = lm.infill(given, species={"A_0": "?"}, candidates=["K"]).save(tmp_path / "x.cif")
    assert read_partial_structure(path).labels == best.labels


@pytest.mark.parametrize("exclude", ["Fe", "Fe O", "Fe,O", ["Fe", "O"], {"Fe"}], ids=str)
def test_elements_are_excluded_from_infilling_as_from_drawing(lm: CrystalLM, exclude: Any) -> None:
    barred = {"Fe", "O"} if len(exclude) > 1 and exclude != "Fe" else {"Fe"}
    found = lm.infill(NACL, species={"Na": "?"}, n=118, exclude=exclude, min_distance_ratio=0.0)
    assert {x.crystal.symbols[0] for x in found} == {*SYMBOLS} - barred


def test_what_is_to_be_kept_may_be_one_name(lm: CrystalLM) -> None:
    given = {"species": {"Na": "?"}, "candidates": "K Rb", "min_distance_ratio": 0.0}
    for keep in ("space_group", "space_group, cell", ["cell", "space_group"]):
        assert lm.infill(NACL, **given, keep=keep).infill_run.space_group == 225
    with pytest.raises(SettingError, match="'OF'; expected a symbol"):
        lm.infill(NACL, **given, exclude="OF")
    with pytest.raises(SettingError, match=r"n is 2\.5"):
        lm.infill(NACL, **given, n=2.5)


def test_nothing_to_fill_in_is_refused(lm: CrystalLM) -> None:
    with pytest.raises(SettingError, match="nothing to fill in"):
        lm.infill(NACL)
    with pytest.raises(SettingError, match="no site is called 'Fe1'"):
        lm.infill(NACL, species={"Fe1": "?"})
    with pytest.raises(SettingError, match="Did you mean 'space_group'"):
        lm.infill(NACL, cell=True, keep=["spacegroup"])


def test_a_random_seed_is_said_and_gives_the_same_again(lm: CrystalLM) -> None:
    drawn, other = lm.sample(2, seed=None), lm.sample(2, seed=None)
    assert drawn.seed is not None
    assert drawn.seed != other.seed
    assert lm.sample(2, seed=drawn.seed) == drawn
    assert set(drawn.to_dataframe()["seed"]) == {drawn.seed}
    assert lm.infill(NACL, species={"Na": "?"}, n=2, seed=None, ranked=False).seed is not None


def test_a_sample_is_scored_as_its_crystal_is(lm: CrystalLM) -> None:
    samples = lm.sample(2, composition={"Na": 1, "Cl": 1})
    assert {sample.formula for sample in samples} == {"NaCl"}
    assert lm.score(samples[0]).total == lm.score(samples[0].crystal).total
    assert len(lm.score_all(samples)) == 2
    proposals = lm.infill(samples[0], species={"Na": "?"}, n=2)
    assert lm.score(proposals[0]).total == lm.score(proposals[0].crystal).total

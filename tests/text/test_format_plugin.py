"""A text format that another distribution adds: plain CIF, which has no grammar.

It is written, read, learned, sampled unconstrained, conditioned and evaluated, and nothing in the
package knows it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.conditions import Conditions
from crystext.errors import SettingError
from crystext.evaluate.report import read_report
from crystext.grammar.base import grammar_of
from crystext.lm import CrystalLM
from crystext.models.initialize import initialize_model
from crystext.models.load import save_model
from crystext.models.settings import ModelSettings, NewLlamaSettings
from crystext.structures.record import Record
from crystext.tasks import TASKS
from crystext.tasks.base import Example
from crystext.tasks.generation import generation_prompt
from crystext.tasks.prompts import load_prompts
from crystext.text import FORMATS, DecodeFailure, Format, decode, encode
from crystext.tokenization.encode import example_ids, pad_rows
from crystext.training.recipe import load_recipe
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL

PLUGIN = '''
from crystext.errors import InputError
from crystext.io.read.cif import read_cif
from crystext.text import Decoded, DecodeFailure, Format

TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
SITE = ("type_symbol", "fract_x", "fract_y", "fract_z")


class P1CIF(Format):
    """A CIF that lists every atom."""

    def encode(self, crystal):
        crystal.check()
        cell = [*crystal.lengths.tolist(), *crystal.angles.tolist()]
        lines = ["data_x", *(f"_cell_{t} {x:.3f}" for t, x in zip(TAGS, cell)), "loop_"]
        lines += [f"_atom_site_{tag}" for tag in SITE]
        for symbol, site in zip(crystal.symbols, crystal.positions.tolist()):
            lines.append(" ".join([symbol, *(f"{x:.4f}" for x in site)]))
        return "\\n".join(lines)

    def decode(self, text, *, strict=True, exact=True):
        if not self.recognizes(text):
            return Decoded(None, DecodeFailure.UNREADABLE, 1, repr(text[:20]))
        try:
            return Decoded(read_cif(text).crystal)
        except InputError as error:
            return Decoded(None, DecodeFailure.UNREADABLE, 1, str(error))

    def recognizes(self, text):
        return text.startswith("data_")

    def max_characters(self, max_atoms):
        return 300 + 40 * max_atoms


P1 = P1CIF("p1-cif", title="a CIF that lists every atom")
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a distribution with the format, as pip lays it out; yield its folder."""
    folder = tmp_path / "site"
    about = folder / "p1_cif_format-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: p1-cif-format\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[crystext.formats]\np1-cif = p1_cif_format:P1\n")
    (folder / "p1_cif_format.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(folder))
    # Plugins are looked up once in a process.
    monkeypatch.delitem(FORMATS.__dict__, "_plugins", raising=False)
    yield folder
    FORMATS.__dict__.pop("_plugins", None)
    sys.modules.pop("p1_cif_format", None)


@pytest.fixture
def fmt(plugin: Path) -> Format:
    return FORMATS.find("p1-cif")


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_it_is_written_read_and_recognized(fmt: Format, name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    text = encode(crystal, "p1-cif")
    for read in (decode(text), decode(text, format="p1-cif"), decode(text, strict=False)):
        assert read.crystal is not None, read
        assert StructureMatcher().fit(read.crystal.structure, crystal.structure)
    assert len(text) <= fmt.max_characters(len(crystal))
    assert decode("data_\nnonsense", format=fmt).failure is DecodeFailure.UNREADABLE
    assert decode("nonsense").failure is DecodeFailure.BAD_LENGTHS
    for moved in fmt.equivalent_texts(crystal, 3, np.random.default_rng(0)):
        found = fmt.decode(moved).crystal
        assert found is not None
        assert StructureMatcher().fit(found.structure, crystal.structure)


def test_what_it_lacks_is_refused_in_words(fmt: Format) -> None:
    with pytest.raises(SettingError, match=r"p1-cif \(a CIF that lists every atom\) does not list"):
        TASKS["infill_cell"].make(Record(NACL), load_prompts(), fmt, np.random.default_rng(0))
    assert grammar_of(fmt) is None


def test_a_recipe_can_teach_it(plugin: Path) -> None:
    recipe = load_recipe("shipped", ["format=p1-cif", "tasks={unconditional: 1}", "sample_format="])
    assert recipe.format == "p1-cif"


def test_without_the_plugin_it_is_not_there() -> None:
    assert "p1-cif" not in FORMATS
    with pytest.raises(SettingError, match="no format is called 'p1-cif'; there are plain"):
        encode(NACL, "p1-cif")


CONDITIONS = {"composition": "Fe", "space_group": "Im-3m"}


@pytest.fixture
def model(fmt: Format, tmp_path: Path) -> Path:
    """A model that has learned the text of one crystal by heart, behind two prompts."""
    sizes = NewLlamaSettings(hidden_size=32, intermediate_size=64, layers=2, heads=4)
    start = initialize_model(
        ModelSettings(new=sizes),
        None,
        fmt,
        max_tokens=512,
        seed=0,
        device=torch.device("cpu"),
        compute_dtype=torch.float32,
    )
    record, rng = Record(EXAMPLE_CRYSTALS["iron"]), np.random.default_rng(0)
    plain = TASKS["unconditional"].make(record, start.prompts, fmt, rng)
    properties = Conditions.from_keywords(**CONDITIONS).prompt_properties()
    conditioned = Example(generation_prompt(start.prompts, properties, fmt), plain.completion)
    rows = [example_ids(start.tokenizer, example) for example in (plain, conditioned)]
    padded = pad_rows(rows, int(start.tokenizer.pad_token_id))
    ids_B_T, labels_B_T = map(torch.from_numpy, padded)
    optimizer = torch.optim.AdamW(start.network.parameters(), lr=0.01)
    start.network.train()
    for _ in range(140):
        loss = start.network(input_ids=ids_B_T, labels=labels_B_T).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.detach() < 0.1, "it has learned the text"
    folder = tmp_path / "model"
    save_model(folder, start.network.eval(), start.tokenizer, start.prompts, fmt)
    return folder


def test_a_model_of_it_is_sampled_unconstrained_and_evaluated(
    model: Path, plugin: Path, cli: Run, tmp_path: Path
) -> None:
    iron = EXAMPLE_CRYSTALS["iron"]
    lm = CrystalLM.load(model)
    (sample,) = lm.sample(1, temperature=0, **CONDITIONS)
    assert sample.crystal is not None, sample.text
    assert StructureMatcher().fit(sample.crystal.structure, iron.structure)
    # Nothing is enforced where there is no grammar.
    handling = {result.name: result.handling for result in sample.conditions}
    assert handling == {"composition": "steered", "space_group": "steered"}
    assert all(result.satisfied for result in sample.conditions)
    with pytest.raises(SettingError, match="is not enforced without"):
        lm.sample(1, exclude="O")
    assert lm.score(iron).total > lm.score(NACL).total
    with pytest.raises(SettingError, match="p1-cif has no lines that hold the cell alone"):
        _ = lm.score(iron).cell

    paths = [str(plugin), *sys.path[:1], os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    run, report = tmp_path / "run", tmp_path / "report"
    options = ("--model", model, "--temperature", 0, "--workers", 1, "--out", run)
    drawn = cli("sample", "--n", 3, *options, env=env)
    assert drawn.returncode == 0, drawn.stderr
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    assert [line["text"].split("\n")[0] for line in lines] == ["data_x"] * 3
    judged = cli("evaluate", run, "--only", "validity", "--out", report, "--workers", 1, env=env)
    assert judged.returncode == 0, judged.stderr
    parsed = read_report(report / "report.json").step("parsed")
    assert parsed is not None
    assert parsed.count == 3

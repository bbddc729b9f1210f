"""Another distribution adds members of every kind, each by one file and one entry point.

The files are in `tests/plugin_package`; here they are laid out as pip installs a distribution, and
used by the real command line and by Python, in processes of their own. The text format, which has
no grammar, is also learned, sampled unconstrained, conditioned and evaluated.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pymatgen.analysis.structure_matcher import StructureMatcher

from crystext.conditions import Conditions
from crystext.data.store import read_store
from crystext.errors import SettingError
from crystext.evaluate.protocol import load_protocol
from crystext.evaluate.report import read_report
from crystext.grammar.base import grammar_of
from crystext.lm import CrystalLM
from crystext.models.initialize import initialize_model
from crystext.models.load import save_model
from crystext.models.settings import ModelSettings, NewLlamaSettings
from crystext.structures.record import Record
from crystext.tasks import TASKS
from crystext.tasks.base import Example
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import load_prompts
from crystext.text import FORMATS, DecodeFailure, Format, decode, encode
from crystext.tokenization.encode import example_ids, pad_rows
from crystext.training.recipe import load_recipe
from tests.conftest import ROOT, Run
from tests.evaluate.example_inputs import TEXTS, write_run
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL
from tests.process_tasks import COPPER
from tests.tiny_model import write_tiny_store
from tests.training.test_trainer import log_of, recipe_values

ENTRY_POINTS = {
    "commands": ("count", "command:COMMAND"),
    "export_targets": ("atom_count", "export_target:TARGET"),
    "formats": ("p1-cif", "text_format:FORMAT"),
    "instruction_tasks": ("element_count", "instruction_task:TASK"),
    "metrics": ("volume_per_atom", "metric:METRIC"),
    "potentials": ("emt", "potential:LOADER"),
    "properties": ("bulk_modulus", "property:BULK_MODULUS"),
    "stages": ("size", "stage:STAGE"),
    "tasks": ("count_atoms", "task:TASK"),
}
"""By group, the name of the member and where it is in the plugin's package."""


def install(folder: Path, entry_points: str) -> dict[str, str]:
    """Lay the plugin out as pip does, and return the environment in which it is installed."""
    shutil.copytree(ROOT / "tests" / "plugin_package", folder / "crystal_plugin")
    about = folder / "crystal_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: crystal-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)
    paths = f"{folder}{os.pathsep}{ROOT}"
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the plugin is installed."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def installed(site: Path) -> dict[str, str]:
    """The environment in which the plugin is installed."""
    lines = [
        f"[crystext.{group}]\n{name} = crystal_plugin.{where}\n"
        for group, (name, where) in ENTRY_POINTS.items()
    ]
    return install(site, "\n".join(lines))


@pytest.fixture
def cif_format(
    site: Path, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Format]:
    """The format of the plugin, installed in this process."""
    monkeypatch.syspath_prepend(str(site))
    # Plugins are looked up once in a process.
    monkeypatch.delitem(FORMATS.__dict__, "_plugins", raising=False)
    yield FORMATS.find("p1-cif")
    FORMATS.__dict__.pop("_plugins", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "crystal_plugin"]:
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def run(cli: Run, installed: dict[str, str]) -> Callable[..., str]:
    """Runs `crystext ARGUMENTS` where the plugin is installed, and returns standard output."""

    def ran(*arguments: object) -> str:
        ended = cli(*arguments, env=installed)
        assert ended.returncode == 0, ended.stderr
        return str(ended.stdout)

    return ran


def python(program: str, environment: dict[str, str]) -> str:
    """Run a program in an environment, and return what it prints."""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def copper(tmp_path: Path) -> Path:
    path = tmp_path / "copper.cif"
    path.write_text(COPPER.structure.to(fmt="cif"), encoding="utf-8")
    return path


def test_a_command_of_a_plugin_is_listed_and_runs(run: Callable[..., str], copper: Path) -> None:
    assert "count " in run("--help")
    assert run("count", copper).strip() == "1"
    # Sections of its docstring are for readers of the code.
    described = run("count", "--help")
    assert "Structures that cannot be read are not counted." in described
    assert "Args:" not in described
    assert "InputError" not in described


def test_an_instruction_task_of_a_plugin_asks_and_grades(
    run: Callable[..., str], copper: Path
) -> None:
    out = copper.parent / "questions"
    run("instruct", "build", copper, "--tasks", "element_count", "--split", "1/0/0", "--out", out)
    line = json.loads((out / "train.jsonl").read_text())
    assert line["reference"] == 1
    assert "How many different elements" in line["messages"][-2]["content"]
    assert "right answer graded as right" in run("instruct", "check", out)


def test_an_export_target_of_a_plugin_writes_its_files(
    run: Callable[..., str], copper: Path
) -> None:
    out = copper.parent / "out"
    assert "1 candidate for atom_count, short" in run(
        "export", copper, "--to", "atom_count", "--out", out
    )
    assert (out / "001-Cu" / "atoms.txt").read_text() == "4 short\n"


def test_a_format_of_a_plugin_encodes_and_decodes(run: Callable[..., str], copper: Path) -> None:
    text = run("encode", copper, "--format", "p1-cif")
    assert text.count("\nCu ") == 4
    (copper.parent / "copper.txt").write_text(text)
    read = run("decode", copper.parent / "copper.txt")
    assert "Cu" in read
    assert run("decode", copper.parent / "copper.txt", "--format", "p1-cif") == read


@pytest.mark.parametrize("name", EXAMPLE_CRYSTALS)
def test_a_format_of_a_plugin_is_written_read_and_recognized(cif_format: Format, name: str) -> None:
    crystal = EXAMPLE_CRYSTALS[name]
    text = encode(crystal, "p1-cif")
    for read in (decode(text), decode(text, format="p1-cif"), decode(text, strict=False)):
        assert read.crystal is not None, read
        assert StructureMatcher().fit(read.crystal.structure, crystal.structure)
    assert len(text) <= cif_format.max_characters(len(crystal))
    assert decode("data_\nnonsense", format=cif_format).failure is DecodeFailure.UNREADABLE
    assert decode("nonsense").failure is DecodeFailure.BAD_LENGTHS
    for moved in cif_format.equivalent_texts(crystal, 3, np.random.default_rng(0)):
        found = cif_format.decode(moved).crystal
        assert found is not None
        assert StructureMatcher().fit(found.structure, crystal.structure)


def test_what_a_format_of_a_plugin_lacks_is_refused_in_words(cif_format: Format) -> None:
    with pytest.raises(SettingError, match=r"p1-cif \(a CIF that lists every atom\) does not list"):
        TASKS["infill_cell"].make(
            Record(NACL), load_prompts(), cif_format, np.random.default_rng(0)
        )
    assert grammar_of(cif_format) is None


@pytest.mark.usefixtures("cif_format")
def test_a_recipe_can_teach_a_format_of_a_plugin() -> None:
    recipe = load_recipe("shipped", ["format=p1-cif", "tasks={unconditional: 1}", "sample_format="])
    assert recipe.format == "p1-cif"


def test_without_the_plugin_its_format_is_not_there() -> None:
    assert "p1-cif" not in FORMATS
    with pytest.raises(SettingError, match="no format is called 'p1-cif'; there are plain"):
        encode(NACL, "p1-cif")


CONDITIONS = {"composition": "Fe", "space_group": "Im-3m"}


@pytest.fixture
def cif_model(cif_format: Format, tmp_path: Path) -> Path:
    """A model that has learned the text of one crystal by heart, behind two prompts."""
    sizes = NewLlamaSettings(hidden_size=32, intermediate_size=64, layers=2, heads=4)
    start = initialize_model(
        ModelSettings(new=sizes),
        None,
        cif_format,
        max_tokens=512,
        seed=0,
        device=torch.device("cpu"),
        compute_dtype=torch.float32,
    )
    record, rng = Record(EXAMPLE_CRYSTALS["iron"]), np.random.default_rng(0)
    plain = TASKS["unconditional"].make(record, start.prompts, cif_format, rng)
    properties = Conditions.from_keywords(**CONDITIONS).prompt_properties()
    conditioned = Example(
        generation_prompt(start.prompts, properties, cif_format), plain.completion
    )
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
    save_model(folder, start.network.eval(), start.tokenizer, start.prompts, cif_format)
    return folder


def test_a_model_of_a_format_of_a_plugin_is_sampled_unconstrained_and_evaluated(
    cif_model: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    iron = EXAMPLE_CRYSTALS["iron"]
    lm = CrystalLM.load(cif_model)
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

    folder, report = tmp_path / "run", tmp_path / "report"
    options = ("--temperature", 0, "--workers", 1, "--out", folder)
    run("sample", "--n", 3, "--model", cif_model, *options)
    lines = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    assert [line["text"].split("\n")[0] for line in lines] == ["data_x"] * 3
    run("evaluate", folder, "--only", "validity", "--out", report, "--workers", 1)
    parsed = read_report(report / "report.json").step("parsed")
    assert parsed is not None
    assert parsed.count == 3


def test_a_potential_of_a_plugin_relaxes(run: Callable[..., str], copper: Path) -> None:
    out = copper.parent / "relaxed"
    told = run("relax", copper, "--potential", "emt", "--out", out)
    assert "energies: EMT-ASE" in told
    # Its other names mean the same, so the relaxations are taken from the folder.
    assert "energies: EMT-ASE" in run("relax", copper, "--potential", "EMT-ase", "--out", out)
    assert "energies: EMT-ASE" in run(
        "relax", copper, "--potential", "Effective-Medium", "--out", out
    )


def test_a_model_learns_a_task_of_a_plugin(run: Callable[..., str], tmp_path: Path) -> None:
    values = recipe_values(write_tiny_store(tmp_path / "store"), steps=2)
    values["tasks"] = {"unconditional": 1.0, "count_atoms": 1.0}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    run("train", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    assert any("loss_count_atoms" in row for row in log_of(tmp_path / "run"))


def test_a_property_of_a_plugin_is_read_stored_and_written_into_prompts(
    run: Callable[..., str], installed: dict[str, str], tmp_path: Path
) -> None:
    rows = [
        {"cif": crystal.structure.to(fmt="cif"), "K_VRH": 20.0 + i}
        for i, crystal in enumerate(EXAMPLE_CRYSTALS.values())
    ]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    store = tmp_path / "store"
    run("data", "prepare", tmp_path / "table.json", "--split", "0.5/0.25/0.25", "--out", store)
    program = f"""
from crystext.data.store import read_store
from crystext.structures.property_schema import format_properties
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.prompts import PromptSet
for split in ("train", "validation", "test"):
    for record in map(read_store({str(store)!r}, split).__getitem__, range(1)):
        values = format_properties(record.crystal, record.labels, ["bulk_modulus"])
        words = PromptSet({{"generate": "{{conditions}}"}}, {{"bulk_modulus": "GPa: {{value}};"}})
        print(generation_prompt(words, values))
"""
    prompts = python(program, installed).split()
    assert len(prompts) == 6
    # Without the plugin the store is whole all the same, and keeps the label.
    assert read_store(store, "train")[0].labels["bulk_modulus"] >= 20


def test_a_protocol_names_a_metric_and_a_stage_of_a_plugin(
    run: Callable[..., str], tmp_path: Path
) -> None:
    protocol = {
        "name": "mine",
        "title": "mine",
        "validity": load_protocol("mp20").model_dump(mode="json")["validity"],
        "size": {"source": "a test", "max_atoms": 2},
        "metrics": ["volume_per_atom"],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(protocol))
    samples, out = write_run(tmp_path / "run"), tmp_path / "evaluation"
    run("evaluate", samples, "--protocol", tmp_path / "mine.yaml", "--out", out)
    report = json.loads((out / "report.json").read_text())
    metrics = {metric["name"]: metric for metric in report["metrics"]}
    # Four of six samples are crystals, each of two atoms.
    assert (metrics["small"]["value"], metrics["small"]["total"]) == (pytest.approx(4 / 6), 6)
    volumes = [c.volume / 2 for text in TEXTS if (c := decode(text).crystal) is not None]
    assert metrics["volume_per_atom"]["value"] == pytest.approx(sum(volumes) / 4)
    page = (out / "report.html").read_text()
    assert "Sizes of cells" in page
    assert "volume per atom" in page


def test_members_of_a_plugin_are_used_in_python(installed: dict[str, str]) -> None:
    program = """
import numpy as np
from crystext.energies.potentials import load_potential
from crystext.structures.record import Record
from crystext.tasks import TASKS
from crystext.tasks.prompts import load_prompts
from crystext.text import FORMATS, decode, encode
from tests.example_crystals import EXAMPLE_CRYSTALS
from tests.evaluate.example_inputs import TEXTS, write_run
from tests.example_crystals import NACL

assert decode(encode(NACL, "p1-cif"), format="p1-cif").crystal.symbols == NACL.symbols
assert [FORMATS.from_plugin(name) for name in ("plain", "p1-cif")] == [False, True]
task = TASKS.find("count_atoms")
example = task.make(Record(NACL), load_prompts(), FORMATS["plain"], np.random.default_rng(0))
assert task.score(example, "8") == {"correct": 1.0}
assert task.score(example, "7") == {"correct": 0.0}
assert load_potential("emt").name == "EMT-ASE"
"""
    python(program, installed)


def test_a_broken_plugin_stops_nothing_but_itself(copper: Path, tmp_path: Path) -> None:
    broken = "".join(
        f"[crystext.{group}]\nbroken = crystal_plugin.missing:X\n" for group in ENTRY_POINTS
    )
    environment = install(tmp_path / "site", broken)

    def ran(*arguments: object) -> subprocess.CompletedProcess[str]:
        # Not by `cli`: the messages quote the plugin's own error, which no other message may.
        command = [sys.executable, "-m", "crystext", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    encoded = ran("encode", copper)
    assert encoded.returncode == 0, encoded.stderr
    assert decode(encoded.stdout.strip())
    assert "note: the command 'broken' is a plugin" in encoded.stderr
    for kind, arguments in (
        ("format", ("encode", copper, "--format", "broken")),
        ("potential", ("relax", copper, "--potential", "broken", "--out", tmp_path / "out")),
    ):
        ended = ran(*arguments)
        assert ended.returncode == 2
        assert f"the {kind} 'broken' is a plugin (crystal_plugin.missing:X)" in ended.stderr
        assert "Traceback" not in ended.stderr

"""A set of instructions: split by material, the same each time, and verified."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystext.cli.instruct import list_
from crystext.data.prepare_store import PrepareSettings, prepare
from crystext.data.shipped import read_shipped_set, shipped_set
from crystext.errors import InputError, RunError, SettingError
from crystext.instruct.build import BuildSettings, build
from crystext.instruct.check import check
from crystext.instruct.dataset import question_file, read_lines, read_manifest
from crystext.instruct.materials import compare_parts
from crystext.instruct.printed import Writer
from crystext.instruct.registry import INSTRUCTION_TASKS
from crystext.io.read import read_crystals
from crystext.io.write import write_crystals
from crystext.structures.augment import translate
from crystext.structures.crystal import Crystal
from crystext.training.conversations import read_conversations
from tests.conftest import Run
from tests.example_crystals import NACL
from tests.instructions import records

SPLIT = "0.6/0.2/0.2"
FEW = ("atom_count", "space_group", "conditional_generation")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of crystals, the first six twice: the second time from another origin."""
    path = tmp_path_factory.mktemp("source") / "crystals.csv"
    chosen = records()[:24]
    rng = np.random.default_rng(1)
    entries = [(record.name, record.require_crystal()) for record in chosen]
    entries += [(f"{name}-again", translate(crystal, rng)) for name, crystal in entries[:6]]
    hull = [record.labels["e_above_hull"] for record in chosen]
    write_crystals(entries, path, "csv", columns={"e_above_hull": [*hull, *hull[:6]]})
    return path


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "set"
    build(str(source), folder, BuildSettings(split=SPLIT), workers=1)
    return folder


def parts_of(folder: Path) -> dict[str, str]:
    rows = pq.read_table(folder / "materials.parquet").to_pylist()
    return {row["material"]: row["split"] for row in rows}


def test_descriptions_of_one_material_are_in_one_part(built: Path) -> None:
    parts = parts_of(built)
    assert Counter(parts.values()).keys() == {"train", "validation", "test"}
    for name in [x for x in parts if x.endswith("-again")]:
        assert parts[name] == parts[name.removesuffix("-again")]
    manifest = read_manifest(built)
    assert manifest["split"]["groups"] == 24
    assert manifest["split"]["matches_among_them"] == 0


def test_a_set_passes_its_check_and_a_leak_does_not(built: Path, tmp_path: Path) -> None:
    result = check(built, workers=1)
    assert sum(result.materials.values()) == 30
    assert set(result.questions) == set(read_manifest(built)["questions"]["train"])
    leaky = tmp_path / "leaky"
    shutil.copytree(built, leaky)
    table = pq.read_table(leaky / "materials.parquet").to_pylist()
    pair = next(row for row in table if row["material"].endswith("-again"))
    split = "test" if pair["split"] == "train" else "train"
    for row in table:
        row["split"] = split if row is pair else row["split"]
    pq.write_table(pa.Table.from_pylist(table), leaky / "materials.parquet")
    with pytest.raises(InputError) as error:
        check(leaky, workers=1)
    assert f"is about a crystal of {split}" in str(error.value)
    assert "and " in str(error.value)


def test_the_comparison_of_parts_finds_a_match_by_itself() -> None:
    crystals = [record.require_crystal() for record in records()[:6]]
    moved = [translate(crystal, np.random.default_rng(0)) for crystal in crystals[:2]]
    parts = ["train"] * 6 + ["test"] * 2
    result = compare_parts([*crystals, *moved], parts, 1)
    assert {(0, 6), (1, 7)} <= set(result.matches)
    assert result.n_pairs >= 2
    assert compare_parts([*crystals, *moved], ["train"] * 8, 1) == (0, [])


def test_a_wrong_answer_in_a_file_is_found(built: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(built, broken)
    lines = (broken / "test.jsonl").read_text().splitlines(keepends=True)
    line = json.loads(lines[0])
    line["messages"][-1]["content"] = "1000"
    (broken / "test.jsonl").write_text(json.dumps(line) + "\n" + "".join([*lines[1:], lines[1]]))
    with pytest.raises(InputError) as error:
        check(broken, workers=1)
    assert "its right answer scores 0" in str(error.value)
    assert "stands twice" in str(error.value)


def test_a_set_is_the_same_each_time_and_by_any_number_of_processes(
    source: Path, built: Path, tmp_path: Path
) -> None:
    build(str(source), tmp_path / "again", BuildSettings(split=SPLIT), workers=2)
    for part in ("train", "validation", "test"):
        again = (tmp_path / "again" / f"{part}.jsonl").read_bytes()
        assert again == (built / f"{part}.jsonl").read_bytes()
    build(str(source), tmp_path / "again", BuildSettings(split=SPLIT, seed=1), workers=1)
    assert (tmp_path / "again/train.jsonl").read_bytes() != (built / "train.jsonl").read_bytes()


def test_a_question_does_not_depend_on_other_tasks(
    source: Path, built: Path, tmp_path: Path
) -> None:
    settings = BuildSettings(tasks=FEW, split=SPLIT)
    build(str(source), tmp_path / "few", settings, workers=1)
    few = {question.id: question for _, question in read_lines(tmp_path / "few/train.jsonl")}
    every = {question.id: question for _, question in read_lines(built / "train.jsonl")}
    assert {question.task for question in few.values()} == set(FEW)
    assert all(every[id] == question for id, question in few.items())


def test_both_layouts_hold_the_same_questions(source: Path, built: Path, tmp_path: Path) -> None:
    settings = BuildSettings(tasks=FEW, split=SPLIT, layout="completion")
    build(str(source), tmp_path / "plain", settings, workers=1)
    line = json.loads((tmp_path / "plain/test.jsonl").read_text().splitlines()[0])
    assert set(line) == {
        "id", "task", "material", "system", "prompt", "completion", "reference", "context"
    }  # fmt: skip
    mine = list(read_lines(tmp_path / "plain/test.jsonl"))
    theirs = [x for x in read_lines(built / "test.jsonl") if x.question.task in FEW]
    assert mine == theirs


def test_training_reads_the_conversations(built: Path) -> None:
    conversations = read_conversations(built / "train.jsonl")
    roles = {tuple(turn.role for turn in x.messages) for x in conversations}
    assert roles == {("system", "user", "assistant")}
    assert {x.task for x in conversations} == set(read_manifest(built)["questions"]["train"])


def test_what_is_left_out_is_counted_by_reason(built: Path) -> None:
    manifest = read_manifest(built)
    asked = sum(manifest["questions"][part]["same_atom"] for part in manifest["questions"])
    left_out = manifest["left_out"]["same_atom"]
    assert asked + sum(left_out.values()) == 30
    assert all("pair" in reason for reason in left_out)


def test_structures_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "structures"
    entries = [(x.name, x.require_crystal()) for x in records()[:4]]
    write_crystals(entries, folder, "cif")
    (folder / "broken.cif").write_text("data_x\n_cell_length_a oops\n")
    settings = BuildSettings(tasks=["atom_count"], split="1/0/0", n=3)
    report = build(str(folder), tmp_path / "out", settings, workers=1)
    assert report.unreadable == {"UNREADABLE": 1}
    assert report.n_materials == {"train": 3}


def test_a_store_keeps_its_parts_and_one_that_leaks_is_refused(
    source: Path, tmp_path: Path
) -> None:
    prepare(source, tmp_path / "store", PrepareSettings(split=SPLIT, standard=False), workers=1)
    build(str(tmp_path / "store"), tmp_path / "out", BuildSettings(tasks=FEW), workers=1)
    assert Counter(parts_of(tmp_path / "out").values()) == {
        "train": 14, "validation": 5, "test": 5
    }  # fmt: skip
    settings = PrepareSettings(overlap="allow", keep_duplicates=True, standard=False)
    prepare(source, tmp_path / "leak", settings, validation=source, workers=1)
    with pytest.raises(InputError, match="are the same material"):
        build(str(tmp_path / "leak"), tmp_path / "out2", BuildSettings(tasks=FEW), workers=1)
    assert not (tmp_path / "out2").exists()


def test_settings_that_cannot_be_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for settings, message in (
        (BuildSettings(tasks=["atoms"]), "no instruction task is called 'atoms'"),
        (BuildSettings(layout="chatty"), "Did you mean 'chat'"),
        (BuildSettings(split="0/1/0"), "the first above 0"),
        (BuildSettings(words="mine"), "no instruction prompts 'mine'"),
    ):
        with pytest.raises(SettingError, match=message):
            build("missing", tmp_path / "out", settings)
    with pytest.raises(InputError, match="no file or folder missing"):
        build("missing", tmp_path / "out")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        check(tmp_path)


def test_only_a_set_of_instructions_is_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds other files \(notes.txt\)"):
        build(str(source), tmp_path, BuildSettings(tasks=FEW))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_files_that_hold_no_questions_are_refused(built: Path, tmp_path: Path) -> None:
    for text in ("{}", "[]", "nonsense", '{"messages": []}', '{"id": 1}', "[" * 99_999):
        (tmp_path / "x.jsonl").write_text(text + "\n")
        with pytest.raises(InputError, match="line 1 is no question"):
            list(read_lines(tmp_path / "x.jsonl"))
    assert question_file(built) == built / "test.jsonl"
    with pytest.raises(InputError, match=r"has no test\.jsonl"):
        question_file(tmp_path)


def test_the_command_line_builds_and_checks(cli: Run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    ended = cli(
        "instruct", "build", source, "--tasks", "atom_count,text_volume", "-n", "20", "--split",
        "0.8/0.1/0.1", "--format", "gruver2024", "--workers", "1", "--out", out,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "none of which match" in " ".join(ended.stdout.split())
    assert "right answer graded as right" in cli("instruct", "check", out, "--workers", 1).stdout


def test_the_list_names_every_task_with_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    list_()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == list(INSTRUCTION_TASKS)
    assert lines[0].startswith("  1 atom_count")
    assert lines[-1].endswith("(not in all)")


def test_a_needle_is_not_compared() -> None:
    needle = Crystal(NACL.lengths * [0.02, 0.02, 60], NACL.angles, NACL.numbers, NACL.positions)
    assert compare_parts([needle, needle], ["train", "test"], 1) == (1, [])


def test_a_sample_of_two_public_sets_has_no_match_between_parts(
    shared_data: Path, tmp_path: Path
) -> None:
    """MP-20 validation with MPTS-52 validation, which holds some of the same materials."""
    some = list(islice(read_shipped_set(shipped_set("mp20_val")), 60))
    more = islice(read_crystals(shared_data / "mpts52_val.csv.gz"), 120)
    entries = [(f"a{i}", record.require_crystal()) for i, record in enumerate(some)]
    entries += [(f"b{i}", x.crystal) for i, x in enumerate(more) if x.crystal is not None]
    write_crystals(entries, tmp_path / "both.parquet", "parquet")
    settings = BuildSettings(tasks=["atom_count"], split="0.5/0.25/0.25", writer=Writer("plain"))
    build(str(tmp_path / "both.parquet"), tmp_path / "set", settings, workers=1)
    assert check(tmp_path / "set", workers=1).materials["train"] >= 80


def test_a_name_that_is_almost_one_of_a_set_is_answered_with_it(cli_refuses, tmp_path) -> None:
    told = cli_refuses("instruct", "build", "shippd", "--out", tmp_path / "out")
    assert "Did you mean 'shipped'?" in told
    assert "textbook" in told

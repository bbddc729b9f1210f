"""`crystext benchmark` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmark.example_suite import rows, write_example, write_table


def test_several_methods_are_measured_and_a_table_is_printed(cli, tmp_path):
    suite = write_example(tmp_path)
    command = ("benchmark", suite, "--data", tmp_path, "--method", "mean", "--method", "forest")
    ended = cli(*command, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    for words in ("salts/gap", "forest", "24/24", "MAD:MAE", "2 of 2"):
        assert words in ended.stdout
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["tasks"]) == 6
    assert (tmp_path / "out" / "report.html").is_file()
    # The same command only reads what is there.
    again = cli(*command, "--out", tmp_path / "out")
    assert again.stdout == ended.stdout


def test_leaks_and_hidden_lines_are_said(cli, tmp_path):
    suite = write_example(tmp_path)
    write_table(tmp_path / "salts" / "test.csv", rows(6))
    ended = cli("benchmark", suite, "--data", tmp_path, "--method", "mean", "--input", "cif",
                "--out", tmp_path / "out")  # fmt: skip
    assert "CIFs lack _cell_volume where it states the target: salts/volume" in ended.stderr
    assert "of 6 test rows" in ended.stderr
    kept = cli("benchmark", suite, "--data", tmp_path, "--method", "mean", "--input", "cif",
               "--keep-cell-volume", "--out", tmp_path / "kept")  # fmt: skip
    assert "CIFs keep _cell_volume" in kept.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no method is given"),
        (("--method", "forrest"), "Did you mean 'forest'"),
        (("--method", "mean", "--method", "mean"), "'mean' is given twice"),
        (("--method", "mean", "--tasks", "salts/gapp"), "Did you mean 'salts/gap'"),
        (("--method", "mean", "--input", "descripton"), "no input 'descripton'"),
        (("--method", "mean", "--compat", "llm4mta"), "Did you mean 'llm4mat'"),
        (("--method", "mean", "--split", "fold"), "no split 'fold'"),
        (("--method", "mean", "--top-k", "5"), "add --temperature"),
        (("--method", "mean", "--prompts", "nowhere.csv"), "no file of prompts nowhere.csv"),
        (("--method", "chat:/nowhere"), "no model folder /nowhere"),
        (("--answers", "nowhere.json"), "nowhere.json cannot be read"),
        (("--method", "mean", "--out", "example.yaml"), "is a file"),
    ],
)
def test_bad_input_is_one_message(
    cli_refuses, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    suite = write_example(tmp_path)
    if "--out" not in arguments:
        arguments = (*arguments, "--out", "out")
    told = cli_refuses("benchmark", suite, "--data", tmp_path, *arguments, cwd=tmp_path)
    assert message in told
    assert not (tmp_path / "out" / "results.json").exists()


def test_missing_data_are_one_message(cli_refuses, tmp_path):
    told = cli_refuses("benchmark", "llm4mat", "--data", tmp_path, "--method", "mean", cwd=tmp_path)
    assert "lacks 30 of the suite's files" in told
    assert "no suite or file 'llm4mta'" in cli_refuses(
        "benchmark", "llm4mta", "--data", tmp_path, "--method", "mean"
    )


def test_the_help_lists_the_suites(cli):
    told = cli("benchmark", "--help").stdout
    for name in ("llm4mat", "matbench", "moleculenet", "MoleculeNet"):
        assert name in told


def test_prompts_go_out_and_answers_come_back(cli, tmp_path):
    suite, prompts, answers = (
        write_example(tmp_path),
        tmp_path / "p.jsonl",
        tmp_path / "theirs.jsonl",
    )
    command = ("benchmark", suite, "--data", tmp_path, "--tasks", "salts/gap,salts/is_oxide")
    ended = cli(*command, "--write-prompts", prompts, "--few-shot", 2, "--n", 10)
    assert ended.stdout == f"20 prompts written to {prompts}\n"
    asked = [json.loads(line) for line in prompts.read_text().splitlines()]
    assert len(asked[0]["messages"]) == 6
    lines = [
        {"task": x["task"], "id": x["id"], "answer": "no" if "oxide" in x["task"] else "1 eV"}
        for x in asked
    ]
    answers.write_text("\n".join(map(json.dumps, lines)))
    scored = cli(*command, "--answers", answers, "--n", 10, "--out", tmp_path / "out")
    assert scored.returncode == 0, scored.stderr
    assert scored.stdout.count("10/10") == 2


def test_prompts_of_the_benchmark_are_whole_texts(cli, shared_data, tmp_path):
    mp = shared_data / "llm4mat_mp"
    given = mp / "mp_inference_prompts_data.csv"
    command = ("benchmark", "llm4mat", "--data", mp, "--tasks", "mp/volume", "--prompts", given)
    options = ("--compat", "llm4mat", "--input", "cif", "--write-prompts", tmp_path / "p.jsonl")
    assert cli(*command, *options).returncode == 0
    asked = [json.loads(line)["prompt"] for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert len(asked) == 10
    assert all("_cell_volume" in prompt for prompt in asked)

"""`crystext sample --keep-best` as a user runs it: sampled as with --n, and some are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crystext.generation.selected_file import read_selected, read_selection
from crystext.lm import CrystalLM
from tests.conftest import Run

Refuses = Callable[..., str]

N, K = 24, 5
SETTINGS = ("--batch-size", N, "--max-atoms", 4, "--workers", 1)
BY_LIKELIHOOD = ("--keep-best", K, "--of", N, "--by", "likelihood")


@pytest.fixture(scope="module")
def chosen(
    cli: Run, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A run whose best samples were chosen, and what the command printed."""
    out = tmp_path_factory.mktemp("chosen") / "run"
    command = "sample", "--model", tiny_model, "--out", out, *SETTINGS
    ended = cli(*command, *BY_LIKELIHOOD, "--to", "csv")
    assert ended.returncode == 0, ended.stderr
    return out, ended.stdout


@pytest.fixture
def run(chosen: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(chosen[0], tmp_path / "run"))


def test_all_samples_are_those_of_n(
    cli: Run, chosen: tuple[Path, str], tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ended = cli("sample", "--model", tiny_model, "--out", out, *SETTINGS, "--n", N)
    assert ended.returncode == 0, ended.stderr
    assert (out / "attempts.jsonl").read_bytes() == (chosen[0] / "attempts.jsonl").read_bytes()
    assert not (out / "selected.jsonl").exists()


def test_the_command_says_what_it_kept_and_what_it_left_out(chosen: tuple[Path, str]) -> None:
    out, shown = chosen
    summary = read_selection(out)
    assert summary is not None
    assert (summary.selected, sum(summary.left_out.values())) == (K, N - K)
    title = f"the best {K} of {N} samples by log-probability per token"
    lines = shown.splitlines()
    assert lines[1] == f"kept: {title}, in {out / 'selected.jsonl'}"
    assert lines[2].startswith("left out: ")
    assert f"{summary.left_out['rank']} ranked below" in lines[2]
    assert f"{K} crystals in {out / 'crystals.csv'}" in shown


def test_the_table_has_those_that_were_kept_in_their_order(chosen: tuple[Path, str]) -> None:
    table = pd.read_csv(chosen[0] / "crystals.csv")
    assert table["rank"].tolist() == list(range(1, K + 1))
    assert table["log_probability_per_token"].is_monotonic_decreasing
    lines = sorted(read_selected(chosen[0]), key=lambda x: x["rank"])
    assert table["index"].tolist() == [x["index"] for x in lines]
    assert [name[:14] for name in table["name"]] == [
        f"{x['rank']:06d}-{x['index']:06d}-" for x in lines
    ]


def test_python_keeps_the_same(chosen: tuple[Path, str], tiny_model: Path) -> None:
    lm = CrystalLM.load(tiny_model)
    samples = lm.sample(N, batch_size=N, max_atoms=4, keep_best=K, by="likelihood")
    lines = sorted(read_selected(chosen[0]), key=lambda x: x["rank"])
    assert [x.index for x in samples] == [x["index"] for x in lines]
    assert [x.text for x in samples] == [x["text"] for x in lines]


def test_a_run_is_chosen_from_again_and_extended(cli: Run, run: Path, tiny_model: Path) -> None:
    before = (run / "attempts.jsonl").read_bytes()
    command = "sample", "--model", tiny_model, "--out", run, *SETTINGS
    again = cli(*command, "--keep-best", 2, "--of", N + 2, "--by", "likelihood", "--to", "cif")
    assert again.returncode == 0, again.stderr
    assert (run / "attempts.jsonl").read_bytes().startswith(before)
    assert f"kept: the best 2 of {N + 2} samples" in again.stdout
    assert len(list((run / "cif").iterdir())) == 2
    fewer = cli(*command, "--keep-best", 2, "--of", N, "--by", "likelihood")
    assert f"the run already has more than --of {N}" in fewer.stdout
    assert f"kept: the best 2 of {N} samples" in fewer.stdout


def test_a_run_with_a_choice_is_not_continued_without_one(
    cli_refuses: Refuses, run: Path, tiny_model: Path
) -> None:
    message = cli_refuses("sample", "--model", tiny_model, "--out", run, *SETTINGS, "--n", N)
    assert f"give --keep-best {K} --of {N} --by likelihood to continue it" in message


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (("--keep-best", 5), ["--of, which is missing; try --of 15"]),
        (("--keep-best", 5, "--of", 4), ["--keep-best 5 is larger than --of 4"]),
        (("--keep-best", 5, "--n", 10), ["--n 10 keeps all that it samples; give --of"]),
        (("--of", 5), ["--of applies to --keep-best, which is missing"]),
        (("--by", "energy"), ["--by applies to --keep-best"]),
        (("--max-per-prototype", 2, "--by", "energy"), ["--by and --max-per-prototype apply"]),
        (
            ("--keep-best", 5, "--of", 4, "--n", 10),
            ["--keep-best 5 is larger than --of 4", "--n 10 keeps all"],
        ),
        (("--of", 5, "--n", 10), ["--of applies to --keep-best", "--n 10 keeps all"]),
    ],
)
def test_options_that_do_not_go_together_are_refused_at_once(
    cli_refuses: Refuses, tmp_path: Path, options: tuple[object, ...], messages: list[str]
) -> None:
    said = cli_refuses("sample", "--out", tmp_path / "run", *options)
    assert [message for message in messages if message not in said] == []
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()

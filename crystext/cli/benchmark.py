"""`crystext benchmark`: measure models on a suite of tables, or of questions in words."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from crystext.cli.benchmark_request import BenchmarkRequest
from crystext.cli.command import Command
from crystext.cli.listing import SuiteCommand
from crystext.cli.options.decoding import BatchSize, FrequencyPenalty, Temperature, TopK, TopP


def benchmark(
    suite: Annotated[
        str,
        typer.Argument(
            metavar="SUITE",
            help="A shipped suite, a YAML file, or a suite of questions in words.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR|FILE", help="Your folder with the suite's data.", show_default=False
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|MODEL|chat:MODEL",
            help="A method that is fitted on the training rows, such as forest or mean; a model "
            "of crystext predict (shipped, a folder, OWNER/NAME); or a chat model (folder, "
            "OWNER/NAME or http://HOST/v1#MODEL) that is asked in words. Questions in words have "
            "the baselines oracle and constant. Repeat the option for several.",
            show_default=False,
        ),
    ] = None,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Answers that another program or service wrote, as JSON or JSON lines.",
            show_default=False,
        ),
    ] = None,
    write_prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Only write the prompts of a chat model to this file, for another program or "
            "service; give its answers as --answers.",
            show_default=False,
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(help="Type of input of the suite.", show_default="the suite's first"),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Data sets or tasks (mp, mp/band_gap). Repeat the option, or give a list a,b.",
            show_default="all whose files are there",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the results; a run in it is resumed.")
    ] = Path("benchmark"),
    n: Annotated[
        int | None,
        typer.Option(
            "--n", "-n", help="Only the first n test rows of a fold.", min=1, show_default="all"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="matbench|random_folds|formula_folds|random|scaffold",
            help="How single tables are divided.",
            show_default="the suite's",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the methods.", min=0)] = 0,
    few_shot: Annotated[
        int, typer.Option(help="Examples in the prompts of chat models.", min=0, max=100)
    ] = 0,
    prompts: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR|FILE.csv",
            help="Prompts of chat models: a set of templates, or LLM4Mat-Bench's file of prompts.",
            show_default="chat, or as the suite says",
        ),
    ] = "chat",
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    frequency_penalty: FrequencyPenalty = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(help="Length of answers at most.", min=1, show_default="as the suite says"),
    ] = None,
    batch_size: BatchSize = None,
    compat: Annotated[
        str | None,
        typer.Option(
            metavar="llm4mat|llamat",
            help="Ask, sample and score as the published code of the suite does.",
            show_default=False,
        ),
    ] = None,
    min_valid: Annotated[
        int | None,
        typer.Option(
            help="A task with fewer valid answers has no score.",
            min=1,
            show_default="1, or 10 with --compat",
        ),
    ] = None,
    keep_cell_volume: Annotated[
        bool,
        typer.Option(
            "--keep-cell-volume",
            help="Keep the line of a CIF that states the target, such as _cell_volume.",
        ),
    ] = False,
) -> None:
    """Measure models on a suite and write OUT/report.html and results.json.

    Suites predict properties from tables, or ask questions in words. Every task, method and fold is
    one unit; what is answered is written as it comes, and the same command resumes a run that was
    killed. Invalid answers are counted beside every score.
    """
    from crystext.benchmark.language.suite import QUESTION_SUITES
    from crystext.cli import property_benchmark, question_benchmark

    decoding = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "frequency_penalty": frequency_penalty,
        "max_new_tokens": max_new_tokens,
        "batch_size": batch_size,
    }
    request = BenchmarkRequest(
        suite,
        data,
        methods=method or [],
        answers=answers or [],
        prompts_file=write_prompts,
        tasks=[name for item in tasks or [] for name in item.replace(",", " ").split()],
        out=out,
        n=n,
        seed=seed,
        decoding=decoding,
        compat=compat,
        prompts=prompts,
    )
    table_options = property_benchmark.TableOptions(
        input, split, few_shot, prompts, min_valid, keep_cell_volume
    )
    _check_suite(suite, QUESTION_SUITES)
    if suite in QUESTION_SUITES:
        table_options.refuse(suite, takes_prompts=bool(QUESTION_SUITES.find(suite).prompts))
        question_benchmark.run(request)
    else:
        property_benchmark.run(request, table_options)


def _check_suite(suite: str, questions: Collection[str]) -> None:
    """Refuse a suite that is neither a file nor one of either kind.

    Raises:
        SettingError: with the nearest name.
    """
    from crystext.benchmark.suite import suite_names
    from crystext.errors import SettingError, did_you_mean

    names = (*suite_names(), *questions)
    if suite not in names and not Path(suite).is_file():
        raise SettingError(
            f"no suite or file {suite!r}; the suites are {', '.join(names)}."
            + did_you_mean(suite, names)
        )


COMMAND = Command(
    benchmark, "Measure models on a suite of tables or of questions.", cls=SuiteCommand
)

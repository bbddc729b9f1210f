"""`crystext predict`: properties of crystals and compositions, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crystext.cli.command import Command
from crystext.cli.options.chat_predictor import Answers, Inputs, MaxNewTokens, Prompts, open_chat
from crystext.cli.options.decoding import BatchSize, FrequencyPenalty, Temperature, TopK, TopP
from crystext.cli.options.lenient import Lenient, print_notes

if TYPE_CHECKING:
    import pandas as pd

    from crystext.predict.base import Predictions

_ROWS_SHOWN = 20
_UNLIMITED = 10_000


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A run of `crystext sample`, any file, folder, zip or table of structures, a "
            "table of formulas or SMILES, a formula such as SrTiO3, or - for formulas and paths "
            "from standard input, one a line.",
            show_default=False,
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="shipped|FOLDER|OWNER/NAME|chat:SOURCE",
            help="A model trained on the task property; repeat the option for an ensemble. Or "
            "chat:SOURCE, any language model that is asked in words: a folder, OWNER/NAME or a "
            "service (http://HOST/v1#MODEL; the key is read from OPENAI_API_KEY).",
            show_default="shipped",
        ),
    ] = None,
    property: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Property to predict; repeat the option. A chat model is asked for those that are "
            "named, any number with its unit among them: 'melting point (K)'.",
            show_default="all",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Table to write, of all records: .csv or .parquet.", show_default=False),
    ] = None,
    rank_by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Sort by this property, the lowest first; -NAME: the highest first.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, help="Rows to print; the table of --out has all.")
    ] = _ROWS_SHOWN,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Equivalent texts of each crystal or molecule whose predictions are averaged.",
            show_default="as the model says",
        ),
    ] = None,
    lenient: Lenient = False,
    input: Inputs = None,
    prompts: Prompts = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    frequency_penalty: FrequencyPenalty = None,
    max_new_tokens: MaxNewTokens = None,
    batch_size: BatchSize = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of a chat model's sampling.", min=0, show_default="0"),
    ] = None,
    answers: Answers = None,
) -> None:
    """Predict properties, each with an interval that should hold the true value in 90% of cases.

    Records that cannot be read stay in the table with their problem. A prediction far from the
    training data is an extrapolation: compare the column distance_percentile. A chat model gives no
    interval; an answer that cannot be read is a problem of its record.
    """
    from crystext.errors import SettingError
    from crystext.predict.baselines.fitting import check_properties
    from crystext.predict.open import open_predictor
    from crystext.predict.prediction_table import prediction_table, write_table
    from crystext.predict.rank_by_property import rank_order, ranked_property
    from crystext.predict.sources import read_records
    from crystext.runtime.progress import Progress

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise SettingError(f"--out {out}: expected a path that ends in .csv or .parquet")
    options = {
        "views": views,
        "input": input,
        "prompts": prompts,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "frequency_penalty": frequency_penalty,
        "max_new_tokens": max_new_tokens,
        "batch_size": batch_size,
        "seed": seed,
        "answers": answers,
    }
    with Progress() as bars:
        chat = open_chat(model or (), options, out, bars.update)
        predictor = chat or open_predictor(*model or ())
        if chat is not None:
            names = [chat.property(name).name for name in chat.require_names(property)]
        else:
            names = list(check_properties(predictor.properties, property or None))
        if rank_by is not None:
            ranked_property(rank_by, names)
        records = [x for source in sources for x in read_records(source, lenient=lenient)]
        print_notes((record.name, record.notes) for record in records)
        requested = names if chat is None else property
        predictions = predictor.predict(records, requested, views=views)
    table = prediction_table(records, predictions, predictor.applicability(records))
    if rank_by is not None:
        order = rank_order(predictions, rank_by)
        table = table.iloc[order].reset_index(drop=True)
        table.insert(0, "rank", range(1, len(table) + 1))
    if out is not None:
        write_table(table, out)
    _print_table(table, predictions, top)
    if chat is not None:
        typer.echo("note: a chat model gives values without intervals", err=True)
    if out is not None:
        typer.echo(f"written: {out}")


def _print_table(table: pd.DataFrame, predictions: dict[str, Predictions], top: int) -> None:
    """Print the first rows, values with half the width of their interval, and what is missing."""
    from rich.console import Console
    from rich.table import Table

    from crystext.predict.prediction_table import describe_row
    from crystext.runtime.wording import format_count

    rows = [row for _, row in table.head(top).iterrows()]
    console = Console()
    for with_intervals in (True, False):
        shown = Table(box=None, pad_edge=False)
        shown.add_column("", no_wrap=with_intervals)
        for found in predictions.values():
            shown.add_column(found.target.title_with_unit, justify="right", no_wrap=with_intervals)
        for row in rows:
            shown.add_row(*describe_row(row, predictions, with_intervals=with_intervals))
        # Beside several properties intervals need a wide terminal.
        if Console(width=_UNLIMITED).measure(shown).maximum <= console.width:
            break
    console.print(shown)
    if len(table) > top:
        typer.echo(f"and {format_count(len(table) - top, 'further record')}")
    failed = int((table["problem"] != "").sum())
    if failed:
        first = table.loc[table["problem"] != "", "problem"].iloc[0]
        typer.echo(f"{format_count(failed, 'record')} without a prediction; the first: {first}")


COMMAND = Command(predict, "Predict properties of crystals and compositions.")

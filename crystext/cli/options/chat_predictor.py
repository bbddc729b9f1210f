"""Options of `crystext predict` for models that are asked in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crystext.errors import ModelError, SettingError

if TYPE_CHECKING:
    from crystext.inference.text_models.stored_answers import ReportProgress
    from crystext.predict.chat.predictor import OpenChatPredictor

PREFIX = "chat:"

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="cif|formula|...",
        help="What a chat model is shown of a record; repeat the option for several, of which the "
        "first that a record has is taken.",
        show_default="cif, smiles, formula",
    ),
]
Prompts = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR", help="Prompts of a chat model.", show_default="chat"),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(help="Length of a chat model's answer at most.", min=1, show_default="64"),
]
Answers = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.jsonl",
        help="Where the answers of a chat model are stored as they come: those that it has are not "
        "asked again.",
        show_default="beside --out, as NAME.answers.jsonl",
    ),
]


def open_chat(
    models: Sequence[str], options: Mapping[str, Any], out: Path | None, report: ReportProgress
) -> OpenChatPredictor | None:
    """Return the chat model that is named; None if none is.

    Args:
        models: of `--model`.
        options: those that only a chat model takes, by their names; None leaves the default.
        out: the table, beside which answers are stored.
        report: takes the progress.

    Raises:
        ModelError: other models are named beside it.
        SettingError: options do not fit the kind of model.
    """
    chats = [x for x in models if x.startswith(PREFIX)]
    given = {name: value for name, value in options.items() if value not in (None, [])}
    if not chats:
        names = [f"--{name.replace('_', '-')}" for name in given if name != "views"]
        if names:
            raise SettingError(
                f"{', '.join(names)}: only a chat model takes this; name one as --model "
                f"{PREFIX}SOURCE"
            )
        return None
    if len(models) > 1:
        raise ModelError(f"{chats[0]} answers alone; leave out the other --model")
    if "views" in given:
        raise SettingError("--views averages the predictions of trained models; leave it out")
    return _open(chats[0].removeprefix(PREFIX), given, out, report)


def _open(
    source: str, given: Mapping[str, Any], out: Path | None, report: ReportProgress
) -> OpenChatPredictor:
    from crystext.cli.options.decoding import changed_decoding
    from crystext.inference.text_models.base import ChatDecoding
    from crystext.predict.chat.predictor import DEFAULT_INPUTS, OpenChatPredictor
    from crystext.predict.chat.prompts import DEFAULT

    other = ("input", "prompts", "seed", "answers")
    decoding = {name: value for name, value in given.items() if name not in other}
    beside = None if out is None else out.with_name(f"{out.stem}.answers.jsonl")
    return OpenChatPredictor.open(
        source,
        inputs=given.get("input", DEFAULT_INPUTS),
        prompts=given.get("prompts", DEFAULT),
        decoding=changed_decoding(ChatDecoding(), **decoding),
        seed=given.get("seed", 0),
        answers=given.get("answers", beside),
        report=report,
    )

"""Options of commands that have a model answer in words: how it decodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from crystext.inference.text_models.base import ChatDecoding

Temperature = Annotated[
    float | None,
    typer.Option(
        help="Sample the answers of models at this temperature; 0 decodes greedily.",
        min=0,
        show_default="0",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(help="Sample from so many tokens.", min=1, show_default="all"),
]
TopP = Annotated[
    float | None,
    typer.Option(
        help="Sample from the most probable tokens that together have this probability.",
        min=0,
        max=1,
        show_default="1",
    ),
]
FrequencyPenalty = Annotated[
    float | None,
    typer.Option(
        help="Lower the logit of a token by this for each time that the answer has it already.",
        show_default="0",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Prompts answered at once: a batch of a model here, or requests to a service.",
        min=1,
        show_default="8",
    ),
]


def changed_decoding(default: ChatDecoding, **given: Any) -> ChatDecoding:
    """Return a decoding with what was given in place of the default.

    Args:
        default: of the command.
        given: fields of `ChatDecoding`; None leaves the default.

    Raises:
        SettingError: the settings do not go together.
    """
    from dataclasses import replace

    changes = {name: value for name, value in given.items() if value is not None}
    if changes.get("temperature") == 0:
        # What limits the sampling of the default has no meaning for greedy decoding.
        changes = {"top_k": None, "top_p": None, **changes}
    return replace(default, **changes)

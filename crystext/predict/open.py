"""Open trained predictors by the description in their folders."""

from __future__ import annotations

from pathlib import Path

from crystext.errors import ModelError
from crystext.models.layout import ModelFolder, open_model
from crystext.predict.encoder import EncoderPredictor
from crystext.predict.language import SHIPPED, LanguagePredictor


def open_predictor(*sources: str | Path | ModelFolder) -> LanguagePredictor | EncoderPredictor:
    """Load a predictor, or several of one kind that answer together.

    Args:
        sources: `shipped`, folders that `crystext train` wrote, or names on the Hub; none is
            `shipped`.

    Raises:
        ModelError: a model does not exist, is damaged, or predicts nothing; or there are language
            models and encoders.
    """
    # The shipped predictor is a language model, whose place `LanguagePredictor` knows.
    files = [source if str(source) == SHIPPED else open_model(source) for source in sources]
    encoders = [
        isinstance(source, ModelFolder) and source.description.objective == "regression_head"
        for source in files
    ]
    if any(encoders) and not all(encoders):
        raise ModelError(
            "an ensemble has either language models or encoders, and these are some of both: "
            + ", ".join(map(str, sources))
        )
    return EncoderPredictor.open(*files) if any(encoders) else LanguagePredictor.open(*files)

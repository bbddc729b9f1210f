"""Open predictors: trained ones by the description in their folders, and chat models."""

from __future__ import annotations

from pathlib import Path

from crystext.errors import ModelError
from crystext.inference.text_models.open import CHAT_PREFIX
from crystext.models.layout import ModelFolder, open_model
from crystext.predict.chat.predictor import OpenChatPredictor
from crystext.predict.encoder import EncoderPredictor
from crystext.predict.language import SHIPPED, LanguagePredictor


def open_predictor(
    *sources: str | Path | ModelFolder,
) -> LanguagePredictor | EncoderPredictor | OpenChatPredictor:
    """Load a predictor, or several of one kind that answer together.

    Args:
        sources: `shipped`, folders that `crystext train` wrote, or names on the Hub; none is
            `shipped`. Or `chat:SOURCE` alone: any language model, or a service, that is asked in
            words; see `OpenChatPredictor.open`, which takes options.

    Raises:
        ModelError: a model does not exist, is damaged, or predicts nothing; or there are models of
            several kinds.
        SettingError: the address of a service is invalid.
    """
    chats = [source for source in map(str, sources) if source.startswith(CHAT_PREFIX)]
    if chats and len(sources) > 1:
        raise ModelError(f"{chats[0]} answers alone; leave out the other models")
    if chats:
        return OpenChatPredictor.open(chats[0].removeprefix(CHAT_PREFIX))
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

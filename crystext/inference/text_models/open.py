"""Open a model that answers in words from the text that names it."""

from __future__ import annotations

from crystext.inference.text_models.base import ChatDecoding, TextModel
from crystext.inference.text_models.causal import CausalTextModel
from crystext.inference.text_models.endpoint import EndpointTextModel, is_endpoint

CHAT_PREFIX = "chat:"
"""Stands before a source where a model that answers in words is one of several kinds."""


def open_text_model(
    source: str, decoding: ChatDecoding | None = None, *, seed: int = 0
) -> TextModel:
    """Return a model that answers prompts; it is loaded or contacted when it first answers.

    Args:
        source: a folder with a causal language model, OWNER/NAME on the Hub, or the address of a
            service that speaks the protocol of OpenAI, with or without the name of its model:
            `http://localhost:8000/v1#llama`. See `EndpointTextModel`.
        decoding: how it writes; None is greedy.
        seed: of sampling.

    Raises:
        SettingError: an address is invalid.
    """
    decoding = decoding or ChatDecoding()
    if is_endpoint(source):
        return EndpointTextModel(source, decoding, seed=seed)
    return CausalTextModel(source, decoding, seed=seed)

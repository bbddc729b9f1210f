"""The section `head` of a recipe: the objective `regression_head`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crystext.models.settings import Pooling
from crystext.runtime.schema import StrictModel
from crystext.text.descriptions import DEFAULT_STRATEGY, Strategy


class RegressionHeadSettings(StrictModel):
    """How an encoder reads texts, and the layer that gives a number for each property."""

    pooling: Pooling | None = None
    """What represents a text: cls, its first token; mean, all of its tokens; last, its last token.
    None: last for BART and LLaMA, cls for the others."""
    loss: Literal["l1", "l2"] = "l1"
    """Of numbers, in units of their standard deviation: l1, the absolute error; l2, its square."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout rate in front of the linear layer; the encoder has its own."""
    descriptions: Strategy = DEFAULT_STRATEGY
    """How descriptions are shortened (see `text.descriptions`)."""
    spell_formulas: bool | None = None
    """Spell elements apart, in all texts but SMILES; None: if the tokenizer ignores case, which
    would mix CO and Co."""
    equivalent_texts: bool = True
    """Whether training reads a random one of equivalent texts of a record, such as the SMILES of a
    molecule, anew in each epoch; else the one that a predictor reads."""

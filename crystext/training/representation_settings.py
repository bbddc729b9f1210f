"""Which texts of records are learned: the section `representations`, and inputs of `properties`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from crystext.errors import SettingError
from crystext.runtime.schema import StrictModel
from crystext.tasks.representations import get_representation


def _weights_of_list(value: Any) -> Any:
    return dict.fromkeys(value, 1.0) if isinstance(value, list) else value


def _check_weights(inputs: dict[str, float]) -> dict[str, float]:
    faults = []
    for name, weight in inputs.items():
        try:
            get_representation(name)
        except SettingError as error:
            faults.append(str(error))
        if weight <= 0:
            faults.append(f"the weight of {name} is not above 0")
    if faults or not inputs:
        raise ValueError("; ".join(faults) or "no representation is named")
    return inputs


WeightedRepresentations = Annotated[
    dict[str, float], BeforeValidator(_weights_of_list), AfterValidator(_check_weights)
]
"""Relative weight of each representation of a record; a list of names gives all the same."""


class RepresentationSettings(StrictModel):
    """The task `representation`: the texts of records are learned, without labels."""

    inputs: WeightedRepresentations
    """Relative weight of each representation of a record (`tasks.representations`). A list of names
    gives all the same weight."""
    equivalent_texts: bool = True
    """Whether training reads a random one of equivalent texts of a record, such as the SMILES of a
    molecule, anew in each epoch; else the one that a predictor reads."""
    answer: str | None = None
    """With the objective sequence_to_sequence: the representation to write for a text; None: the
    text itself, of which parts are masked."""
    masked_fraction: float | None = Field(None, gt=0, lt=1)
    """Part of a text's tokens that is masked; None: 0.15 with the objective masked, as BERT (Devlin
    et al., arXiv:1810.04805, section 3.1), and 0.3 with sequence_to_sequence, as BART (Lewis et
    al., arXiv:1910.13461, section 4.1)."""
    mean_span: float = Field(3.0, ge=1)
    """Mean length of the parts that sequence_to_sequence masks, in tokens; lengths follow Poisson's
    distribution, and of each part a single token is left."""

    @field_validator("answer")
    @classmethod
    def _answer_exists(cls, answer: str | None) -> str | None:
        if answer is not None:
            try:
                get_representation(answer)
            except SettingError as error:
                raise ValueError(str(error)) from None
        return answer

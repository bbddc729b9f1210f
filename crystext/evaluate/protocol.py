"""Protocols: what an evaluation measures, with which thresholds, against which sets.

A protocol is a YAML file, one of those shipped or a user's own. Each part that holds a threshold
says where it is from. The classes below are the schema; a protocol is one value of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crystext.chemistry.oxidation import OXIDATION_TABLES
from crystext.errors import SettingError, describe_error, did_you_mean
from crystext.metrics.coverage import CoverageCutoffs
from crystext.runtime.resources import shipped_path
from crystext.structures.matching import MatchTolerances

STAGE_NAMES = (
    "validity",
    "novelty",
    "coverage",
    "distributions",
    "conditioning",
    "prediction",
    "ipt",
    "stability",
)
"""Names of the stages, in the order in which they run."""


class _ProtocolPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _CitedPart(_ProtocolPart):
    source: str = Field(min_length=1)
    """Where the thresholds are from: paper, arXiv number, or that they are our own."""


class ReferenceSetSpec(_ProtocolPart):
    """A set of crystals to compare with."""

    title: str
    source: str
    """A name of the catalogue of data sets; or a file, a folder or a store. A relative path starts
    at the protocol's own folder."""
    split: Literal["train", "validation", "test"] | None = None
    """None takes all."""


class ValidityRules(_CitedPart):
    """When a crystal is valid."""

    min_distance: float = Field(gt=0)
    """Å between two atoms."""
    min_volume: float = Field(ge=0)
    """Å^3."""
    self_images: bool = False
    """Whether an atom too close to its own images counts as invalid; CDVAE does not look."""
    table: str = "smact14"
    """Oxidation states that decide; the others are given beside them."""
    alloys: bool = True
    """Whether compositions of metals alone are valid whatever their charges."""

    @model_validator(mode="after")
    def _check_table(self) -> Self:
        if self.table not in OXIDATION_TABLES:
            raise ValueError(
                f"no oxidation table is called {self.table!r}; there are "
                f"{', '.join(OXIDATION_TABLES)}." + did_you_mean(self.table, OXIDATION_TABLES)
            )
        return self


class NoveltyRules(_CitedPart):
    """When two crystals are one."""

    ltol: float = Field(gt=0)
    stol: float = Field(gt=0)
    angle_tol: float = Field(gt=0)
    """Degrees."""
    by_fingerprint: bool = False
    """Whether novelty by distance of fingerprints is measured as well; the training set's take
    minutes once."""
    structure_distance: float = Field(default=0.1, gt=0)
    composition_distance: float = Field(default=2.0, gt=0)

    @property
    def tolerances(self) -> MatchTolerances:
        """Return the tolerances of the matcher."""
        return MatchTolerances(self.ltol, self.stol, self.angle_tol)


class CoverageRules(_CitedPart):
    """When a crystal is covered."""

    structure: float = Field(gt=0)
    composition: float = Field(gt=0)

    @property
    def cutoffs(self) -> CoverageCutoffs:
        """Return the largest distances of fingerprints."""
        return CoverageCutoffs(self.structure, self.composition)


class DistributionsRules(_CitedPart):
    """What is compared with the reference."""

    of: Literal["valid", "parsed"] = "valid"
    symprec: float = Field(default=0.1, gt=0)
    """Å; tolerance of space groups."""


class ConditioningRules(_CitedPart):
    """How it is judged whether what was asked for was kept."""


class PredictionRules(_CitedPart):
    """When a predicted structure is right."""

    ltol: float = Field(gt=0)
    stol: float = Field(gt=0)
    angle_tol: float = Field(gt=0)
    """Degrees."""
    both_valid: bool = True
    """Whether prediction and target both have to be valid, as DiffCSP has it."""

    @property
    def tolerances(self) -> MatchTolerances:
        """Return the tolerances of the matcher."""
        return MatchTolerances(self.ltol, self.stol, self.angle_tol)


class IptRules(_CitedPart):
    """How much a model's surprise depends on the origin."""

    crystals: int = Field(default=500, ge=1)
    translations: int = Field(default=20, ge=2)
    seed: int = Field(default=0, ge=0)


class StabilityRules(_CitedPart):
    """When a crystal is stable."""

    potential: str
    hull: str
    """See `energies.hull_sources`."""
    fmax: float = Field(default=0.1, gt=0)
    """eV/Å."""
    steps: int = Field(default=500, ge=1)
    crystals: int | None = Field(default=None, ge=1)
    """Attempts that are relaxed, from the first; None takes all."""
    metastable: float = 0.1
    """eV/atom above the hull, not reached."""
    stable: float = 0.0
    """eV/atom above the hull, not reached."""


class Protocol(_ProtocolPart):
    """An evaluation's measurements and thresholds; a part that is missing is not measured."""

    name: str
    title: str
    reference: ReferenceSetSpec | None = None
    training: ReferenceSetSpec | None = None
    validity: ValidityRules
    novelty: NoveltyRules | None = None
    coverage: CoverageRules | None = None
    distributions: DistributionsRules | None = None
    conditioning: ConditioningRules | None = None
    prediction: PredictionRules | None = None
    ipt: IptRules | None = None
    stability: StabilityRules | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the names of what is measured, in the order in which it is."""
        return tuple(name for name in STAGE_NAMES if getattr(self, name) is not None)


assert set(STAGE_NAMES) <= set(Protocol.model_fields)


def protocol_names() -> tuple[str, ...]:
    """Return the names of the protocols that come with the package."""
    return tuple(sorted(path.stem for path in _protocol_folder().glob("*.yaml")))


def load_protocol(source: str | Path) -> Protocol:
    """Return a protocol.

    Args:
        source: the name of a shipped one, or the path of a YAML file.

    Raises:
        SettingError: there is none, or it is no protocol; all its faults are told at once.
    """
    names = protocol_names()
    path = _protocol_folder() / f"{source}.yaml" if source in names else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if path.exists():
            raise SettingError(
                f"the protocol {path} cannot be read: {describe_error(error, 'it is no text')}"
            ) from None
        raise SettingError(
            f"no protocol is called {str(source)!r}, and no file either; there are "
            f"{', '.join(names)}." + did_you_mean(str(source), names)
        ) from None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise SettingError(
            f"{path} is no protocol: expected a mapping with name, title and validity; start from "
            f"a shipped one ({_protocol_folder() / names[0]}.yaml)"
            if names
            else f"{path} is no protocol"
        )
    try:
        protocol = Protocol.model_validate(found)
    except ValidationError as error:
        faults = "\n".join(f"  {_describe_error(fault, found)}" for fault in error.errors())
        raise SettingError(f"{path} is no protocol:\n{faults}") from None
    return protocol.model_copy(
        update={
            key: _resolve_source(known, path.parent)
            for key in ("reference", "training")
            if (known := getattr(protocol, key)) is not None
        }
    )


def _protocol_folder() -> Path:
    return shipped_path("evaluation", "protocols")


def _resolve_source(spec: ReferenceSetSpec, folder: Path) -> ReferenceSetSpec:
    """Return a set whose path, where it is one that is there, no longer depends on the folder."""
    path = folder / spec.source
    return spec.model_copy(update={"source": str(path)}) if path.exists() else spec


def _describe_error(error: Any, document: Any) -> str:
    """Return one fault of a protocol in words."""
    place, name = ".".join(map(str, error["loc"])), str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        part: type[BaseModel] = Protocol
        if len(error["loc"]) > 1:
            part = _PARTS[str(error["loc"][0])]
        known = tuple(part.model_fields)
        return f"{place}: no such key; there are {', '.join(known)}." + did_you_mean(name, known)
    if error["type"] == "missing":
        return f"{place}: is missing"
    message = re.sub(r"^Value error, ", "", error["msg"])
    shown = "" if isinstance(error["input"], dict) else f"; found {error['input']!r}"
    return f"{place}: {message}{shown}"


_PARTS: dict[str, type[BaseModel]] = {
    "reference": ReferenceSetSpec,
    "training": ReferenceSetSpec,
    "validity": ValidityRules,
    "novelty": NoveltyRules,
    "coverage": CoverageRules,
    "distributions": DistributionsRules,
    "conditioning": ConditioningRules,
    "prediction": PredictionRules,
    "ipt": IptRules,
    "stability": StabilityRules,
}

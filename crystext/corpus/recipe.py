"""Corpus recipes: everything that a corpus depends on, as one YAML file.

The classes are the schema. `load_corpus_recipe` reads a file, applies `key=value` overrides, and
reports all errors of a bad recipe at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from crystext.errors import did_you_mean
from crystext.runtime.named_settings import SettingsFiles, check_settings
from crystext.runtime.schema import StrictModel, apply_override
from crystext.tasks.representations import REPRESENTATIONS
from crystext.text.formats import FORMATS

WhenDry = Literal["error", "stop", "drop", "repeat"]

PROSE = "prose"
"""Form of crystals: sentences from templates, see `prose`."""

SOURCE_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,63}")

_WEIGHT_TOLERANCE = 0.01
"""How far the weights of a stage may be from adding up to 1."""

_KINDS = ("jsonl", "text", "crystals")
_OPTIONS_OF_KIND = {
    "jsonl": {"field", "id_field", "formula_field"},
    "text": {"document_break"},
    "crystals": {"form", "where", "lenient"},
}


def crystal_forms() -> list[str]:
    """Return the forms in which a source of crystals can be written."""
    return [PROSE, *REPRESENTATIONS, *FORMATS]


class TokenizerSettings(StrictModel):
    """The tokenizer: `name`, or one that is trained on the corpus: `train`."""

    name: str | None = None
    """A folder with a tokenizer.json, such as that of a model; or OWNER/NAME on the Hub."""
    end_of_text: str | None = None
    """Token that ends documents; None: the end-of-sequence token of the tokenizer."""
    train: Literal["bpe"] | None = None
    """bpe: byte-level byte-pair encoding."""
    vocabulary: int = Field(32768, ge=300, le=2**20)
    """Size of the trained vocabulary, with the token that ends documents."""
    sample_bytes: int = Field(50_000_000, gt=0)
    """Bytes of text on which it is trained, from all over the corpus, by the weights of the
    sources. Merges are learnt in memory: some ten times as much."""
    single_digits: bool = True
    """Whether every digit is a token of its own, so that numbers are read digit by digit."""

    @model_validator(mode="before")
    @classmethod
    def _expand_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.name is None) == (self.train is None):
            raise ValueError("give either name, a folder or OWNER/NAME on the Hub, or train: bpe")
        return self


class SourceSettings(StrictModel):
    """One source of documents: `jsonl`, `text` or `crystals` says what and where it is."""

    jsonl: list[str] | None = None
    """JSON lines files, or folders of them (.jsonl, .ndjson, .json, also with .gz)."""
    text: list[str] | None = None
    """Text files, or folders of them (.txt, .md, .tex, .text, also with .gz); UTF-8."""
    crystals: list[str] | None = None
    """What `crystext data prepare` reads, a store that it wrote, `shipped` or `textbook`."""
    field: str = "text"
    """jsonl: the key of the text."""
    id_field: str | None = None
    """jsonl: documents with the same value of this key are in the same split."""
    formula_field: str | None = None
    """jsonl: the key of a chemical formula. Documents are held out with the crystals of it."""
    document_break: str = "file"
    """text: `file`: each file is a document; `blank_lines`: each paragraph; or a regular expression
    that matches what stands between documents, in the syntax of Python."""
    form: str = "cif"
    """crystals: how they are written: cif, description (by Robocrystallographer), prose (a few
    sentences), any text format, or any other representation of `tasks.representations`."""
    where: dict[str, str] = Field(default_factory=dict)
    """crystals: for tables, the value that each of these columns must have."""
    lenient: bool = False
    """crystals: read files that contradict themselves, where one reading exists."""
    when_dry: WhenDry = "error"
    """What happens when all documents are used: `error`: a corpus that needs more of it is refused;
    `stop`: the corpus ends, so it is as long as this source allows; `drop`: the other sources share
    its weight; `repeat`: it begins again."""
    on_error: Literal["skip", "stop"] = "skip"
    """Unreadable lines, files and crystals: count them, or end the build at the first one."""
    max_document_tokens: int | None = Field(None, gt=0)
    """Longer documents lose their end; they are counted as truncated."""

    @model_validator(mode="before")
    @classmethod
    def _expand_paths(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: [inner] if key in _KINDS and isinstance(inner, str) else inner
            for key, inner in value.items()
        }

    @field_validator("form")
    @classmethod
    def _check_form(cls, form: str) -> str:
        if form not in (forms := crystal_forms()):
            raise ValueError(
                f"no such form; there are {', '.join(forms)}." + did_you_mean(form, forms)
            )
        return form

    @field_validator("document_break")
    @classmethod
    def _check_break(cls, value: str) -> str:
        if value in ("file", "blank_lines"):
            return value
        try:
            matches_nothing = re.compile(value).match("")
        except re.error as error:
            raise ValueError(f"it is not a regular expression: {error}") from None
        if matches_nothing:
            raise ValueError("it matches the empty text, so there is no telling where a text ends")
        return value

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind)]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(_KINDS)}, with paths")
        others = {x: kind for kind in _KINDS if kind != given[0] for x in _OPTIONS_OF_KIND[kind]}
        faults = [
            f"{name} is for {others[name]}, and this source is {given[0]}"
            for name in sorted(self.model_fields_set & others.keys())
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def kind(self) -> str:
        """`jsonl`, `text` or `crystals`."""
        return next(kind for kind in _KINDS if getattr(self, kind))

    @property
    def paths(self) -> list[str]:
        """Its files and folders."""
        paths: list[str] = getattr(self, self.kind)
        return paths


class StageSettings(StrictModel):
    """A stage of the mixture: which sources, and in which ratio."""

    weights: dict[str, float]
    """Proportion of the tokens of each source; they add up to 1."""
    until: float = Field(1.0, gt=0, le=1)
    """Where the stage ends, as a fraction of all tokens."""


class ValidationSettings(StrictModel):
    """The documents that are held out, of each source apart."""

    fraction: float = Field(0.01, ge=0, lt=1)
    """Of the documents and of the materials, chosen by a hash."""


class DuplicateSettings(StrictModel):
    """Which documents are left out because they repeat an earlier one."""

    exact: bool = True
    """Documents with the same text as an earlier one, in any source."""
    near: float | None = Field(None, ge=0.7, le=1)
    """Documents whose similarity with an earlier one is at least this, in any source of text
    (`near_duplicates`); None: these are not searched."""
    materials: bool = True
    """Crystals that match an earlier one that is written in the same form (StructureMatcher)."""


class CorpusRecipe(StrictModel):
    """One whole corpus."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Of the order of the documents, and of what is held out."""
    context_tokens: int = Field(ge=8)
    """Tokens of a block: the length of the context in training."""
    tokens: int | None = Field(None, gt=0)
    """Tokens of the training part; None: as many as the sources have that are not repeated."""
    tokenizer: TokenizerSettings
    sources: dict[str, SourceSettings]
    stages: list[StageSettings] = Field(min_length=1)
    validation: ValidationSettings = ValidationSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    shuffle: bool = True
    """Whether the documents of a source are taken in random order (see `source_reader`)."""
    window_tokens: int = Field(1_000_000, ge=1000)
    ratio_tolerance: float = Field(0.01, gt=0, lt=1)
    """In every window of so many tokens of a stage, the proportion of each source differs by at
    most this much from its weight. Documents are divided where they are too long for that."""
    shard_tokens: int = Field(2**26, gt=0)
    """Tokens of a file of the corpus, rounded up to whole blocks."""

    @field_validator("sources")
    @classmethod
    def _check_names(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        faults = [
            f"{name!r} is not a name for a source; expected letters, digits, - and _"
            for name in sources
            if not SOURCE_NAME.fullmatch(name)
        ]
        if not sources:
            faults.append("there is no source")
        if faults:
            raise ValueError("; ".join(faults))
        return sources

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        faults = [x for i, stage in enumerate(self.stages) for x in self._stage_errors(i, stage)]
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)):
            faults.append(f"stages: until is {', '.join(map(str, ends))}; expected rising numbers")
        if ends[-1] != 1:
            faults.append(f"stages: the last one ends at {ends[-1]:g}; expected 1")
        used = {name for stage in self.stages for name in stage.weights}
        faults += [
            f"sources.{name}: no stage has a weight for it; give one, or leave it out"
            for name in self.sources
            if name not in used
        ]
        if self.tokens is None and not faults and not self._has_end():
            faults.append(
                "tokens is missing: give it, or one source with when_dry stop or error, whose end "
                "is the end of the corpus"
            )
        if faults:
            raise ValueError("\n  ".join(faults))
        return self

    def _stage_errors(self, i: int, stage: StageSettings) -> list[str]:
        where = f"stages.{i}.weights"
        faults = [
            f"{where}.{name}: no such source." + did_you_mean(name, self.sources)
            for name in stage.weights
            if name not in self.sources
        ]
        faults += [
            f"{where}.{name}: it is {weight:g}; expected a number above 0, or leave it out"
            for name, weight in stage.weights.items()
            if not weight > 0
        ]
        total = sum(stage.weights.values())
        if abs(total - 1) > _WEIGHT_TOLERANCE:
            faults.append(f"{where}: they add up to {total:g}; expected 1")
        return faults

    def _has_end(self) -> bool:
        policies = {source.when_dry for source in self.sources.values()}
        only_drops = policies == {"drop"} and len(self.stages) == 1
        return bool(policies & {"stop", "error"}) or only_drops

    @property
    def shard_size(self) -> int:
        """Tokens of a shard: whole blocks."""
        return -(-self.shard_tokens // self.context_tokens) * self.context_tokens


_FILES = SettingsFiles("corpus recipe", ("recipes", "corpus"), "tokens, tokenizer and sources")


def load_corpus_recipe(source: str | Path, overrides: Sequence[str] = ()) -> CorpusRecipe:
    """Load a recipe: a file, or the name of a shipped one, with `section.key=value` overrides.

    Raises:
        SettingError: with every error of the recipe and of the overrides.
    """
    path, values = _FILES.read(source)
    faults = [fault for x in overrides if (fault := apply_override(values, x, "tokens=100000"))]
    return check_settings(CorpusRecipe, values, str(path), faults)


def shipped_corpus_recipes() -> list[str]:
    """Return the names of the recipes that ship with the package."""
    return list(_FILES.names())

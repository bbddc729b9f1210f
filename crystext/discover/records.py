"""What is written of each text and of each relaxed crystal: the lines of a round's file.

    rounds/00001.jsonl      {"arm": ..., "texts": ...}      an arm and how many texts it drew
                            {"index": ..., "text": ...}     a text, and what became of it
                            {"unrelaxed": ..., "e_above_hull": ...}
                                                            a crystal as it was drawn
                            {"relaxed": ..., "judges": ...} a relaxed crystal

A text that was not relaxed in its round may be in a later one; `relaxed` and `unrelaxed` name its
index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from crystext.energies.judges import JudgeResult
from crystext.energies.relaxation_run import crystal_from_json, crystal_to_json
from crystext.structures.crystal import Crystal


class Outcome(Enum):
    """What became of a text. The value is a description for users."""

    NO_CRYSTAL = "the text is not a crystal"
    CONDITION = "a condition is not satisfied"
    INVALID = "it fails a check, such as the distance of atoms"
    DUPLICATE = "it equals an earlier one"
    KNOWN = "it equals a known crystal"
    WAITING = "valid, unique and new, but others were more promising"
    NO_ENERGY = "it could not be relaxed"
    HIGH_ENERGY = "its energy above the hull is too high"
    NOT_CONVERGED = "it did not relax within the steps allowed"
    RELAXED_INVALID = "relaxed, it fails a check or no longer satisfies a condition"
    RELAXED_DUPLICATE = "relaxed, it equals an earlier candidate"
    RELAXED_KNOWN = "relaxed, it equals a known crystal"
    CANDIDATE = "a candidate"

    @property
    def label(self) -> str:
        """The name in files and tables."""
        return self.name.lower()


@dataclass(frozen=True)
class SampledText:
    """A text, and what became of it in its round."""

    index: int
    """Among all texts of the search; the random numbers follow from it."""
    arm: str
    text: str
    log_probability: float
    """In nats, of the whole text."""
    tokens: int
    outcome: Outcome
    """`WAITING` if it passed all checks, whether or not it was relaxed."""
    message: str = ""
    """Which check it failed, or what it equals."""
    formula: str | None = None
    n_atoms: int | None = None
    space_group: int | None = None
    origin: str | None = None
    """The known crystal whose elements were exchanged, if the model did not write all of it."""

    @property
    def log_probability_per_atom(self) -> float:
        """In nats."""
        return self.log_probability / (self.n_atoms or 1)


@dataclass(frozen=True)
class JudgeRecord:
    """What a judge says of a crystal; energies in eV/atom."""

    judge: str
    stability: str
    e_above_hull: float | None
    e_form: float | None
    energy: float | None
    """Without corrections."""
    decomposition: str | None
    evidence: str | None
    converged: bool
    steps: int


@dataclass(frozen=True)
class RelaxedRecord:
    """A relaxed crystal."""

    index: int
    """Of its text."""
    outcome: Outcome
    judges: tuple[JudgeRecord, ...]
    crystal: Crystal | None = None
    """Relaxed by the first judge; None without an energy."""
    message: str = ""
    space_group: int | None = None
    min_distance: float | None = None
    """Å between two atoms."""
    volume_ratio: float | None = None
    """Volume after over before relaxing."""
    novelty: str | None = None
    nearest_known: str | None = None
    """A known crystal that it matches, or that has its prototype."""

    @property
    def above_hull(self) -> float | None:
        """Energy above the hull by the first judge."""
        return self.judges[0].e_above_hull if self.judges else None


@dataclass(frozen=True)
class Round:
    """A round of a search."""

    number: int
    """From 1."""
    arms: tuple[tuple[str, int], ...]
    """Labels, and numbers of texts."""
    texts: tuple[SampledText, ...]
    unrelaxed: tuple[tuple[int, float | None], ...]
    """Indices of texts whose crystals the first judge looked at as they were drawn, and their
    energies above the hull in eV/atom."""
    relaxed: tuple[RelaxedRecord, ...]

    def lines(self) -> str:
        """Return the contents of the round's file."""
        rows: list[dict[str, Any]] = [{"arm": arm, "texts": count} for arm, count in self.arms]
        rows += [_plain(asdict(text)) for text in self.texts]
        rows += [{"unrelaxed": index, "e_above_hull": above} for index, above in self.unrelaxed]
        for row in self.relaxed:
            values = asdict(replace(row, crystal=None))
            values["crystal"] = row.crystal and crystal_to_json(row.crystal)
            rows.append({"relaxed": values.pop("index"), **_plain(values)})
        return "".join(json.dumps(row) + "\n" for row in rows)


def parse_round(number: int, values: Iterable[dict[str, Any]]) -> Round:
    """Return a round from the JSON values of its lines.

    Raises:
        ValueError, LookupError, TypeError: a line is another one.
    """
    arms, texts, unrelaxed, relaxed = [], [], [], []
    for row in values:
        if "relaxed" in row:
            relaxed.append(_parse_relaxed(row))
        elif "unrelaxed" in row:
            unrelaxed.append((int(row["unrelaxed"]), row["e_above_hull"]))
        elif "text" in row:
            texts.append(SampledText(**{**row, "outcome": Outcome[row["outcome"].upper()]}))
        else:
            arms.append((str(row["arm"]), int(row["texts"])))
    return Round(number, tuple(arms), tuple(texts), tuple(unrelaxed), tuple(relaxed))


def judge_record(result: JudgeResult) -> JudgeRecord:
    """Return what is written of a judge's result."""
    relaxation, position = result.relaxation, result.position
    phases = position and position.phases
    energy = None
    if relaxation.crystal is not None and relaxation.energy is not None:
        energy = relaxation.energy / len(relaxation.crystal)
    return JudgeRecord(
        result.judge,
        result.stability.label,
        result.above_hull,
        None if position is None else position.formation_energy,
        energy,
        str(phases.mixture) if phases else None,
        phases.evidence.label if phases else None,
        result.converged,
        relaxation.steps,
    )


def _parse_relaxed(row: dict[str, Any]) -> RelaxedRecord:
    values = dict(row)
    cell = values.pop("crystal")
    return RelaxedRecord(
        index=values.pop("relaxed"),
        outcome=Outcome[values.pop("outcome").upper()],
        judges=tuple(JudgeRecord(**judge) for judge in values.pop("judges")),
        crystal=None if cell is None else crystal_from_json(cell),
        **values,
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "outcome": values["outcome"].label}

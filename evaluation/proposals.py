"""Draws crystals of given formulas from the shipped model, as distinct proposals for each.

Texts are drawn in the Wyckoff format with formula and number of atoms given. Crystals that fit each
other are a group, and the most probable of a group is its proposal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from crystext.conditions import Conditions
from crystext.data.shipped import read_shipped_set, shipped_set
from crystext.energies.relax import RelaxationLimits
from crystext.energies.relaxation_run import iter_relaxations
from crystext.errors import SettingError
from crystext.evaluate.protocol import load_protocol
from crystext.evaluate.stages.prediction import is_valid
from crystext.evaluate.stages.validity import ValiditySettings
from crystext.generation.requests import make_request, resolve_settings
from crystext.inference.generate import TextGenerator
from crystext.inference.types import Attempt, SamplingSettings
from crystext.metrics.structure_prediction import rms_distance
from crystext.models.layout import SHIPPED, ModelFolder, open_model
from crystext.models.load import load_model
from crystext.predict.open import open_predictor
from crystext.runtime.processes import run_in_order
from crystext.structures.crystal import Crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES, FormulaGroup
from crystext.structures.properties import reduced_formula
from crystext.structures.record import Record
from crystext.text import get_format

FORMAT = get_format("wyckoff")

MAX_PROPOSALS = 20

OWN = "own"
"""The model's own temperatures, in place of numbers."""

_COMPARED = 24
"""Groups of a formula that are compared with each other whatever their Wyckoff positions."""

_ORBITS = re.compile(r"^(?:\d+$|[A-Z][a-z]? \d+[a-zA])", re.MULTILINE)
"""The lines of a text that say the space group and the Wyckoff position of an orbit, in part."""

_PREDICTED = "e_above_hull"


class TextTemperatures(NamedTuple):
    """Of what is drawn; None is the model's own."""

    text: float | None = None
    """Of the space group and the Wyckoff positions."""
    coordinate: float | None = None
    cell: float | None = None

    @classmethod
    def parse(cls, text: str) -> TextTemperatures:
        """Return what is written as `own`, 0.7 or 0.7:0.2:0.2.

        Raises:
            ValueError: it is not written so.
        """
        return cls() if text == OWN else cls(*map(float, text.split(":")))

    def settings(self, files: ModelFolder) -> SamplingSettings:
        """Return the settings of a sampler of formulas."""
        own = files.temperatures
        return resolve_settings(
            files,
            [Conditions.from_keywords(composition="NaCl")],
            temperature=self.text,
            coordinate_temperature=own.coordinate if self.coordinate is None else self.coordinate,
            cell_temperature=own.cell if self.cell is None else self.cell,
        )


class Target(NamedTuple):
    """A crystal to predict."""

    name: str
    crystal: Crystal


@dataclass(frozen=True)
class Group:
    """Draws that fit each other."""

    draws: tuple[int, ...]
    """Numbers of the texts, those of the first temperature first."""
    text: str
    """The most probable."""
    log_probability: float
    predicted: float
    """Energy above the hull in eV/atom that the predictor expects."""
    rms: float | None
    """RMS distance from the target, in units of (V / N)^(1/3); None without a match."""
    valid: bool

    @property
    def crystal(self) -> Crystal:
        """The proposal."""
        crystal = FORMAT.decode(self.text).crystal
        assert crystal is not None, "a text that was drawn is a crystal"
        return crystal


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a target."""

    target: str
    n_atoms: int
    valid: bool
    draws: int
    groups: tuple[Group, ...]

    def distance(self, group: Group | None, *, both_valid: bool) -> float | None:
        """Return the distance of a proposal from the target, if it is a match that counts."""
        if group is None or (both_valid and not (self.valid and group.valid)):
            return None
        return group.rms

    def matching(self, *, both_valid: bool, among: range | None = None) -> int:
        """Return the number of texts that match the target, of all or of some of them."""
        return sum(
            among is None or number in among
            for group in self.groups
            if self.distance(group, both_valid=both_valid) is not None
            for number in group.draws
        )


class Weights(NamedTuple):
    """Of the score by which groups are ranked; see `structure_prediction`."""

    likelihood: float = 0.0
    predicted_tau: float = math.inf
    """eV/atom, as `energy_tau`."""
    energy_tau: float = math.inf

    def ranked(self, drawn: Drawn, energies: Mapping[str, float]) -> list[Group]:
        """Return the groups, the best first; those without an energy come last."""
        return sorted(drawn.groups, key=lambda x: -self._score(x, energies.get(x.text)))

    def _score(self, group: Group, energy: float | None) -> float:
        score = math.log(len(group.draws)) + self.likelihood * group.log_probability
        score -= group.predicted / self.predicted_tau
        if self.energy_tau == math.inf:
            return score
        return -1e9 + score if energy is None else score - energy / self.energy_tau


def shipped_targets(name: str, n: int, seed: int) -> list[Target]:
    """Return crystals of a shipped set, drawn at random; a larger n keeps the first ones."""
    records = list(read_shipped_set(shipped_set(name)))
    order = np.random.default_rng(seed).permutation(len(records))
    return [Target(records[i].name, records[i].require_crystal()) for i in order[:n].tolist()]


def draw_all(
    targets: Sequence[Target],
    draws: int,
    temperatures: Sequence[TextTemperatures],
    file: Path,
    workers: int,
    report: Callable[[int, int], None],
) -> list[Drawn]:
    """Draw for each target, and append each to a file; those in it are not drawn again.

    Args:
        targets: of a set, from the first.
        draws: texts at each of the temperatures.
        temperatures: of the texts.
        file: JSON lines.
        workers: processes.
        report: called with the numbers of targets that are done, and of all.
    """
    done = list(_read(file))
    left = list(enumerate(targets))[len(done) :]
    answers = run_in_order(partial(_make_drawing, draws, temperatures), left, workers)
    with closing(answers), file.open("a", encoding="utf-8") as out:
        for drawn in answers if left else ():
            out.write(json.dumps(asdict(drawn)) + "\n")
            out.flush()
            done.append(drawn)
            report(len(done), len(targets))
    return done[: len(targets)]


def _read(file: Path) -> Iterator[Drawn]:
    """Yield what a file holds; a torn last line is cut off."""
    if not file.exists():
        return
    lines = file.read_bytes().split(b"\n")
    if lines[-1]:
        file.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    for line in lines[:-1]:
        row: dict[str, Any] = json.loads(line)
        groups = tuple(Group(**{**x, "draws": tuple(x["draws"])}) for x in row.pop("groups"))
        yield Drawn(groups=groups, **row)


def _make_drawing(
    draws: int, temperatures: Sequence[TextTemperatures]
) -> Callable[[tuple[int, Target]], Drawn]:
    """Load the model in a worker process; return the function that draws for a target."""
    torch.set_num_threads(1)
    files, predictor = open_model(SHIPPED), open_predictor()
    model = load_model(files)
    generators = [TextGenerator(model, each.settings(files)) for each in temperatures]
    total = draws * len(temperatures)

    def draw(task: tuple[int, Target]) -> Drawn:
        number, (name, crystal) = task
        conditions = Conditions.from_keywords(
            composition=reduced_formula(crystal.numbers), n_atoms=len(crystal)
        )
        texts: list[Attempt] = []
        try:
            request = make_request(conditions, files.prompts, fmt=FORMAT)
            for generator in generators:
                start = number * total + len(texts)
                texts += generator.draw(request, range(start, start + draws))
        except SettingError:
            # No text can satisfy the request: there is no proposal.
            texts = []
        found = _group(texts, crystal)
        records = [Record(each, name=str(i)) for i, (_, each, _, _) in enumerate(found)]
        predicted = _predict(predictor, records) if records else []
        groups = tuple(
            Group(tuple(members), text.text, text.log_probability, value, rms, _is_valid(each))
            for (text, each, members, rms), value in zip(found, predicted, strict=True)
        )
        return Drawn(name, len(crystal), _is_valid(crystal), total, groups)

    return draw


def _group(
    texts: Sequence[Attempt], target: Crystal
) -> list[tuple[Attempt, Crystal, list[int], float | None]]:
    """Return the groups: most probable text, its crystal, numbers of the draws, distance.

    Crystals of one space group and the same Wyckoff positions are compared with each other first;
    then the first of the groups, those of most texts, are compared across them. So a formula of
    which every text is another crystal does not take a minute.
    """
    order = sorted(range(len(texts)), key=lambda i: -texts[i].log_probability)
    crystals = {i: FORMAT.decode(texts[i].text).crystal for i in order}
    kept = [(i, crystal) for i in order if (crystal := crystals[i]) is not None]
    peers = FormulaGroup.of_crystals([target, *(each for _, each in kept)], DIFFCSP_TOLERANCES)
    keys = [_ORBITS.findall(texts[i].text) for i, _ in kept]
    members: dict[int, list[int]] = {}
    for row in range(1, len(kept) + 1):
        same = (k for k in members if keys[k - 1] == keys[row - 1] and peers.match(k, row))
        members.setdefault(next(same, row), []).append(row)
    merged: dict[int, list[int]] = {}
    for place, row in enumerate(sorted(members, key=lambda k: (-len(members[k]), k))):
        near = merged if place < _COMPARED else ()
        first = next((k for k in near if peers.match(k, row)), row)
        merged.setdefault(first, []).extend(members[row])
    groups = []
    for rows in merged.values():
        best = min(rows)
        number, crystal = kept[best - 1]
        distance = rms_distance(crystal, target) if peers.match(0, best) else None
        groups.append((texts[number], crystal, sorted(kept[k - 1][0] for k in rows), distance))
    return groups


def _predict(predictor: Any, records: Sequence[Record]) -> list[float]:
    found = predictor.predict(records, [_PREDICTED])[_PREDICTED]
    values = found.values if found.means is None else found.means
    return [round(float(x), 5) if np.isfinite(x) else 10.0 for x in values.tolist()]


def _is_valid(crystal: Crystal) -> bool:
    return is_valid(crystal, _validity())


@cache
def _validity() -> ValiditySettings:
    rule = load_protocol("csp-mp20").stages["validity"]
    assert isinstance(rule, ValiditySettings)
    return rule


def potential_energies(
    drawn: Sequence[Drawn],
    weights: Weights,
    potential: str,
    file: Path,
    workers: int,
    report: Callable[[int, int], None],
) -> dict[str, float]:
    """Return the energies in eV/atom of the first proposals as they were drawn, by their texts.

    Args:
        drawn: for each target.
        weights: of the ranking without energies, whose first `MAX_PROPOSALS` get one.
        potential: its name.
        file: to which each energy is appended; those in it are not computed again.
        workers: processes.
        report: called with the numbers of energies that are known, and of all.
    """
    wanted = [group for each in drawn for group in islice(weights.ranked(each, {}), MAX_PROPOSALS)]
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    known: dict[str, float | None] = dict(json.loads(line) for line in lines)
    left = {i: group for i, group in enumerate(wanted) if group.text not in known}
    crystals = {i: group.crystal for i, group in left.items()}
    limits = RelaxationLimits(steps=0)
    with (
        closing(iter_relaxations(crystals, potential, limits, workers)) as relaxed,
        file.open("a", encoding="utf-8") as out,
    ):
        for i, one in relaxed:
            energy = None if one.energy is None else one.energy / len(crystals[i])
            known[left[i].text] = energy
            out.write(json.dumps([left[i].text, energy]) + "\n")
            out.flush()
            report(len(known), len(wanted))
    return {text: energy for text, energy in known.items() if energy is not None}

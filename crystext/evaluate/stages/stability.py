"""Relaxation by a potential, and energy above the hull of known phases.

Samples that are no crystal or cannot be relaxed count as failures; so do those with an element that
the hull lacks.

`metastable` and `stable` are of the number alone, as published rates are. `stability` takes into
account what the hull knows of a crystal's chemical system: below the hull of too few phases a
crystal is `stable` by its number and `no_evidence` by its verdict (`energies.stability`). Both are
reported, so that the rates can be compared with published ones and read with their evidence.

Where the protocol's potential is M3GNet and neither a cache nor the Hub has it, CHGNet relaxes, and
the report says so. An evaluation keeps to the potential that it was begun with.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crystext.data.source import checksum
from crystext.energies.hull import Hull
from crystext.energies.hull_sources import open_hull, shipped_file
from crystext.energies.potentials import (
    AUTO,
    PotentialChoice,
    choose_potential,
    load_potential_once,
    potential_identity,
)
from crystext.energies.relax import RelaxationLimits
from crystext.energies.relaxation_files import RelaxedSet, relaxed_structure
from crystext.energies.relaxation_run import relax_all
from crystext.energies.stability import StabilityResult, StabilityVerdict, assess_stability
from crystext.evaluate.funnel import ENERGY_REQUESTED
from crystext.evaluate.protocol import Protocol
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import EvaluationOptions, Stage, StageContext
from crystext.io.write import cif
from crystext.runtime.provenance import installed_versions

_POTENTIAL_FILE = "potential.txt"
"""The name of the potential that an evaluation was begun with, where it was not asked for."""


class StabilityStage(Stage):
    """Energies above the hull."""

    name, title = "stability", "relaxation"
    columns = (
        ENERGY_REQUESTED,
        "relaxation",
        "relaxation_steps",
        "converged",
        "energy_ev_per_atom",
        "e_form_ev_per_atom",
        "e_above_hull_ev_per_atom",
        "not_in_hull",
        "metastable",
        "stable",
        "candidate",
        "verdict",
        "decomposition",
        "hull_evidence",
        "phases_in_system",
        "phases_with_all_elements",
        "relaxed_cif",
    )
    version = 3
    libraries = ("ase", "chgnet", "matgl", "pymatgen", "scipy", "torch")

    def settings(self, context: StageContext) -> dict[str, Any]:
        """Return what tells potential, hull and limits from others, and how many are relaxed."""
        return {
            "limits": asdict(_relaxation_limits(context)),
            "potential": potential_identity(_potential_choice(context).source),
            "hull": _checksum_or_name(shipped_file(_hull_name(context)) or _hull_name(context)),
            "relaxed": _relaxation_count(context),
        }

    def measure(self, context: StageContext, result: StageResult) -> None:
        """Relax, and place what has an energy."""
        rules = context.protocol.stability
        assert rules is not None
        # What is missing is told before hours are spent.
        hull, choice = open_hull(_hull_name(context)), _potential_choice(context)
        potential = load_potential_once(choice.source)
        hull.check_comparable(potential.name, potential.scale)
        count = _relaxation_count(context)
        attempts = context.sample_set.samples[:count]
        _record_potential(context, potential.name)
        relaxations = relax_all(
            {i: crystal for i, crystal in context.crystals.items() if i < count},
            _relaxation_folder(context),
            potential=choice.source,
            limits=_relaxation_limits(context),
            workers=context.workers,
            report=context.report_progress,
        )
        rows = tuple(
            relaxed_structure(a.name, relaxations.get(i), a.failure) for i, a in enumerate(attempts)
        )
        judged = assess_stability(
            RelaxedSet(potential.name, potential.scale, rows),
            hull,
            metastable=rules.metastable,
            stable=rules.stable,
        )
        _fill_columns(result, judged, len(context), rules.metastable, rules.stable)
        outcomes = [relaxations[i].outcome.name if i in relaxations else None for i in range(count)]
        result.columns["relaxation"] = outcomes + [None] * (len(context) - count)
        result.note = _note(potential.name, hull, count, len(context), choice.reason)
        _add_metrics(result, count, rules.source, rules.metastable, rules.stable)


def _fill_columns(
    result: StageResult,
    results: list[StabilityResult],
    n_samples: int,
    metastable: float,
    stable: float,
) -> None:
    """Fill in a value per attempt, None for those whose energies were not asked for."""
    values: dict[str, list[Any]] = {
        name: [None] * n_samples for name in StabilityStage.columns if name != ENERGY_REQUESTED
    }
    for i, one in enumerate(results):
        row, position = one.relaxed, one.position
        values["verdict"][i] = one.verdict.label
        values["relaxation_steps"][i] = row.steps
        values["converged"][i] = row.converged
        if row.crystal is None or row.energy is None or position is None:
            continue
        values["relaxed_cif"][i] = cif(row.crystal, row.name)
        values["energy_ev_per_atom"][i] = row.energy / len(row.crystal)
        values["e_form_ev_per_atom"][i] = position.formation_energy
        values["not_in_hull"][i] = " ".join(position.unknown_elements) or None
        if (above := position.above_hull) is not None:
            values["e_above_hull_ev_per_atom"][i] = above
            values["metastable"][i] = above < metastable
            values["stable"][i] = above < stable
            values["candidate"][i] = one.verdict is StabilityVerdict.CANDIDATE
        if (phases := position.phases) is not None:
            values["decomposition"][i] = str(phases.mixture)
            values["hull_evidence"][i] = phases.evidence.label
            values["phases_in_system"][i] = phases.in_system
            values["phases_with_all_elements"][i] = phases.with_all_elements
    result.columns |= values
    result.columns[ENERGY_REQUESTED] = [i < len(results) for i in range(n_samples)]


def _add_metrics(
    result: StageResult, n_requested: int, source: str, metastable: float, stable: float
) -> None:
    columns = result.columns

    def true(name: str) -> int:
        return sum(value is True for value in columns[name])

    def given(name: str) -> list[float]:
        return [value for value in columns[name] if value is not None]

    above = given("e_above_hull_ev_per_atom")
    result.add_proportion(
        "metastable",
        f"metastable, below {metastable:g} eV/atom above the hull",
        true("metastable"),
        n_requested,
        better="higher",
        source=source,
    )
    result.add_proportion(
        "stable",
        f"stable, below {stable:g} eV/atom",
        true("stable"),
        n_requested,
        better="higher",
        source=source,
        note="by the number alone, as published rates are",
    )
    # The words of the verdicts are counted, because `metastable` is of the number alone.
    verdicts = Counter(verdict for verdict in columns["verdict"] if verdict is not None)
    result.add_proportion(
        "candidate",
        "candidates, below the hull with evidence",
        verdicts[StabilityVerdict.CANDIDATE.label],
        n_requested,
        better="higher",
        note="the hull has the composition, or two compounds of exactly these elements",
    )
    result.add_proportion(
        "metastable_with_evidence",
        "metastable or candidates, with evidence",
        verdicts[StabilityVerdict.CANDIDATE.label] + verdicts[StabilityVerdict.METASTABLE.label],
        n_requested,
        better="higher",
    )
    result.add_proportion(
        "no_evidence",
        "near or below the hull, without evidence",
        verdicts[StabilityVerdict.NO_EVIDENCE.label],
        n_requested,
        better="lower",
        note="the hull has too few compounds of these elements to tell",
    )
    result.add_proportion(
        "relaxed", "with an energy", len(given("energy_ev_per_atom")), n_requested
    )
    result.add_proportion(
        "converged", "relaxed to the limit of the forces", true("converged"), n_requested
    )
    result.add_proportion(
        "unknown",
        "unknown, an element is not in the hull",
        sum(value is not None for value in columns["not_in_hull"]),
        n_requested,
        better="lower",
    )
    steps = [
        step
        for step, energy in zip(
            columns["relaxation_steps"], columns["energy_ev_per_atom"], strict=True
        )
        if energy is not None
    ]
    result.add_mean(
        "steps",
        "steps of relaxation",
        steps,
        nonnegative=True,
        better="lower",
        note="of those with an energy",
    )
    result.add_mean(
        "e_above_hull",
        "energy above the hull",
        above,
        unit="eV/atom",
        better="lower",
        note="of those with one",
    )
    result.add_histogram("e_above_hull", "energy above the hull", above, unit="eV/atom")
    outcomes = [x for x in columns["relaxation"] if x is not None]
    evidence = [x for x in columns["hull_evidence"] if x is not None]
    result.add_label_counts(
        "hull_evidence",
        "what the hull knows of the chemical system",
        {x: evidence.count(x) for x in evidence},
    )
    result.add_label_counts("verdicts", "verdicts", verdicts)
    result.add_label_counts(
        "relaxation", "how relaxations ended", {x: outcomes.count(x) for x in outcomes}
    )


def _note(potential: str, hull: Hull, n_relaxed: int, n_samples: int, reason: str) -> str:
    of = (
        ""
        if n_relaxed == n_samples
        else f" The first {n_relaxed:,} of {n_samples:,} samples are relaxed."
    )
    energies = hull.potential or "DFT with MP2020 corrections"
    error = "" if hull.error is None else f", good to about {hull.error:.3f} eV/atom"
    return (
        f"Relaxed with {potential}; hull {hull.name} of {hull.date or 'unknown date'}, "
        f"{len(hull.compounds):,} compounds, energies of {energies}{error}.{of}"
        f"{f' Potential: {reason}.' if reason else ''}"
    )


def potential_for_protocol(
    protocol: Protocol, options: EvaluationOptions, cache: Path
) -> PotentialChoice:
    """Return the potential that is asked for, or that of the protocol; CHGNet where M3GNet is not.

    Args:
        protocol: the protocol.
        options: what is asked for in place of its own.
        cache: folder in which the evaluation has noted what it was begun with.
    """
    assert protocol.stability is not None
    asked = options.potential
    if asked not in (None, AUTO):
        return choose_potential(asked)
    named = protocol.stability.potential
    if named != "m3gnet":
        return choose_potential(named)
    return choose_potential(AUTO, _recorded_potential(cache))


def _potential_choice(context: StageContext) -> PotentialChoice:
    return potential_for_protocol(context.protocol, context.options, context.cache)


def _recorded_potential(cache: Path) -> str | None:
    """Return the name of the potential that an evaluation was begun with."""
    try:
        return (cache / _POTENTIAL_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _record_potential(context: StageContext, name: str) -> None:
    """Note the potential where it was chosen and not asked for."""
    if context.options.potential in (None, AUTO):
        context.cache.mkdir(parents=True, exist_ok=True)
        (context.cache / _POTENTIAL_FILE).write_text(name + "\n", encoding="utf-8")


def _hull_name(context: StageContext) -> str:
    assert context.protocol.stability is not None
    return context.options.hull or context.protocol.stability.hull


def _relaxation_count(context: StageContext) -> int:
    """Return how many attempts are relaxed, from the first."""
    assert context.protocol.stability is not None
    wanted = context.options.relax or context.protocol.stability.crystals
    return len(context) if wanted is None else min(wanted, len(context))


def _relaxation_limits(context: StageContext) -> RelaxationLimits:
    rules = context.protocol.stability
    assert rules is not None
    return RelaxationLimits(fmax=rules.fmax, steps=rules.steps)


def _checksum_or_name(source: str | Path) -> str:
    """Return the checksum of a file or folder, and any other name as it is."""
    return checksum(Path(source)) if Path(source).exists() else str(source)


def _relaxation_folder(context: StageContext) -> Path:
    """Return where relaxations are kept, which serve another hull and other attempts, too."""
    potential = potential_identity(_potential_choice(context).source)
    library = "chgnet" if potential == "chgnet" else "matgl"
    made_from = {
        "potential": potential,
        "limits": asdict(_relaxation_limits(context)),
        "libraries": installed_versions(("ase", library, "torch")),
    }
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return context.cache / f"relaxations-{digest[:16]}"

"""Relaxation by a potential, and energy above the hull of known phases.

Samples that are not crystals or cannot be relaxed count as failures; so do those with an element
that the hull lacks.

`metastable` and `stable` are by the number alone, as published rates are. `stability` takes into
account what the hull knows of a crystal's chemical system: a crystal below a hull of too few phases
is `stable` by its number and `no_evidence` by its stability (`energies.stability`). Both are
reported, so that the rates can be compared with published ones and read with their evidence.

If the protocol's potential is M3GNet and neither a cache nor the Hub has it, CHGNet is used, and
the report says so. An evaluation keeps the potential that it started with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field

from crystext.energies.hull import Hull
from crystext.energies.hull_sources import open_hull
from crystext.energies.potentials import (
    AUTO,
    PotentialChoice,
    PotentialSource,
    choose_potential,
    load_potential_once,
    potential_identity,
    potential_name,
)
from crystext.energies.relax import RelaxationLimits
from crystext.energies.relaxation_files import RelaxedSet, relaxed_structure
from crystext.energies.relaxation_run import relax_all
from crystext.energies.stability import Stability, StabilityResult, assess_stability
from crystext.evaluate.relaxation_cache import hull_identity, relaxation_folder
from crystext.evaluate.report import ProtocolDeviation
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import (
    ABOVE_HULL,
    ENERGY_REQUESTED,
    RELAXED_CIF,
    CitedSettings,
    EvaluationOptions,
    FunnelCriterion,
    ReportSection,
    Stage,
    StageContext,
)
from crystext.io.write import cif
from crystext.metrics.base import Better
from crystext.runtime.files import write_text
from crystext.runtime.wording import without_sign_of_zero

_POTENTIAL_FILE = "potential.txt"
"""File with the name of the potential that an evaluation started with, if none was given."""


_AFFECTED = frozenset({"stability", "metastable", "stable", "msun", "sun", "candidates"})


class StabilitySettings(CitedSettings):
    """When a crystal is stable."""

    potential: str
    hull: str
    """See `energies.hull_sources`."""
    fmax: float = Field(default=0.1, gt=0)
    """eV/Å."""
    steps: int = Field(default=500, ge=1)
    crystals: int | None = Field(default=None, ge=1)
    """Number of samples that are relaxed, from the first; None takes all."""
    metastable: float = 0.1
    """eV/atom above the hull, not reached."""
    stable: float = 0.0
    """eV/atom above the hull, not reached."""


def _energy_caption(energy: float) -> str:
    return f"{without_sign_of_zero(f'{energy:.3f}')} eV/atom above the hull"


class StabilityStage(Stage[StabilitySettings]):
    """Energies above the hull."""

    name, title = "stability", "relaxation"
    settings_model = StabilitySettings
    section = ReportSection(
        "Energy above the hull",
        captions={ABOVE_HULL: _energy_caption},
        gallery_order={ABOVE_HULL: "the lowest energy above the hull"},
        gallery_note="Crystals are shown as they were sampled, before relaxation; energies above "
        "the hull are of the relaxed ones.",
    )
    funnel = (
        FunnelCriterion("metastable", "metastable", ("metastable",), True),
        FunnelCriterion("stable", "stable", ("stable",), True),
        FunnelCriterion(
            "msun", "metastable, unique and novel", ("metastable", "unique", "novel"), True
        ),
        FunnelCriterion(
            "sun", "stable, unique and novel (S.U.N.)", ("stable", "unique", "novel"), True
        ),
        FunnelCriterion(
            "candidates",
            "of S.U.N., those whose elements the hull knows",
            ("candidate", "unique", "novel"),
            True,
        ),
    )
    affected_by = {  # noqa: RUF012
        "training": frozenset({"msun", "sun", "candidates"}),
        "potential": _AFFECTED,
        "hull": _AFFECTED,
        "relaxed": _AFFECTED,
    }
    export_columns = (ABOVE_HULL, "e_form_ev_per_atom")
    columns = (
        ENERGY_REQUESTED,
        "relaxation",
        "relaxation_steps",
        "converged",
        "energy_ev_per_atom",
        "e_form_ev_per_atom",
        "e_above_hull_ev_per_atom",
        "unknown_elements",
        "metastable",
        "stable",
        "candidate",
        "stability",
        "decomposition",
        "hull_evidence",
        "phases_in_system",
        "phases_with_all_elements",
        RELAXED_CIF,
    )
    version = 5
    libraries = ("ase", "chgnet", "matgl", "pymatgen", "scipy", "torch")

    def dependencies(self, context: StageContext, settings: StabilitySettings) -> dict[str, Any]:
        """Return the identity of potential, hull and limits, and the number of relaxed samples."""
        hull = context.options.hull or settings.hull
        return {
            "limits": asdict(relaxation_limits(settings)),
            "potential": potential_identity(_potential_choice(context, settings).source),
            "hull": hull_identity(hull),
            "relaxed": _relaxation_count(settings, context.options, len(context)),
        }

    def deviations(
        self,
        settings: StabilitySettings,
        options: EvaluationOptions,
        n_samples: int,
        cache: Path | None,
    ) -> Iterable[ProtocolDeviation]:
        """Return whether another potential, hull or number was used."""
        source: PotentialSource | None = options.potential
        if cache is not None:
            source = potential_for_settings(settings, options, cache).source
        if source is not None:
            taken, named = potential_name(source), potential_name(settings.potential)
            if taken != named:
                text = f"potential {taken} in place of {named}"
                yield ProtocolDeviation(what="potential", text=text)
        if options.hull not in (None, settings.hull):
            text = f"hull {Path(str(options.hull)).name} in place of {settings.hull}"
            yield ProtocolDeviation(what="hull", text=text)
        expected = _relaxation_count(settings, EvaluationOptions(), n_samples)
        # The command line rejects `--relax 0`.
        relaxed = expected if options.relax is None else min(options.relax, n_samples)
        if relaxed != expected:
            text = f"energies of the first {relaxed:,} samples in place of {expected:,}"
            yield ProtocolDeviation(what="relaxed", text=text)

    def measure(
        self, context: StageContext, settings: StabilitySettings, result: StageResult
    ) -> None:
        """Relax, and compute energies above the hull."""
        # A missing hull or potential is an error before hours of relaxation.
        hull = open_hull(context.options.hull or settings.hull)
        choice = _potential_choice(context, settings)
        potential = load_potential_once(choice.source)
        hull.check_comparable(potential.name, potential.scale)
        count = _relaxation_count(settings, context.options, len(context))
        samples = context.sample_set.samples[:count]
        _record_potential(context, potential.name)
        limits = relaxation_limits(settings)
        relaxations = relax_all(
            {i: crystal for i, crystal in context.crystals.items() if i < count},
            relaxation_folder(context.cache, choice.source, limits),
            potential=choice.source,
            limits=limits,
            workers=context.workers,
            report=context.report_progress,
        )
        rows = tuple(
            relaxed_structure(sample, relaxations.get(i)) for i, sample in enumerate(samples)
        )
        judged = assess_stability(
            RelaxedSet(potential.name, potential.scale, rows),
            hull,
            metastable=settings.metastable,
            stable=settings.stable,
        )
        _fill_columns(result, judged, len(context), settings)
        outcomes = [relaxations[i].outcome.name if i in relaxations else None for i in range(count)]
        result.columns["relaxation"] = outcomes + [None] * (len(context) - count)
        result.note = _note(potential.name, hull, count, len(context), choice.reason)
        _add_proportions(result, count, settings)
        _add_energies(result)
        for column, title in (
            ("hull_evidence", "phases of the hull in the chemical system"),
            ("stability", "stability"),
            ("relaxation", "how relaxations ended"),
        ):
            result.add_label_counts(column, title, Counter(_values(result, column)))


def _fill_columns(
    result: StageResult,
    results: list[StabilityResult],
    n_samples: int,
    settings: StabilitySettings,
) -> None:
    """Fill in a value per sample, None for those whose energies were not requested."""
    values: dict[str, list[Any]] = {
        name: [None] * n_samples for name in StabilityStage.columns if name != ENERGY_REQUESTED
    }
    for i, one in enumerate(results):
        row, position = one.relaxed, one.position
        values["stability"][i] = one.stability.label
        values["relaxation_steps"][i] = row.steps
        values["converged"][i] = row.converged
        if row.crystal is None or row.energy is None or position is None:
            continue
        values[RELAXED_CIF][i] = cif(row.crystal, row.name)
        values["energy_ev_per_atom"][i] = row.energy / len(row.crystal)
        values["e_form_ev_per_atom"][i] = position.formation_energy
        values["unknown_elements"][i] = " ".join(position.unknown_elements) or None
        if (above := position.above_hull) is not None:
            values["e_above_hull_ev_per_atom"][i] = above
            values["metastable"][i] = above < settings.metastable
            values["stable"][i] = above < settings.stable
            values["candidate"][i] = one.stability is Stability.CANDIDATE
        if (phases := position.phases) is not None:
            values["decomposition"][i] = str(phases.mixture)
            values["hull_evidence"][i] = phases.evidence.label
            values["phases_in_system"][i] = phases.in_system
            values["phases_with_all_elements"][i] = phases.with_all_elements
    result.columns |= values
    result.columns[ENERGY_REQUESTED] = [i < len(results) for i in range(n_samples)]


def _add_proportions(result: StageResult, n_requested: int, settings: StabilitySettings) -> None:
    source = settings.source

    def true(name: str) -> int:
        return sum(value is True for value in result.columns[name])

    # Stabilities are counted by their labels, because `metastable` is by the number alone.
    stabilities = Counter(_values(result, "stability"))
    candidates = stabilities[Stability.CANDIDATE.label]
    metastable = stabilities[Stability.METASTABLE.label]
    proportions: list[tuple[str, str, int, Better | None, str, str]] = [
        ("metastable", f"metastable, below {settings.metastable:g} eV/atom above the hull",
         true("metastable"), "higher", source, ""),
        ("stable", f"stable, below {settings.stable:g} eV/atom",
         true("stable"), "higher", source, "by the number alone, as published rates are"),
        ("candidate", "candidates, below the hull with evidence", candidates, "higher", "",
         "the hull has the composition, or two compounds of exactly these elements"),
        ("metastable_with_evidence", "metastable or candidates, with evidence",
         candidates + metastable, "higher", "", ""),
        ("no_evidence", "near or below the hull, without evidence",
         stabilities[Stability.NO_EVIDENCE.label], "lower", "",
         "the hull has too few compounds of these elements to tell"),
        ("relaxed", "with an energy", len(_values(result, "energy_ev_per_atom")), None, "", ""),
        ("converged", "relaxed to the limit of the forces", true("converged"), None, "", ""),
        ("unknown", "unknown, an element is not in the hull",
         len(_values(result, "unknown_elements")), "lower", "", ""),
    ]  # fmt: skip
    for name, title, count, better, cited, note in proportions:
        result.add_proportion(
            name, title, count, n_requested, better=better, source=cited, note=note
        )


def _add_energies(result: StageResult) -> None:
    columns, above = result.columns, _values(result, ABOVE_HULL)
    relaxed = zip(columns["relaxation_steps"], columns["energy_ev_per_atom"], strict=True)
    steps = [step for step, energy in relaxed if energy is not None]
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


def _values(result: StageResult, column: str) -> list[Any]:
    """Return the values of a column, without those of samples that have none."""
    return [value for value in result.columns[column] if value is not None]


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


def potential_for_settings(
    settings: StabilitySettings, options: EvaluationOptions, cache: Path
) -> PotentialChoice:
    """Return the potential that is given, or the protocol's; CHGNet where M3GNet is missing.

    Args:
        settings: of the protocol.
        options: options given in place of its own.
        cache: folder in which the evaluation recorded its potential.
    """
    if options.potential not in (None, AUTO):
        return choose_potential(options.potential)
    if settings.potential != "m3gnet":
        return choose_potential(settings.potential)
    return choose_potential(AUTO, _recorded_potential(cache))


def _potential_choice(context: StageContext, settings: StabilitySettings) -> PotentialChoice:
    return potential_for_settings(settings, context.options, context.cache)


def _recorded_potential(cache: Path) -> str | None:
    """Return the name of the potential that an evaluation started with."""
    try:
        return (cache / _POTENTIAL_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _record_potential(context: StageContext, name: str) -> None:
    """Record the potential if it was chosen and not given."""
    if context.options.potential in (None, AUTO):
        write_text(context.cache / _POTENTIAL_FILE, name + "\n")


def _relaxation_count(
    settings: StabilitySettings, options: EvaluationOptions, n_samples: int
) -> int:
    """Return the number of samples to relax, from the first."""
    wanted = options.relax or settings.crystals
    return n_samples if wanted is None else min(wanted, n_samples)


def relaxation_limits(settings: StabilitySettings) -> RelaxationLimits:
    """Return when a relaxation is converged, and when it is stopped."""
    return RelaxationLimits(fmax=settings.fmax, steps=settings.steps)


STAGE = StabilityStage()

"""Relaxation by a potential, and energy above the hull of known phases.

Samples that are no crystal or cannot be relaxed count as failures; so do those with an element that
the hull lacks.

`metastable` and `stable` are of the number alone, as published rates are. `verdict` takes into
account what the hull knows of a crystal's chemical system: below the hull of too few phases a
crystal is `stable` by its number and `no_evidence` by its verdict (`energies.verdict`). Both are
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
from crystext.energies.potentials import AUTO, Choice, choose, identity_of, loaded
from crystext.energies.relax import Limits
from crystext.energies.relaxation_files import RelaxedSet, relaxed_row
from crystext.energies.relaxation_run import relax_all
from crystext.energies.stability import StabilityResult, Verdict, judge
from crystext.evaluate.funnel import ENERGY_ASKED
from crystext.evaluate.protocol import Protocol
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Options, Stage
from crystext.io.write import cif
from crystext.runtime.provenance import versions

_POTENTIAL = "potential.txt"
"""The name of the potential that an evaluation was begun with, where it was not asked for."""


class Stability(Stage):
    """Energies above the hull."""

    name, title = "stability", "relaxation"
    columns = (
        ENERGY_ASKED,
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

    def settings(self, context: Context) -> dict[str, Any]:
        """Return what tells potential, hull and limits from others, and how many are relaxed."""
        return {
            "limits": asdict(_limits(context)),
            "potential": identity_of(_choice(context).source),
            "hull": _identity(shipped_file(_hull(context)) or _hull(context)),
            "relaxed": _count(context),
        }

    def measure(self, context: Context, found: Findings) -> None:
        """Relax, and place what has an energy."""
        rules = context.protocol.stability
        assert rules is not None
        # What is missing is told before hours are spent.
        hull, choice = open_hull(_hull(context)), _choice(context)
        potential = loaded(choice.source)
        hull.check(potential.name, potential.scale)
        count = _count(context)
        attempts = context.input.attempts[:count]
        _record(context, potential.name)
        relaxations = relax_all(
            {i: crystal for i, crystal in context.crystals.items() if i < count},
            _folder(context),
            potential=choice.source,
            limits=_limits(context),
            workers=context.workers,
            report=context.report,
        )
        rows = tuple(
            relaxed_row(a.name, relaxations.get(i), a.fault) for i, a in enumerate(attempts)
        )
        judged = judge(
            RelaxedSet(potential.name, potential.scale, rows),
            hull,
            metastable=rules.metastable,
            stable=rules.stable,
        )
        _fill(found, judged, len(context), rules.metastable, rules.stable)
        outcomes = [relaxations[i].outcome.name if i in relaxations else None for i in range(count)]
        found.columns["relaxation"] = outcomes + [None] * (len(context) - count)
        found.note = _note(potential.name, hull, count, len(context), choice.reason)
        _figures(found, count, rules.source, rules.metastable, rules.stable)


def _fill(
    found: Findings, judged: list[StabilityResult], whole: int, metastable: float, stable: float
) -> None:
    """Fill in a value per attempt, None for those whose energies were not asked for."""
    values: dict[str, list[Any]] = {
        name: [None] * whole for name in Stability.columns if name != ENERGY_ASKED
    }
    for i, one in enumerate(judged):
        row, position = one.relaxed, one.position
        values["verdict"][i] = one.verdict.word
        values["relaxation_steps"][i] = row.steps
        values["converged"][i] = row.converged
        if row.crystal is None or row.energy is None or position is None:
            continue
        values["relaxed_cif"][i] = cif(row.crystal, row.name)
        values["energy_ev_per_atom"][i] = row.energy / len(row.crystal)
        values["e_form_ev_per_atom"][i] = position.formation_energy
        values["not_in_hull"][i] = " ".join(position.unknown) or None
        if (above := position.above_hull) is not None:
            values["e_above_hull_ev_per_atom"][i] = above
            values["metastable"][i] = above < metastable
            values["stable"][i] = above < stable
            values["candidate"][i] = one.verdict is Verdict.CANDIDATE
        if (phases := position.phases) is not None:
            values["decomposition"][i] = str(phases.mixture)
            values["hull_evidence"][i] = phases.evidence.word
            values["phases_in_system"][i] = phases.in_system
            values["phases_with_all_elements"][i] = phases.of_all_elements
    found.columns |= values
    found.columns[ENERGY_ASKED] = [i < len(judged) for i in range(whole)]


def _figures(found: Findings, asked: int, source: str, metastable: float, stable: float) -> None:
    columns = found.columns

    def true(name: str) -> int:
        return sum(value is True for value in columns[name])

    def given(name: str) -> list[float]:
        return [value for value in columns[name] if value is not None]

    above = given("e_above_hull_ev_per_atom")
    found.share(
        "metastable", f"metastable, below {metastable:g} eV/atom above the hull",
        true("metastable"), asked, better="higher", source=source,
    )  # fmt: skip
    found.share(
        "stable", f"stable, below {stable:g} eV/atom", true("stable"), asked, better="higher",
        source=source, note="by the number alone, as published rates are",
    )  # fmt: skip
    # The words of the verdicts are counted, because `metastable` is of the number alone.
    verdicts = Counter(verdict for verdict in columns["verdict"] if verdict is not None)
    found.share(
        "candidate", "candidates, below the hull with evidence",
        verdicts[Verdict.CANDIDATE.word], asked, better="higher",
        note="the hull has the composition, or two compounds of exactly these elements",
    )  # fmt: skip
    found.share(
        "metastable_with_evidence", "metastable or candidates, with evidence",
        verdicts[Verdict.CANDIDATE.word] + verdicts[Verdict.METASTABLE.word], asked,
        better="higher",
    )  # fmt: skip
    found.share(
        "no_evidence", "near or below the hull, without evidence",
        verdicts[Verdict.NO_EVIDENCE.word], asked, better="lower",
        note="the hull has too few compounds of these elements to tell",
    )  # fmt: skip
    found.share("relaxed", "with an energy", len(given("energy_ev_per_atom")), asked)
    found.share("converged", "relaxed to the limit of the forces", true("converged"), asked)
    found.share(
        "unknown", "unknown, an element is not in the hull",
        sum(value is not None for value in columns["not_in_hull"]), asked, better="lower",
    )  # fmt: skip
    steps = [
        step
        for step, energy in zip(
            columns["relaxation_steps"], columns["energy_ev_per_atom"], strict=True
        )
        if energy is not None
    ]
    found.mean("steps", "steps of relaxation", steps, nonnegative=True, better="lower",
               note="of those with an energy")  # fmt: skip
    found.mean("e_above_hull", "energy above the hull", above, unit="eV/atom", better="lower",
               note="of those with one")  # fmt: skip
    found.histogram("e_above_hull", "energy above the hull", above, unit="eV/atom")
    outcomes = [x for x in columns["relaxation"] if x is not None]
    evidence = [x for x in columns["hull_evidence"] if x is not None]
    found.counts(
        "hull_evidence", "what the hull knows of the chemical system",
        {x: evidence.count(x) for x in evidence},
    )  # fmt: skip
    found.counts("verdicts", "verdicts", verdicts)
    found.counts("relaxation", "how relaxations ended", {x: outcomes.count(x) for x in outcomes})


def _note(potential: str, hull: Hull, count: int, whole: int, reason: str) -> str:
    of = "" if count == whole else f" The first {count:,} of {whole:,} samples are relaxed."
    energies = hull.potential or "DFT with MP2020 corrections"
    error = "" if hull.error is None else f", good to about {hull.error:.3f} eV/atom"
    return (
        f"Relaxed with {potential}; hull {hull.name} of {hull.date or 'unknown date'}, "
        f"{len(hull.compounds):,} compounds, energies of {energies}{error}.{of}"
        f"{f' Potential: {reason}.' if reason else ''}"
    )


def potential_used(rules: Protocol, options: Options, cache: Path) -> Choice:
    """Return the potential that is asked for, or that of the protocol; CHGNet where M3GNet is not.

    Args:
        rules: the protocol.
        options: what is asked for in place of its own.
        cache: folder in which the evaluation has noted what it was begun with.
    """
    assert rules.stability is not None
    asked = options.potential
    if asked not in (None, AUTO):
        return choose(asked)
    named = rules.stability.potential
    if named != "m3gnet":
        return choose(named)
    return choose(AUTO, _recorded(cache))


def _choice(context: Context) -> Choice:
    return potential_used(context.protocol, context.options, context.cache)


def _recorded(cache: Path) -> str | None:
    """Return the name of the potential that an evaluation was begun with."""
    try:
        return (cache / _POTENTIAL).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _record(context: Context, name: str) -> None:
    """Note the potential where it was chosen and not asked for."""
    if context.options.potential in (None, AUTO):
        context.cache.mkdir(parents=True, exist_ok=True)
        (context.cache / _POTENTIAL).write_text(name + "\n", encoding="utf-8")


def _hull(context: Context) -> str:
    assert context.protocol.stability is not None
    return context.options.hull or context.protocol.stability.hull


def _count(context: Context) -> int:
    """Return how many attempts are relaxed, from the first."""
    assert context.protocol.stability is not None
    wanted = context.options.relax or context.protocol.stability.crystals
    return len(context) if wanted is None else min(wanted, len(context))


def _limits(context: Context) -> Limits:
    rules = context.protocol.stability
    assert rules is not None
    return Limits(fmax=rules.fmax, steps=rules.steps)


def _identity(source: str | Path) -> str:
    """Return the checksum of a file or folder, and any other name as it is."""
    return checksum(Path(source)) if Path(source).exists() else str(source)


def _folder(context: Context) -> Path:
    """Return where relaxations are kept, which serve another hull and other attempts, too."""
    potential = identity_of(_choice(context).source)
    library = "chgnet" if potential == "chgnet" else "matgl"
    made_from = {
        "potential": potential,
        "limits": asdict(_limits(context)),
        "libraries": versions(("ase", library, "torch")),
    }
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return context.cache / f"relaxations-{digest[:16]}"

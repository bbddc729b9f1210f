"""The phase diagram of a binary or ternary system, with the candidates on it.

Drawn by pymatgen's PDPlotter with Plotly, as data for Plotly's script, which is part of the page:
it needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crystext.chemistry.elements import ATOMIC_NUMBERS
from crystext.discover.candidates import RankedCandidate
from crystext.energies.hull import Hull

_SHOWN_ABOVE_HULL = 0.3
"""eV/atom; phases further above are left out."""

_CANDIDATES = "candidates"


@dataclass(frozen=True)
class PhaseDiagram:
    """A drawing."""

    system: str
    data: str
    """The figure of Plotly, as JSON."""
    description: str
    """For screen readers."""


def draw_phase_diagram(
    system: str, ranked: Sequence[RankedCandidate], extended: Hull
) -> PhaseDiagram | None:
    """Return the diagram of a chemical system; None unless it has two or three elements.

    Args:
        system: such as Li-O-P.
        ranked: candidates; those of other systems are left out.
        extended: the hull of the system, with the candidates.
    """
    elements = system.split("-")
    if len(elements) not in (2, 3):
        return None
    from pymatgen.analysis import phase_diagram as pd
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    compounds = extended.compounds
    inside = compounds.within([ATOMIC_NUMBERS[symbol] for symbol in elements]).tolist()
    phases = [(symbol, 0.0) for symbol in elements]
    phases += [
        (compounds.formula(i), float(compounds.energies[i]))
        for i in inside
        if not compounds.height_only[i]
    ]
    entries = []
    for formula, energy in phases:
        composition = Composition(formula)
        entries.append(pd.PDEntry(composition, energy * composition.num_atoms, name=formula))
    # The order of the axes is that of the elements.
    diagram = pd.PhaseDiagram(entries, [Element(symbol) for symbol in elements])
    figure = pd.PDPlotter(
        diagram, show_unstable=_SHOWN_ABOVE_HULL, backend="plotly", ternary_style="2d"
    ).get_plot()
    assert figure is not None, "Plotly draws a figure"
    drawing: dict[str, Any] = json.loads(figure.to_json())
    here = [row for row in ranked if set(row.candidate.crystal.symbols) <= set(elements)]
    drawing["data"].append(_candidate_points(here, elements))
    drawing["layout"] = {**drawing["layout"], "showlegend": False}
    return PhaseDiagram(
        system,
        json.dumps(drawing, sort_keys=True),
        f"Phase diagram of {system} with {len(here)} candidates",
    )


def _candidate_points(ranked: Sequence[RankedCandidate], elements: list[str]) -> dict[str, Any]:
    """Return the candidates as a trace of Plotly."""
    texts, fractions, energies = [], [], []
    for row in ranked:
        candidate = row.candidate
        symbols = candidate.crystal.symbols
        fractions.append([symbols.count(symbol) / len(symbols) for symbol in elements])
        energies.append(candidate.relaxed.judges[0].e_form)
        texts.append(f"{candidate.name}: {candidate.above_hull:.3f} eV/atom above the hull")
    trace: dict[str, Any] = {
        "name": _CANDIDATES,
        "mode": "markers",
        "text": texts,
        "hoverinfo": "text",
        "marker": {"symbol": "diamond", "size": 11, "color": "#c2541b",
                   "line": {"width": 1, "color": "#ffffff"}},
    }  # fmt: skip
    if len(elements) == 2:
        return trace | {"type": "scatter", "x": [x[1] for x in fractions], "y": energies}
    return trace | {
        "type": "scatterternary",
        **{axis: [x[i] for x in fractions] for i, axis in enumerate("abc")},
    }

"""Figures of reading files, of hulls, and of the reference sets that ship."""

from __future__ import annotations

import math

from evaluation.documents.sources import current, figure, independent, made_by, named, newest
from evaluation.result_file import INDEPENDENT


def _silently_another(outcomes: dict[str, int]) -> str:
    wrong = outcomes["another"] + outcomes["moved"]
    return "None" if wrong == 0 else f"{wrong:,}"


@figure("reading.symmetrized")
def symmetrized() -> str:
    """How many symmetrised CIFs are silently read as another crystal."""
    found, every = independent("reading_symmetrized"), independent("reading_every_setting")
    return (
        f"All {found['crystals']:,} crystals of MP-20 test, written as symmetrised CIFs in every "
        "kind of setting, with three, four and five decimals, with and without operations: "
        f"{_silently_another(found['outcomes']).lower()} of {found['files']:,} files was silently "
        "read as another crystal "
        f"{made_by(INDEPENDENT / 'reading_symmetrized.json', 'measure.reading_symmetrized')}. In "
        "every setting of their group, by the same script with `--every 9046 --pymatgen 0`, "
        f"{_silently_another(every['outcomes']).lower()} of {every['files']:,} files was "
        f"({named(INDEPENDENT / 'reading_every_setting.json')}). A file that gives the number of "
        "its group alone cannot say a setting other than the standard one: it is read in the "
        "standard setting with a note, or refused."
    )


@figure("reading.real_files")
def real_files() -> str:
    """The structure files of other packages."""
    found = independent("reading_real_files")
    wrong = len(found["silently_another"])
    return (
        f"The {found['structures']:,} structures in the source distributions of "
        f"{len(found['packages'])} packages, beside gemmi, pymatgen and ASE: "
        f"{wrong or 'none'} was silently read as another crystal "
        f"{made_by(INDEPENDENT / 'reading_real_files.json', 'measure.reading_real_files')}. Where "
        f"the three disagree, {named(INDEPENDENT / 'reading_real_files.md')} lists what each makes "
        "of the file."
    )


@figure("reading.speed")
def reading_speed() -> str:
    """Speed of reading beside pymatgen."""
    found = independent("reading_speed")["symmetrized_beside_pymatgen"]
    return (
        f"A symmetrised CIF takes {found['crystext_ms']:.1f} ms, where pymatgen takes "
        f"{found['other_ms']:.1f} ms "
        f"{made_by(INDEPENDENT / 'reading_speed.json', 'speed.reading_speed')}."
    )


@figure("hulls.table")
def hulls() -> str:
    """The hulls that can be named."""
    found = independent("mp2020_hull")
    error = found["error_where_the_label_is_hidden_ev_per_atom"]["mean_absolute"]
    mp2020 = made_by(INDEPENDENT / "mp2020_hull.json", "shipped_model.build_mp2020_hull")
    m3gnet = "`evaluation/results/independent_of_weights/m3gnet_hull*.json`"
    rows = [
        f"| `mp2020` (default) | {found['compounds']:,} compounds of the Materials Project on the "
        f"MP2020 scale, shipped; off by {error:.3f} eV/atom on average where a label is hidden "
        f"{mp2020} |",
        "| `mp2020-full` | the complete hull of the Materials Project of January 2023, downloaded "
        "once |",
        "| `m3gnet` | M3GNet's own energies of phases of up to 20 atoms, shipped "
        f"({m3gnet}, by `python -m evaluation.shipped_model.build_m3gnet_hull`) |",
        "| `self`, a table | the energies of the crystals themselves, or a table that `crystext "
        "hull --make` wrote |",
    ]
    return "\n".join(["| `--hull` | |", "|---|---|", *rows])


@figure("reference_sets")
def reference_sets() -> str:
    """How far figures with the sets that ship are from those with the original files."""
    apart = current("reference_sets")["largest_difference"]["apart"]
    # Rounded up, for it is a bound.
    bound = math.ceil(apart * 1e4) / 1e4
    path = newest("reference_sets")
    return (
        f"Figures with these sets equal those with the original files to {bound:.4f} "
        f"{made_by(path, 'shipped_model.compare_reference_sets')}."
    )

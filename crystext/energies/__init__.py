"""Energies by machine-learned potentials, and what they are compared with.

    from crystext import open_hull

    hull = open_hull()                                  # comes with the package; no network
    print(hull.phases_at({"Li": 2, "P": 1, "O": 3}).mixture)   # competing phases, shares of atoms
    position = hull.place(structure, energy)            # pymatgen, ASE or a Crystal; eV a cell
    print(position.above_hull, position.phases.evidence.value)

`hull.place` takes energies of PBE(+U) with MP2020 corrections; `corrections.EnergyCorrection`
says what other energies hold. A table of many relaxed crystals is judged by
`stability.assess_stability`:

    from crystext.energies.relaxation_files import read_relaxed
    from crystext.energies.stability import assess_stability

    for result in assess_stability(read_relaxed("relaxed"), hull):  # a folder of `crystext relax`
        print(result.relaxed.name, result.sentence(hull))
"""

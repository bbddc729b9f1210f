"""Energies by machine-learned potentials, and hulls to compare them with.

    from crystext import open_hull

    hull = open_hull()                                  # comes with the package; no network
    print(hull.phases_at({"Li": 2, "P": 1, "O": 3}).mixture)   # competing phases, by atoms
    position = hull.place(structure, energy)            # pymatgen, ASE or a Crystal; eV a cell
    print(position.above_hull, position.phases.evidence.value)

`hull.place` takes energies of PBE(+U) with MP2020 corrections; `corrections.EnergyCorrection`
describes other energies. `stability.assess_stability` assesses a table of many relaxed crystals:

    from crystext.energies.relaxation_files import read_relaxed
    from crystext.energies.stability import assess_stability

    for result in assess_stability(read_relaxed("relaxed"), hull):  # a folder of `crystext relax`
        print(result.relaxed.name, result.sentence(hull))
"""

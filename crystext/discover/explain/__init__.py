"""Explains one crystal: what speaks for it and against it, by model, charges, data and energies.

    explanation     all of it, put together
    charges         oxidation states and bond-valence sums of sites
    relatives       known crystals of the same formula, and of the same prototype
    describe        the explanation as text

Nothing here decides: each part is a measurement with its source.
"""

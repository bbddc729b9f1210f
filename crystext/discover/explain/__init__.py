"""Explains one crystal: what speaks for it and against it, by model, charges, data and energies.

    build           measures all of it
    explanation     the parts put together, as values and as text
    charges         oxidation states and bond-valence sums of sites
    relatives       known crystals of the same formula, and of the same prototype

Nothing here decides: each part is a measurement with its source.
"""

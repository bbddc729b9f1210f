"""A search for new crystals: from conditions to relaxed, checked and ranked candidates.

    settings        what a search depends on
    records         what is written of each text and each relaxed crystal
    arms            where the next texts are drawn: conditions, narrowed to what has low energies
    sampler         draws the texts of an arm
    checks          what a crystal must be before and after relaxing
    known_crystals  crystals that are known, and how new another one is
    history         what the rounds so far have found
    rounds          one round: sample, check, rank, relax, check again
    search          rounds until the budget is spent, in a folder that survives a kill
    candidates      the candidates of all rounds, ranked, on the hull with each other
    outputs, page, phase_diagram
                    the files of the folder

A round depends on the settings and on the rounds before it, never on a clock: the budget only
decides how many rounds there are.
"""

"""Generate crystals with a given formula and space group, and see which conditions they satisfy.

python examples/04_conditions.py [FORMULA [SPACE_GROUP [N]]]
"""

import sys

from crystext import CrystalLM

formula, space_group, n = (*sys.argv[1:], *("SrTiO3", "Pm-3m", "10")[len(sys.argv) - 1 :])

lm = CrystalLM.load()

# Both are enforced during sampling and checked in the crystal: atoms can happen to lie so that it
# has a higher symmetry. It is then sampled again, up to three times in all.
samples = lm.sample(
    int(n), composition=formula, space_group=space_group, max_attempts_per_sample=3, seed=0
)
print(samples)

for record in samples[0].conditions:
    print(f"{record.name}: requested {record.requested}, {record.handling}; found {record.actual}")

table = samples.to_dataframe()
print(table[["formula", "n_atoms", "density", "space_group", "space_group_satisfied", "attempts"]])
print("written to", samples.save("conditions.cif", symmetrized=True))

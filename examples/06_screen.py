"""Screen a chemical system: generate, remove duplicates, rank by the model's score, write POSCARs.

python examples/06_screen.py [SYSTEM [N [FOLDER]]]

The score is the log-probability of a crystal under the model, averaged over translations. It is
not an energy: it says which candidates to relax first.
"""

import sys

from crystext import CrystalLM, Samples

system, n, folder = (*sys.argv[1:], *("Na-Ti-O", "20", "candidates")[len(sys.argv) - 1 :])
KEPT = 5

lm = CrystalLM.load()
samples = lm.sample(
    int(n), chemical_system=system, n_atoms=(3, 12), e_above_hull=0.0, neutral=True, seed=0
)
distinct = samples.unique()
print(f"{len(samples)} sampled, {len(distinct)} distinct")

scores = lm.score_all(distinct, translations=4, chemical_system=system, e_above_hull=0.0)
# Without a formula, `neutral` is not enforced, but checked in each crystal.
results = [{r.name: r.satisfied for r in sample.conditions} for sample in distinct]
balanced = [result["neutral"] for result in results]
# Crystals whose oxidation states can balance come first, then the most probable ones.
ranked = sorted(
    zip(distinct, balanced, scores, strict=True), key=lambda row: (not row[1], -row[2].per_token)
)
for sample, balances, score in ranked[:KEPT]:
    space_group = sample.structure.get_space_group_info(0.1)[0]
    charges = "charges balance" if balances else "charges do not balance"
    print(f"{sample.index:4} {sample.formula:12} {space_group:10} {score.per_token:.3f} {charges}")

best = Samples(sample for sample, _, _ in ranked[:KEPT])
print("POSCARs in", best.save(folder, to="poscar"))

"""Structure prediction: does a crystal have the structure that it should have?

    match rate = #{i : prediction i fits target i} / number of targets
    RMSE       = mean over the pairs that fit of the RMS distance of their atoms / (V / N)^(1/3)

by pymatgen's StructureMatcher. With `both_valid` a pair fits only if prediction and target are both
valid in structure and composition: the rule of DiffCSP (Jiao et al., arXiv:2309.04475), under
which no method can pass the share of valid targets (.91 on MP-20 test).

What goes wrong otherwise: the RMSE is of those pairs that fit, so a method that fits only easy ones
looks more exact; and a prediction that failed, left out, raises the rate.
"""

from __future__ import annotations

from crystext.crystal import Crystal
from crystext.matching import DIFFCSP, Tolerances, reduce_for_matching
from crystext.properties import reduced_formula


def rms_distance(
    prediction: Crystal, target: Crystal, tolerances: Tolerances = DIFFCSP
) -> float | None:
    """Return the RMS distance of the atoms of two crystals that fit, else None.

    It is in units of (V / N)^(1/3), of the mean of both cells' volumes. A crystal too thin to be
    matched fits nothing.
    """
    if reduced_formula(prediction.numbers) != reduced_formula(target.numbers):
        return None
    if reduce_for_matching(prediction) is None or reduce_for_matching(target) is None:
        return None
    found = tolerances.matcher().get_rms_dist(prediction.structure, target.structure)
    return None if found is None else float(found[0])

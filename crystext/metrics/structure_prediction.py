"""Structure prediction: does a crystal have the structure that it should have?

    match rate = #{i : prediction i fits target i} / number of targets
    RMSE       = mean over the pairs that fit of the RMS distance of their atoms / (V / N)^(1/3)

by pymatgen's StructureMatcher, oxidation states ignored. Prediction and target fit if either can be
mapped on the other, and the smaller distance counts: what pymatgen answers may depend on the order
(see `matching`), and the published values take one. Enantiomorphs, as of P3_121 and P3_221, fit
each other. With `both_valid` a pair fits only if prediction and target are both
valid in structure and composition: the rule of DiffCSP (Jiao et al., arXiv:2309.04475), under
which no method can pass the rate of valid targets (.91 on MP-20 test).

What goes wrong otherwise: the RMSE is of those pairs that fit, so a method that fits only easy ones
looks more exact; and a prediction that failed, left out, raises the rate.
"""

from __future__ import annotations

from crystext.structures.crystal import Crystal
from crystext.structures.matching import DIFFCSP_TOLERANCES, MatchTolerances, reduce_for_matching
from crystext.structures.properties import reduced_formula


def rms_distance(
    prediction: Crystal, target: Crystal, tolerances: MatchTolerances = DIFFCSP_TOLERANCES
) -> float | None:
    """Return the RMS distance of the atoms of two crystals that fit, else None.

    It is in units of (V / N)^(1/3), of the mean of both cells' volumes, and the same whichever of
    the two is the target. A crystal too thin to be matched fits nothing.
    """
    if reduced_formula(prediction.numbers) != reduced_formula(target.numbers):
        return None
    if reduce_for_matching(prediction) is None or reduce_for_matching(target) is None:
        return None
    matcher, first, second = tolerances.matcher(), prediction.structure, target.structure
    both = (matcher.get_rms_dist(first, second), matcher.get_rms_dist(second, first))
    return min((float(found[0]) for found in both if found is not None), default=None)

"""Structure prediction: does a crystal match its target structure?

    match rate = #{i : prediction i fits target i} / number of targets
    RMSE       = mean over the pairs that fit of the RMS distance of their atoms / (V / N)^(1/3)

by pymatgen's StructureMatcher, oxidation states ignored. Prediction and target fit if either can be
mapped onto the other, and the smaller distance counts: pymatgen's result may depend on the order
(see `matching`), and published values use one order. Enantiomorphs, such as P3_121 and P3_221, fit
each other. With `both_valid` a pair fits only if prediction and target are both valid in structure
and composition: the rule of DiffCSP (Jiao et al., arXiv:2309.04475), under which no method can
exceed the rate of valid targets (.91 on MP-20 test).

What goes wrong otherwise: the RMSE is over the pairs that fit, so a method that fits only easy ones
looks more accurate; and leaving out failed predictions raises the rate.
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
    the two is the target. A crystal that is too thin for matching fits nothing.
    """
    if reduced_formula(prediction.numbers) != reduced_formula(target.numbers):
        return None
    if reduce_for_matching(prediction) is None or reduce_for_matching(target) is None:
        return None
    matcher, first, second = tolerances.matcher(), prediction.structure, target.structure
    both = (matcher.get_rms_dist(first, second), matcher.get_rms_dist(second, first))
    return min((float(found[0]) for found in both if found is not None), default=None)

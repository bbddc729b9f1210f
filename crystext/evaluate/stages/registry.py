"""The stages there are, in the order in which they run: a new one is a file and a line here."""

from __future__ import annotations

from crystext.evaluate.protocol import NAMES
from crystext.evaluate.stages.base import Stage
from crystext.evaluate.stages.conditioning import Conditioning
from crystext.evaluate.stages.coverage import Coverage
from crystext.evaluate.stages.distributions import Distributions
from crystext.evaluate.stages.ipt import Ipt
from crystext.evaluate.stages.novelty import Novelty
from crystext.evaluate.stages.prediction import Prediction
from crystext.evaluate.stages.stability import Stability
from crystext.evaluate.stages.validity import Validity

STAGES: tuple[Stage, ...] = (
    Validity(),
    Novelty(),
    Coverage(),
    Distributions(),
    Conditioning(),
    Prediction(),
    Ipt(),
    Stability(),
)

assert [s.name for s in STAGES] == [name for name in NAMES if name in {s.name for s in STAGES}]

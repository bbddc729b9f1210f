"""The stages there are, in the order in which they run: a new one is a file and a line here."""

from __future__ import annotations

from crystext.evaluate.protocol import STAGE_NAMES
from crystext.evaluate.stages.base import Stage
from crystext.evaluate.stages.conditioning import ConditioningStage
from crystext.evaluate.stages.coverage import CoverageStage
from crystext.evaluate.stages.distributions import DistributionsStage
from crystext.evaluate.stages.ipt import IptStage
from crystext.evaluate.stages.novelty import NoveltyStage
from crystext.evaluate.stages.prediction import PredictionStage
from crystext.evaluate.stages.stability import StabilityStage
from crystext.evaluate.stages.validity import ValidityStage

STAGES: tuple[Stage, ...] = (
    ValidityStage(),
    NoveltyStage(),
    CoverageStage(),
    DistributionsStage(),
    ConditioningStage(),
    PredictionStage(),
    IptStage(),
    StabilityStage(),
)

assert [s.name for s in STAGES] == [
    name for name in STAGE_NAMES if name in {s.name for s in STAGES}
]

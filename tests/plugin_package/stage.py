"""A stage of the evaluation: which crystals are small."""

from pydantic import Field

from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import CitedSettings, ReportSection, Stage, StageContext


class SizeSettings(CitedSettings):
    """The part of a protocol."""

    max_atoms: int = Field(gt=0)


class SizeStage(Stage[SizeSettings]):
    """Counts the crystals of at most so many atoms."""

    name = "size"
    title = "sizes of cells"
    settings_model = SizeSettings
    section = ReportSection("Sizes of cells")
    columns = ("small",)

    def measure(self, context: StageContext, settings: SizeSettings, result: StageResult) -> None:
        small = [len(crystal) <= settings.max_atoms for crystal in context.crystals.values()]
        result.columns["small"] = context.per_sample(small)
        result.add_proportion("small", "small cells", sum(small), len(context))


STAGE = SizeStage()

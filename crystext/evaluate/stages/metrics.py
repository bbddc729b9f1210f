"""Any metrics of the registry, by their names in the protocol: `metrics: [density, unique]`.

A metric that cannot be measured, because a reference set is missing or its code fails, is listed
with the reason instead of a value; the others are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import field_validator, model_serializer, model_validator

from crystext.errors import CrystextError, UserCodeError, did_you_mean
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import ReportSection, Stage, StageContext, StageSettings
from crystext.metrics.base import Metric, MetricInput, MetricResult
from crystext.metrics.intervals import Proportion
from crystext.metrics.registry import METRICS
from crystext.runtime.provenance import installed_versions


class MetricsSettings(StageSettings):
    """Which metrics are measured: a list of names."""

    names: tuple[str, ...]

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"names": value} if isinstance(value, list | tuple) else value

    @model_serializer
    def _to_list(self) -> list[str]:
        return list(self.names)

    @field_validator("names")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in METRICS:
                raise ValueError(
                    f"unknown metric {name!r}; the metrics are {', '.join(METRICS)}."
                    + did_you_mean(name, METRICS)
                )
        return tuple(dict.fromkeys(names))


class MetricsStage(Stage[MetricsSettings]):
    """Metrics by name."""

    name, title = "metrics", "metrics"
    settings_model = MetricsSettings
    section = ReportSection("Metrics")

    def dependencies(self, context: StageContext, settings: MetricsSettings) -> dict[str, Any]:
        """Return versions of the metrics, and checksums of the sets that they require."""
        metrics = [METRICS[name] for name in settings.names]
        libraries = tuple(sorted({name for metric in metrics for name in metric.libraries}))
        return {
            "versions": [metric.version for metric in metrics],
            "libraries": installed_versions(libraries),
            "sets": {
                role: known.sha256
                for role in ("reference", "training")
                if (known := _set_or_error(context, metrics, role)) is not None
                and not isinstance(known, CrystextError)
            },
        }

    def measure(
        self, context: StageContext, settings: MetricsSettings, result: StageResult
    ) -> None:
        """Measure each metric."""
        metrics = [METRICS[name] for name in settings.names]
        sets = {role: _set_or_error(context, metrics, role) for role in ("reference", "training")}
        samples = MetricInput(
            context.sample_set.samples,
            **{role: known for role, known in sets.items() if not _is_error(known)},
            workers=context.workers,
            cache=context.fingerprint_cache,
            report=context.report_progress,
        )
        for metric in metrics:
            missing = [sets[role] for role in metric.requires if _is_error(sets[role])]
            try:
                if missing:
                    raise missing[0]
                _add(result, metric, _compute(metric, samples), len(context))
            except CrystextError as error:
                result.add_value(
                    metric.name, metric.title, None, unit=metric.unit, better=metric.better,
                    source=metric.source, note=f"not measured: {error}",
                )  # fmt: skip


def _is_error(reference_set: Any) -> bool:
    return isinstance(reference_set, CrystextError)


def _set_or_error(context: StageContext, metrics: Sequence[Metric], role: str) -> Any:
    """Return a set, or why it is missing; None if no metric requires it."""
    if not any(role in metric.requires for metric in metrics):
        return None
    try:
        return context.reference_sets.get(role)
    except CrystextError as error:
        return error


def _compute(metric: Metric, samples: MetricInput) -> MetricResult:
    try:
        return metric.compute(samples)
    except CrystextError:
        raise
    except Exception as error:  # Plugins may raise anything.
        raise UserCodeError(f"{type(error).__name__}: {error}") from error


def _add(result: StageResult, metric: Metric, value: MetricResult, n_samples: int) -> None:
    """Add a metric's values: a column and their proportion or mean, or one number."""
    about: dict[str, Any] = {"better": metric.better, "source": metric.source}
    if isinstance(value, Proportion):
        result.add_proportion(metric.name, metric.title, value.count, value.total, **about)
    elif value is None or isinstance(value, int | float):
        result.add_value(metric.name, metric.title, value, unit=metric.unit, **about)
    elif len(value) != n_samples:
        raise UserCodeError(
            f"it returns {len(value)} values for {n_samples} samples; expected one for each sample"
        )
    else:
        # NumPy scalars as Python ones.
        values = [x.item() if hasattr(x, "item") else x for x in value]
        result.columns[f"metric_{metric.name}"] = values
        known = [x for x in values if x is not None]
        if known and all(x is True or x is False for x in known):
            result.add_proportion(metric.name, metric.title, sum(known), n_samples, **about)
        else:
            result.add_mean(metric.name, metric.title, known, unit=metric.unit, **about)
            if known:
                result.add_histogram(metric.name, metric.title, known, unit=metric.unit)


STAGE = MetricsStage()

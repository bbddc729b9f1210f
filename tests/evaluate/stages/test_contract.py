"""What holds for every stage of the registry, and for one of another distribution."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from crystext.data.store import write_store
from crystext.errors import SettingError, UserCodeError
from crystext.evaluate.protocol import load_protocol, parse_protocol
from crystext.evaluate.reference_sets import ReferenceSets, specify_reference_set
from crystext.evaluate.report import Report, read_report
from crystext.evaluate.run import evaluate_samples
from crystext.evaluate.samples import read_samples
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import EvaluationOptions, StageContext
from crystext.evaluate.stages.registry import STAGES, loadable_stages
from crystext.metrics.registry import METRICS
from crystext.structures.record import Record
from tests.evaluate.example_inputs import (
    BRASS,
    ROCK_SALT,
    TEXTS,
    chgnet_copy,
    write_run,
    write_table,
)

PARTS: dict[str, Any] = {
    **{
        name: part.model_dump()
        for protocol in ("csp-mp20", "mp20")
        for name, part in load_protocol(protocol).stages.items()
    },
    "ipt": {"source": "s", "crystals": 2, "translations": 2},
    "stability": {"source": "s", "potential": "chgnet", "hull": "mp2020", "steps": 1},
    "judges": {"source": "s", "known_crystals": 2, "max_error": 1},
    "metrics": list(METRICS),
}
"""Settings of each stage."""

CONDITIONS = [[{"name": "composition", "asked": "NaCl"}]] * len(TEXTS)

REQUIRED = (
    *("valid", "formula", "novelty_degree", "relaxed_cif", "metastable"),
    "e_above_hull_ev_per_atom",
)
"""Columns that stages require of others."""

each_stage = pytest.mark.parametrize("name", list(STAGES))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def options(name: str, tmp_path: Path, tiny_model: Path) -> EvaluationOptions:
    write_store(tmp_path / "train", {"train": [Record(BRASS, name="brass")]})
    known = write_table(tmp_path / "known.parquet", [ROCK_SALT, BRASS])
    targets = write_table(tmp_path / "targets.parquet", [ROCK_SALT] * len(TEXTS))
    return EvaluationOptions(
        reference=str(known), training=str(tmp_path / "train"), targets=str(targets),
        model=str(tiny_model), judges=(chgnet_copy,) if name == "judges" else (),
    )  # fmt: skip


def protocol(*names: str) -> dict[str, Any]:
    required = {column for name in names for column in STAGES[name].required_columns}
    providers = [stage.name for stage in loadable_stages() if required & set(stage.columns)]
    parts = {name: PARTS[name] for name in ("validity", *providers, *names)}
    return {"name": "contract", "title": "contract", **parts}


@each_stage
def test_settings_round_trip_through_yaml(name: str) -> None:
    before = parse_protocol(protocol(name))
    text = yaml.safe_dump(before.model_dump(mode="json", exclude_none=True))
    after = parse_protocol(yaml.safe_load(text))
    assert after.stages == before.stages
    assert isinstance(after.stages[name], STAGES[name].settings_model)


@each_stage
def test_a_stage_says_what_it_is(name: str) -> None:
    stage = STAGES[name]
    assert stage.name == name
    assert stage.title
    assert stage.section.heading
    own = {"index", "name", "parsed", "failure", "message", "notes", "formula", "n_atoms"}
    earlier = [STAGES[x] for x in list(STAGES)[: list(STAGES).index(name)]]
    assert set(stage.required_columns) <= own.union(*(x.columns for x in earlier))
    assert not set(stage.columns) & own.union(*(x.columns for x in earlier))
    section = stage.section
    for column in (*section.failures, *section.captions, *section.gallery_order):
        assert column in stage.columns
    assert set(stage.export_columns) <= set(stage.columns)


@each_stage
def test_a_stage_has_the_columns_and_metrics_that_it_promises(
    name: str, tmp_path: Path, options: EvaluationOptions
) -> None:
    run = write_run(tmp_path / "run", TEXTS, CONDITIONS)
    report = evaluate_samples(
        run, parse_protocol(protocol(name)), tmp_path / "out", only=[name], options=options
    )
    assert report.stages[name].state == "done"
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    assert set(STAGES[name].columns) <= set(table.columns)
    assert len(table) == len(TEXTS)
    metrics = [metric for metric in report.metrics if metric.stage == name]
    assert metrics
    for metric in metrics:
        assert metric.title
        assert metric.better or metric.source or metric.note or metric.unit or metric.total
        assert metric.total is not None or metric.stage == "metrics"
        if metric.value is not None and metric.low is not None and metric.high is not None:
            assert metric.low <= metric.value <= metric.high
    anchors = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f'<section id="{name}">' in anchors
    assert read_report(tmp_path / "out" / "report.json") == report


@each_stage
def test_a_stage_measures_failures_alone_or_says_why_not(
    name: str, tmp_path: Path, options: EvaluationOptions
) -> None:
    run = read_samples(write_run(tmp_path / "run", TEXTS, CONDITIONS))
    failures = replace(run, samples=tuple(x for x in run.samples if x.crystal is None))
    assert len(failures.samples) == 2
    targets = write_table(tmp_path / "two.parquet", [ROCK_SALT] * 2)
    rules = parse_protocol(protocol(name))
    roles = {"reference": options.reference, "training": options.training, "targets": str(targets)}
    context = StageContext(
        failures,
        rules.stages,
        options,
        ReferenceSets(
            {role: specify_reference_set(str(source), None) for role, source in roles.items()}
        ),
        {"energy_requested": [True, True], **{name: [None, None] for name in REQUIRED}},
        tmp_path / "work",
        tmp_path / "shared",
        1,
    )
    result = StageResult(name)
    STAGES[name].measure(context, rules.stages[name], result)
    assert set(STAGES[name].columns) <= set(result.columns)
    for column in result.columns.values():
        assert len(column) == 2
    if STAGES[name].uses_samples:
        assert not any(m.value for m in result.metrics if m.better == "higher" and m.total == 2)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution with a stage and metrics, as pip lays it out."""
    about = tmp_path / "site" / "heavy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[crystext.stages]\nheavy = heavy_of_others:HEAVY\nbroken = heavy_of_others:MISSING\n"
        "[crystext.metrics]\nheaviest = heavy_of_others:HEAVIEST\n"
        "raises = heavy_of_others:RAISES\nlight = heavy_of_others:LIGHT\n"
    )
    (tmp_path / "site" / "heavy_of_others.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for registry in (STAGES, METRICS):
        vars(registry).pop("_plugins", None)
    yield
    sys.modules.pop("heavy_of_others", None)
    for registry in (STAGES, METRICS):
        vars(registry).pop("_plugins", None)


PLUGIN = """
from pydantic import Field

from crystext.evaluate.stages.base import CitedSettings, FunnelCriterion, ReportSection, Stage
from crystext.metrics.base import Metric, per_crystal


class HeavySettings(CitedSettings):
    at_least: int = Field(gt=0)


def heaviest(crystal):
    return int(crystal.numbers.max())


class HeavyStage(Stage[HeavySettings]):
    name, title = "heavy", "heavy elements"
    settings_model = HeavySettings
    section = ReportSection("Heavy elements", captions={"heavy": "heavy: {}".format})
    columns = ("heavy",)
    required_columns = ("valid",)
    funnel = (FunnelCriterion("heavy", "heavy", ("valid", "heavy")),)

    def measure(self, context, settings, result):
        numbers = context.map_samples(heaviest)
        heavy = [None if z is None else z >= settings.at_least for z in numbers]
        result.columns["heavy"] = heavy
        result.add_proportion(
            "heavy", "with a heavy element", sum(x is True for x in heavy), len(context),
            better="lower", source=settings.source,
        )


HEAVY = HeavyStage()
HEAVIEST = Metric(
    name="heaviest", title="heaviest element", compute=per_crystal(heaviest), unit="e",
    source="Z", better="lower",
)
RAISES = Metric(name="raises", title="raises", compute=lambda samples: 1 / 0)
LIGHT = Metric(name="light", title="light", compute=lambda samples: [True], source="Z")
"""


def write_protocol(folder: Path, **parts: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({**protocol(), **parts}))
    return path


def measured(folder: Path, path: Path) -> Report:
    return evaluate_samples(write_run(folder / "run"), path, folder / "out")


@pytest.mark.usefixtures("plugin")
def test_a_stage_of_a_plugin_is_measured_with_its_settings(tmp_path: Path) -> None:
    path = write_protocol(tmp_path, heavy={"source": "ours", "at_least": 18})
    report = measured(tmp_path, path)
    metric = report.metric("heavy", "heavy")
    assert metric is not None
    assert (metric.value, metric.source) == (2 / 6, "ours")
    step = report.step("heavy")
    assert step is not None
    assert step.count == 1
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Heavy elements</h2>" in page
    assert "heavy: True" in page
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    assert table["heavy"].dropna().tolist() == [False, True, False, True]


@pytest.mark.usefixtures("plugin")
def test_settings_of_a_plugin_are_checked_by_its_schema(tmp_path: Path) -> None:
    path = write_protocol(tmp_path, heavy={"source": "ours", "at_lest": 18})
    with pytest.raises(SettingError, match="Did you mean 'at_least'"):
        load_protocol(path)
    with pytest.raises(SettingError, match="Did you mean 'heavy'"):
        load_protocol(write_protocol(tmp_path, heavi={}))


@pytest.mark.usefixtures("plugin")
def test_a_broken_plugin_stops_only_a_protocol_that_names_it(tmp_path: Path) -> None:
    report = measured(tmp_path, write_protocol(tmp_path))
    assert report.stages.keys() == {"validity"}
    with pytest.raises(UserCodeError, match=r"'broken'.*cannot be imported"):
        load_protocol(write_protocol(tmp_path, broken={"source": "x"}))


@pytest.mark.usefixtures("plugin")
def test_a_metric_of_a_plugin_is_measured_by_its_name(tmp_path: Path) -> None:
    names = ["heaviest", "raises", "light", "novel", "structure_valid"]
    report = measured(tmp_path, write_protocol(tmp_path, metrics=names))
    found = {metric.name: metric for metric in report.metrics if metric.stage == "metrics"}
    assert list(found) == names
    heaviest = found["heaviest"]
    assert (heaviest.value, heaviest.unit, heaviest.total) == ((17 + 30 + 17 + 19) / 4, "e", 4)
    assert (found["structure_valid"].value, found["structure_valid"].total) == (3 / 6, 6)
    for name, told in (
        ("raises", "division by zero"),
        ("light", "1 values for 6 samples"),
        ("novel", "--train"),
    ):
        assert found[name].value is None
        assert told in found[name].note
    table = pd.read_parquet(tmp_path / "out" / "structures.parquet")
    assert table["metric_heaviest"].dropna().tolist() == [17, 30, 17, 19]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "heaviest element" in page
    with pytest.raises(SettingError, match="Did you mean 'heaviest'"):
        load_protocol(write_protocol(tmp_path, metrics=["heavist"]))


@pytest.mark.parametrize("name", ["proposals", "stability", "judges"])
def test_a_stage_that_relaxes_depends_on_the_library_of_each_potential(name: str) -> None:
    assert {"ase", "chgnet", "matgl", "sevenn", "torch"} <= set(STAGES[name].libraries)

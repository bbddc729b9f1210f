from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from crystext.errors import RunError
from crystext.evaluate.html.write import write_page
from crystext.evaluate.report import ProtocolDeviation, Report
from crystext.evaluate.stage_result import StageResult
from crystext.structures.crystal import Crystal
from tests.evaluate.html.example_report import CRYSTALS, columns, report
from tests.evaluate.html.html_parser import Node, parse

ATTACK = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("page")
    return parse(write_page(report(), columns(), CRYSTALS, folder).read_text(encoding="utf-8"))


def cells(table: Node) -> list[list[str]]:
    rows = [row.children for row in table.all("tr")]
    return [[cell.text() for cell in row if isinstance(cell, Node)] for row in rows]


def test_a_page_loads_nothing_and_runs_its_own_script_only(page: Node) -> None:
    (style,), (script,) = page.all("style"), page.all("script")
    assert "url(" not in style.text()
    assert "@import" not in style.text()
    assert not script.attributes
    for name in ("link", "img", "iframe", "object", "base", "form"):
        assert page.all(name) == []
    (policy,) = [
        meta.attributes["content"]
        for meta in page.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(script.text().encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_names_and_texts_of_others_stay_text(tmp_path: Path) -> None:
    given = columns(
        name=[ATTACK] * len(CRYSTALS),
        failure=[ATTACK if c is None else None for c in CRYSTALS],
        message=[ATTACK] * len(CRYSTALS),
    )
    attacked = report(given, name=ATTACK)
    counted = attacked.counts[1].model_copy(update={"labels": [ATTACK, "1", "2"]})
    attacked = attacked.model_copy(
        update={"counts": [counted], "protocol_title": ATTACK, "reference_sets": {}}
    )
    text = write_page(attacked, given, CRYSTALS, tmp_path).read_text(encoding="utf-8")
    found = parse(text)
    assert len(found.all("script")) == 1
    assert found.all("img") == []
    assert found.all("h1")[0].text() == ATTACK
    assert ATTACK in found.by_id("failures").text()
    assert ATTACK in found.by_id("distributions").text()


def test_names_that_are_no_text_are_written_all_the_same(tmp_path: Path) -> None:
    given = columns(name=["file\udcff"] * len(CRYSTALS))
    assert write_page(report(given), given, CRYSTALS, tmp_path).is_file()


def test_the_funnel_stands_with_counts_intervals_and_formulas(page: Node) -> None:
    header, *rows = cells(page.by_id("funnel").all("table")[0])
    assert header[2:] == ["samples", "of", "proportion", "95% interval", "different formulas"]
    assert [row[0] for row in rows] == [step.title for step in report().funnel]
    assert rows[0][2:] == ["8", "8", "100.0%", "67.6% to 100.0%", "5"]
    assert rows[1][2:] == ["6", "8", "75.0%", "40.9% to 92.9%", "5"]


def test_every_figure_stands_in_its_stage(page: Node) -> None:
    for figure in report().metrics:
        rows = cells(page.by_id(figure.stage).all("table")[0])
        (row,) = [row for row in rows if row[0].startswith(figure.title)]
        assert figure.value is not None
        assert float(row[1]) == pytest.approx(figure.value, abs=1e-4)
        if figure.low is not None and figure.high is not None:
            assert [float(x) for x in row[2].split(" to ")] == pytest.approx(
                [figure.low, figure.high], abs=1e-4
            )


def test_ours_stand_above_what_is_published(page: Node) -> None:
    published = page.by_id("published")
    (gruver,) = [t for t in published.of_class("published") if "LLaMA-2" in t.text()][:1]
    _, ours, *others = cells(gruver)
    assert ours[0].startswith("samples.csv")
    assert ours[1].startswith("0.7500")
    assert ours[3] == "–"
    assert all(row[0].endswith("published") for row in others)
    assert "arxiv.org/abs/2402.04379" in {
        a.attributes["href"].removeprefix("https://") for a in published.all("a")
    }


def test_figures_of_another_reference_are_marked_beside_the_published(tmp_path: Path) -> None:
    told = "reference ref80.parquet of 80 crystals in place of MP-20 test"
    made = report().model_copy(
        update={"protocol_deviations": [ProtocolDeviation(what="reference", text=told)]}
    )
    found = parse(write_page(made, columns(), CRYSTALS, tmp_path).read_text(encoding="utf-8"))
    assert told in found.all("header")[0].text()
    (gruver,) = [t for t in found.of_class("published") if "LLaMA-2" in t.text()][:1]
    header, ours, *others = cells(gruver)
    marked = dict(zip(header, ours, strict=True))
    assert marked["Wasserstein elements ↓"] == "0.2500a"
    assert not marked["structure valid ↑"].startswith("0.7500a")
    assert all("a" not in cell for row in others for cell in row[1:])
    assert f"a {told}" in found.by_id("published").text()


def test_a_page_says_what_its_pictures_and_its_last_bins_are(page: Node, tmp_path: Path) -> None:
    assert "shown as they were sampled" in page.by_id("gallery").text()
    assert "first and the last bin count all that lies beyond" in page.by_id("distributions").text()
    given = {k: v for k, v in columns().items() if k != "e_above_hull_ev_per_atom"}
    without = parse(write_page(report(), given, CRYSTALS, tmp_path).read_text(encoding="utf-8"))
    assert "relaxed" not in without.by_id("gallery").text()


def test_what_was_not_measured_says_why(page: Node) -> None:
    assert "Not measured: no model is named" in page.by_id("ipt").text()


def test_failures_are_counted_with_examples(page: Node) -> None:
    rows = cells(page.by_id("failures").all("table")[0])
    example = "sample-2: line 3: no number; sample-5: line 3: no number"
    assert rows[1:] == [["BAD_NUMBER", "2", "25.0%", example]]


def test_charts_say_what_they_show_or_leave_it_to_the_table(page: Node) -> None:
    for svg in page.all("svg"):
        hidden = svg.attributes.get("aria-hidden") == "true"
        assert hidden or (svg.attributes["role"] == "img" and svg.all("title")[0].text())
    for canvas in page.all("canvas"):
        assert "Unit cell of" in canvas.attributes["aria-label"]
        assert canvas.attributes["tabindex"] == "0"
    for table in page.all("table"):
        assert table.all("caption")[0].text()


def test_links_within_the_page_lead_somewhere(page: Node) -> None:
    anchors = [a.attributes["href"] for a in page.all("nav")[0].all("a")]
    assert len(anchors) == len(set(anchors)) == len(page.all("section"))
    for anchor in anchors:
        assert page.by_id(anchor.removeprefix("#")).all("h2")


def test_a_report_with_nothing_measured_is_a_page_too(tmp_path: Path) -> None:
    bare = Report.model_validate(
        report().model_dump()
        | {
            "metrics": [],
            "histograms": [],
            "counts": [],
            "stages": {},
            "reference_sets": {},
            "funnel": [],
        }
    )
    found = parse(write_page(bare, {}, [None] * 8, tmp_path).read_text(encoding="utf-8"))
    assert [section.attributes["id"] for section in found.all("section")] == ["provenance"]


def test_a_page_of_many_large_crystals_stays_small(tmp_path: Path) -> None:
    n = 190
    large = Crystal(
        np.full(3, 20.0), np.full(3, 90.0), np.full(n, 14), np.random.default_rng(0).random((n, 3))
    )
    given = columns([large] * 26)
    path = write_page(report(given), given, [large] * 26, tmp_path)
    assert path.stat().st_size < 2_000_000


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"report\.html cannot be written"):
        write_page(report(), columns(), CRYSTALS, tmp_path / "file")


def test_styles_name_only_colours_that_the_page_defines(page: Node) -> None:
    style = page.all("style")[0].text()
    light, dark, printed = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    names = {frozenset(re.findall(r"(--[\w-]+):", block)) for block in (light, dark, printed)}
    assert len(names) == 1
    assert set(re.findall(r"var\((--[\w-]+)\)", style)) - {"--strength"} == set(*names)


def test_crystals_that_are_known_are_named_with_what_they_match(tmp_path: Path) -> None:
    given = columns(training_match=["mp-22862", *[None] * 6, "matbench_000171"])
    found = report(given)
    novelty = StageResult("novelty")
    novelty.add_proportion(
        "most_frequent_formula", "the most frequent formula's share", 2, 8, note="SrTiO3"
    )
    novelty.add_label_counts(
        "formulas", "most frequent formulas", {"SrTiO3": 1, "NaCl": 2}, kind="formula"
    )
    found = found.model_copy(
        update={
            "metrics": [*found.metrics, *novelty.metrics],
            "counts": [*found.counts, *novelty.label_counts],
        }
    )
    made = parse(write_page(found, given, CRYSTALS, tmp_path).read_text(encoding="utf-8"))
    (matches,) = made.of_class("matches")
    assert cells(matches)[1:] == [
        ["sample-0", "NaCl", "mp-22862"],
        ["sample-7", "NaCl", "matbench_000171"],
    ]
    assert "match a crystal of the training set: 2" in made.by_id("novelty").text()
    assert made.by_id("gallery").text().count("matches mp-22862 of the training set") == 1
    subscripts = [x.text() for x in made.by_id("novelty").all("sub")]
    assert subscripts == ["3", "3"], "in the note and in the table"


def test_no_zero_has_a_sign_and_one_atom_is_no_atoms(tmp_path: Path) -> None:
    given = columns(e_above_hull_ev_per_atom=[-0.0001] * len(CRYSTALS))
    made = parse(write_page(report(given), given, CRYSTALS, tmp_path).read_text(encoding="utf-8"))
    told = made.by_id("gallery").text()
    assert "0.000 eV/atom" in told
    assert "-0.000" not in told
    assert "; 1 atom;" in told, "of iron"
    assert "1 atoms" not in told


def test_energies_of_some_say_of_how_many() -> None:
    some = {"energy_requested": [True] * 3 + [False] * 5, "metastable": [True, True] + [None] * 6}
    titles = [step.title for step in report(columns(**some)).funnel]
    assert "metastable, of the 3 that were relaxed" in titles
    every = {"energy_requested": [True] * 8, "metastable": [True, True] + [None] * 6}
    assert "metastable, of all samples" in [step.title for step in report(columns(**every)).funnel]

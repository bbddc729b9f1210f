"""A benchmark from a suite to results and a page, with published answers and rows."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crystext.benchmark.entries import read_answers
from crystext.benchmark.measure import BenchmarkOptions, benchmark
from crystext.benchmark.published import column_value, suite_tables
from crystext.benchmark.results import BenchmarkResults, TaskResult, read_results
from crystext.benchmark.run import RunSettings
from crystext.benchmark.suite import SplitSpec, load_suite, suite_names
from crystext.errors import InputError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from tests.benchmark.example_suite import rows, write_example, write_table
from tests.chat_models import write_chat_model


def llama(shared_data: Path, out: Path, **options: object) -> TaskResult:
    """Score the ten published answers of Llama-2 about band gaps of MP."""
    mp = shared_data / "llm4mat_mp"
    answers = mp / "llama_answers_band_gap_zero_shot.json"
    chosen = BenchmarkOptions(tasks=["mp/band_gap"], **options)  # type: ignore[arg-type]
    (result,) = benchmark("llm4mat", mp, [], out, chosen, answers=[answers]).tasks
    return result


def test_published_answers_score_as_published(shared_data: Path, tmp_path: Path) -> None:
    compat = llama(shared_data, tmp_path / "a", is_compat=True, min_valid=5)
    assert (compat.n_valid, compat.n_test) == (7, 10)
    assert compat.metrics["mae"].value == pytest.approx(1.7459, abs=5e-5)
    assert compat.metrics["mad_over_mae"].value == pytest.approx(0.635, abs=5e-4)
    # Fewer than ten valid answers have no score there.
    assert llama(shared_data, tmp_path / "b", is_compat=True).status == "Inval."


def test_our_own_reading_of_them_keeps_the_failures(shared_data: Path, tmp_path: Path) -> None:
    strict = llama(shared_data, tmp_path / "out")
    assert (strict.n_valid, strict.n_test) == (7, 10)
    assert strict.failures == {"empty answer": 3}
    assert strict.metrics["mae"].value == pytest.approx(1.7459, abs=5e-5)
    assert strict.metrics["mad_over_mae"].value == pytest.approx(0.564, abs=5e-4)


def test_a_chat_model_is_asked_in_the_benchmarks_words(shared_data: Path, tmp_path: Path) -> None:
    mp = shared_data / "llm4mat_mp"
    options = BenchmarkOptions(
        input="cif",
        tasks=["mp/volume", "mp/is_stable"],
        few_shot=5,
        prompts=str(mp / "mp_inference_prompts_data.csv"),
        is_compat=True,
        settings=RunSettings(keeps_leaks=True),
        decoding=ChatDecoding(temperature=1.0, top_k=10, max_new_tokens=8),
    )
    model = write_chat_model(tmp_path / "chat")
    results = benchmark("llm4mat", mp, [f"chat:{model}"], tmp_path / "out", options)
    assert [task.n_test for task in results.tasks] == [10, 10]
    assert any("CIFs keep _cell_volume" in note for note in results.notes)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchmarkResults, Path]:
    """The example suite with two baselines."""
    folder = tmp_path_factory.mktemp("measured")
    suite = write_example(folder)
    return benchmark(suite, folder, ["mean", "forest"], folder / "out"), folder / "out"


def test_results_are_read_back_as_they_were_written(
    measured: tuple[BenchmarkResults, Path],
) -> None:
    results, out = measured
    assert read_results(out / "results.json") == results
    with pytest.raises(InputError, match="not the results of a benchmark"):
        read_results(out / "settings.json")


def test_a_forest_learns_what_the_mean_cannot(measured: tuple[BenchmarkResults, Path]) -> None:
    results, _ = measured
    score = {
        method: results.task_result("salts/gap", method).metrics["mad_over_mae"].value  # type: ignore[union-attr]
        for method in ("mean", "forest")
    }
    assert score["forest"] > 2 * score["mean"]  # type: ignore[operator]
    assert {(x.dataset, x.kind, x.n_tasks) for x in results.scores} == {
        ("salts", "number", 2),
        ("salts", "boolean", 1),
    }


class Tags(HTMLParser):
    """Counts tags, and fails on one that is closed wrongly."""

    VOID = ("meta", "path", "rect", "circle", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_shows_every_task(measured: tuple[BenchmarkResults, Path]) -> None:
    results, out = measured
    text = (out / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    # Two methods on two tasks of numbers.
    assert tags.count["figure"] == 4
    assert tags.count["circle"] > 0
    for task in results.tasks:
        assert task.task in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_names_and_answers_of_others_are_escaped(tmp_path: Path) -> None:
    suite = write_example(tmp_path, title="<script>alert(1)</script>")
    answers = tmp_path / "theirs.json"
    answers.write_text(json.dumps(["{gap: 1}", "<b>none</b>"] * 12))
    options = BenchmarkOptions(tasks=["salts/gap"])
    benchmark(suite, tmp_path, [], tmp_path / "out", options, answers=[answers])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page


@pytest.mark.parametrize("name", suite_names())
def test_published_rows_stand_on_tasks_of_their_suite(name: str) -> None:
    suite = load_suite(name)
    tables = suite_tables(name)
    assert bool(tables) == (name != "moleculenet")
    for table in tables:
        for column in table.columns.values():
            dataset, _, metric = str(column.ours).partition(".")
            kinds = {x.kind for x in suite.datasets[dataset].properties.values()}
            assert ("boolean" if metric.startswith("roc_auc") else "number") in kinds


def test_the_leaderboard_holds_what_was_published() -> None:
    (table,) = suite_tables("llm4mat")
    by_system = {row.system: row.values for row in table.rows}
    assert len(by_system) == 9
    assert by_system["LLM-Prop, description"]["mp"] == 9.116
    assert by_system["LLM-Prop, description"]["gnome"] == 16.224
    assert by_system["CGCNN, structure"]["qe_tb"] == 61.729
    assert "jarvis" not in by_system["Llama-2 7B chat, formula, zero-shot"]


def test_ours_stands_above_the_published_rows(shared_data: Path, tmp_path: Path) -> None:
    options = BenchmarkOptions(tasks=["steels_yield", "jdft2d"])
    folder = shared_data / "compositions"
    results = benchmark("matbench", folder, ["mean"], tmp_path / "out", options)
    (table,) = suite_tables("matbench")
    found = column_value(results, table.columns["steels_yield"], "mean")
    assert found is not None
    # The mean predictor of the leaderboard: the folds are the same.
    assert found.value == pytest.approx(229.74, abs=0.05)
    assert (found.n_valid, found.n_tasks, found.n_tasks_of_column) == (312, 1, 1)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index("229.7") < page.index("103.5")
    assert any("stand in train by" in note for note in results.notes)


def test_absent_data_sets_are_left_out_and_said(tmp_path: Path) -> None:
    table = rows(30)
    write_table(
        tmp_path / "expt_gap.csv", [{"formula": x["formula"], "target": x["gap"]} for x in table]
    )
    results = benchmark("matbench", tmp_path, ["mean"], tmp_path / "out")
    assert [task.task for task in results.tasks] == ["expt_gap/band_gap"]
    assert "glass" in results.notes[0]


def test_a_split_can_be_chosen_for_tables_alone(tmp_path: Path) -> None:
    suite = write_example(tmp_path, n_test=60)
    options = BenchmarkOptions(split=SplitSpec(kind="formula_folds"))
    with pytest.raises(SettingError, match="come divided"):
        benchmark(suite, tmp_path, ["mean"], tmp_path / "out", options)
    table = [*rows(40), *rows(40)]
    write_table(
        tmp_path / "expt_gap.csv", [{"formula": x["formula"], "target": x["gap"]} for x in table]
    )
    leaks = [
        sum(
            unit.leak.count
            for unit in benchmark("matbench", tmp_path, ["mean"], tmp_path / name, chosen).units
        )
        for name, chosen in (("a", BenchmarkOptions()), ("b", options))
    ]
    assert leaks[0] > 0
    assert leaks[1] == 0


def test_one_value_or_class_alone_is_a_message(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    table = [{**row, "gap": "2.0", "is_oxide": "True"} for row in rows(30)]
    for part in ("train", "test"):
        write_table(tmp_path / "salts" / f"{part}.csv", table)
    with pytest.raises(InputError, match="gap"):
        benchmark(
            suite, tmp_path, ["forest"], tmp_path / "a", BenchmarkOptions(tasks=["salts/gap"])
        )
    # Other tasks are measured all the same.
    results = benchmark(suite, tmp_path, ["forest"], tmp_path / "b")
    assert {unit.task for unit in results.failed} == {"salts/gap", "salts/is_oxide"}
    assert [task.task for task in results.tasks] == ["salts/volume"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[1, 2]", "answer 1 is 1; expected a text"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[]", "holds no answers"),
        ("a.json", "3", "where a list of answers is expected"),
        ("a.jsonl", '{"id": 1}', "expected a text, null, or an object"),
        ("a.json", '["1 eV"]', "1 answers without ids to salts/gap, which has 24 test records"),
        ("a.jsonl", '{"id": "x", "answer": "1"}', "no id of an answer is that of a test record"),
        ("a.jsonl", '{"task": "salts/volume", "answer": "1"}', "has no answers to salts/gap"),
    ],
)
def test_a_file_that_is_not_answers_to_the_task_is_refused(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    suite, path = write_example(tmp_path), tmp_path / name
    path.write_text(content)
    options = BenchmarkOptions(tasks=["salts/gap"])
    with pytest.raises(InputError) as raised:
        benchmark(suite, tmp_path, [], tmp_path / "out", options, answers=[path])
    assert message in str(raised.value)


def test_answers_belong_to_records_by_id_or_order(tmp_path: Path) -> None:
    suite = write_example(tmp_path)
    listed = tmp_path / "listed.json"
    listed.write_text(json.dumps({"gap": [f"{i} eV" for i in range(24)]}))
    named = tmp_path / "named.jsonl"
    lines = [{"id": f"row-{3 * i}", "answer": f"{i} eV"} for i in reversed(range(20))]
    named.write_text("\n".join(map(json.dumps, lines)))
    assert len(read_answers(named)) == 20
    options = BenchmarkOptions(tasks=["salts/gap"])
    benchmark(suite, tmp_path, [], tmp_path / "out", options, answers=[listed, named])
    found = {}
    for path in (tmp_path / "out" / "predictions").iterdir():
        values = [json.loads(line).get("value") for line in path.read_text().splitlines()]
        found["named" in path.name] = values
    assert found[False] == list(range(24))
    assert found[True] == [*range(20), None, None, None, None]

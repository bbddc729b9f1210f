"""Questions are asked once, graded each time, and no answer is left out of a rate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from crystext.benchmark.language.measure import (
    QuestionOptions,
    benchmark_questions,
    write_question_prompts,
)
from crystext.benchmark.language.results import read_question_results
from crystext.benchmark.language.suite import Selection, choose_questions
from crystext.errors import InputError, RunError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from tests.benchmark.language.example_questions import Arithmetic
from tests.chat_models import write_chat_model
from tests.chat_server import Reply, serving
from tests.conftest import ROOT

SUITE = Arithmetic()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("asked") / "model")


def test_the_oracle_is_right_and_a_constant_as_often_as_its_answer(tmp_path: Path) -> None:
    results = benchmark_questions(SUITE, tmp_path, ["oracle", "constant"], tmp_path / "out")
    oracle = results.task_result("even", "oracle")
    assert oracle is not None
    assert oracle.measures["accuracy"].value == 1
    constant = results.task_result("even", "constant")
    assert constant is not None
    score = constant.measures["accuracy"]
    assert score.value == pytest.approx(20 / 30)
    assert score.low is not None
    assert score.high is not None
    assert 0.4 < score.low < 20 / 30 < score.high < 0.9
    mean = results.mean("accuracy", "constant")
    assert mean is not None
    assert mean.score.value == pytest.approx((20 / 30 + 1 / 30) / 2)
    assert (mean.n_tasks, mean.n_tasks_of_suite) == (2, 2)
    # Only one of the tasks has a score of published code.
    assert mean.compat is None
    assert read_question_results(tmp_path / "out" / "results.json") == results


def test_invalid_answers_count_as_wrong_and_the_published_score_stands_beside(
    tmp_path: Path,
) -> None:
    answers = tmp_path / "theirs.jsonl"
    lines = [{"task": "sum", "id": "0", "answer": "2"}, {"task": "sum", "id": "1", "answer": "3"}]
    lines += [{"task": "sum", "id": "2", "answer": "9"}, {"task": "sum", "id": "3", "answer": "?"}]
    answers.write_text("\n".join(map(json.dumps, lines)))
    options = QuestionOptions(Selection(tasks=["sum"]))
    results = benchmark_questions(SUITE, tmp_path, [], tmp_path / "out", options, answers=[answers])
    result = results.task_result("sum", "theirs")
    assert result is not None
    assert (result.n, result.n_valid) == (30, 3)
    assert result.measures["accuracy"].value == pytest.approx(2 / 30)
    assert result.measures["error"].value == pytest.approx(5 / 3)
    assert result.problems == {"no answer": 26, "no number": 1}
    # Published code that drops what it cannot read finds the same answers far better.
    assert result.compat == {"accuracy": pytest.approx(2 / 3)}
    page = (tmp_path / "out" / "report.html").read_text()
    for words in ("3/30", "no number", "As the published code scores it", "a note"):
        assert words in page
    assert "Sums &lt;b&gt;and&lt;/b&gt; parity" in page


def test_a_model_is_not_asked_again_but_graded_anew(tmp_path: Path, model: Path) -> None:
    with serving(model) as server:
        method = f"chat:{server.source}#tiny"
        first = benchmark_questions(SUITE, tmp_path, [method], tmp_path / "out")
        assert len(server.requests) == 60
        again = benchmark_questions(SUITE, tmp_path, [method], tmp_path / "out")
        assert len(server.requests) == 60
    assert again.tasks == first.tasks


def test_what_was_answered_before_a_service_failed_is_not_asked_again(
    tmp_path: Path, model: Path
) -> None:
    with serving(model) as server:
        method, options = (
            f"chat:{server.source}#tiny",
            QuestionOptions(
                Selection(tasks=["sum", "even"]), ChatDecoding(max_new_tokens=3, batch_size=2)
            ),
        )
        source_fails = [Reply(400, "no")] * 99
        # The first part of 16 questions is answered, then the service refuses.
        usual_answer = server.answer

        def answer(body):
            text = usual_answer(body)
            if len(server.requests) == 16:
                server.scripted = source_fails
            return text

        server.answer = answer
        with pytest.raises(InputError, match="refuses the request"):
            benchmark_questions(SUITE, tmp_path, [method], tmp_path / "out", options)
        # Neither is the other task tried with a model that cannot be used.
        assert len(server.requests) <= 32
        server.answer, server.scripted = usual_answer, []
        server.requests.clear()
        results = benchmark_questions(SUITE, tmp_path, [method], tmp_path / "out", options)
        assert len(server.requests) == 60 - 16
    assert [task.n for task in results.tasks] == [30, 30]


def test_a_killed_run_keeps_its_answers(tmp_path: Path, model: Path) -> None:
    """`kill -9` while a model answers: the next run asks only what is missing."""
    code = f"""
        from pathlib import Path
        from crystext.benchmark.language.measure import benchmark_questions, QuestionOptions
        from crystext.benchmark.language.suite import Selection
        from crystext.inference.text_models.base import ChatDecoding
        from tests.benchmark.language.example_questions import Arithmetic
        options = QuestionOptions(Selection(), ChatDecoding(max_new_tokens=6, batch_size=1))
        benchmark_questions(Arithmetic(), Path("."), ["chat:{model}"], Path("out"), options)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    folder = tmp_path / "out" / "answers"

    def written() -> Sequence[str]:
        return [line for x in folder.glob("*.jsonl") for line in x.read_text().splitlines(True)]

    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        end = time.monotonic() + 120
        while len(written()) < 12 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    before = written()
    assert len(before) >= 12
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    after = written()
    assert len(after) == 60
    assert [x for x in before if x.endswith("\n")][:12] == after[:12]


def test_other_settings_and_other_questions_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    benchmark_questions(SUITE, tmp_path, ["oracle"], out, QuestionOptions(Selection(n=5)))
    for selection in (Selection(n=6), Selection(n=5, seed=1), Selection(n=5, is_compat=True)):
        with pytest.raises(RunError, match="with other settings"):
            benchmark_questions(SUITE, tmp_path, ["oracle"], out, QuestionOptions(selection))


def test_more_questions_include_fewer() -> None:
    questions = SUITE.questions(Path(), Selection()).by_task["sum"]
    few, more = (choose_questions(questions, Selection(n=n)) for n in (5, 12))
    assert len(few) == 5
    assert {x.id for x in few} < {x.id for x in more}
    assert few == [x for x in questions if x in few]
    assert choose_questions(questions, Selection(n=5, seed=1)) != few


def test_questions_go_out_and_answers_come_back_by_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    assert write_question_prompts(SUITE, tmp_path, path, Selection(n=4)) == 8
    asked = [json.loads(line) for line in path.read_text().splitlines()]
    assert asked[0]["messages"][0]["content"].endswith("+ 2 = ?")
    answers = tmp_path / "theirs.jsonl"
    answers.write_text(
        "\n".join(json.dumps({"task": x["task"], "id": x["id"], "answer": "no"}) for x in asked)
    )
    options = QuestionOptions(Selection(n=4))
    results = benchmark_questions(SUITE, tmp_path, [], tmp_path / "out", options, answers=[answers])
    assert [(task.n, task.n_valid) for task in results.tasks] == [(4, 0), (4, 4)]


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        ([], QuestionOptions(), "no method is given"),
        (["oracel"], QuestionOptions(), "Did you mean 'oracle'"),
        (["oracle", "oracle"], QuestionOptions(), "given twice"),
        (["oracle"], QuestionOptions(Selection(tasks=["summ"])), "Did you mean 'sum'"),
    ],
)
def test_bad_options_are_one_message(
    tmp_path: Path, methods: list[str], options: QuestionOptions, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        benchmark_questions(SUITE, tmp_path, methods, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()

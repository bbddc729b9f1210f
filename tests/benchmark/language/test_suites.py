"""What every suite of questions has to bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.benchmark.language.published import COMPAT_PREFIX, MEAN, suite_tables
from crystext.benchmark.language.suite import QUESTION_SUITES, QuestionSuite, Selection
from crystext.errors import InputError, SettingError

each_suite = pytest.mark.parametrize("suite", QUESTION_SUITES.values(), ids=list(QUESTION_SUITES))


@each_suite
def test_a_suite_describes_itself_its_tasks_and_its_data(suite: QuestionSuite) -> None:
    assert QUESTION_SUITES[suite.name] is suite
    assert suite.title
    assert suite.data
    assert list(suite.tasks) == [task.name for task in suite.tasks.values()]
    for task in suite.tasks.values():
        assert task.title
        assert task.measures[0].higher_is_better
        assert not task.measures[0].unit
    measured = {x.name for task in suite.tasks.values() for x in task.measures}
    assert set(suite.mean_measures) <= measured
    assert set(suite.mean_tasks) <= set(suite.tasks)


@each_suite
def test_published_columns_name_measures_of_the_suite(suite: QuestionSuite) -> None:
    for block in suite_tables(suite.name):
        for column in block.columns.values():
            task, _, name = str(column.ours).partition(".")
            name = name.removeprefix(COMPAT_PREFIX)
            measures = (
                suite.mean_measures
                if task == MEAN
                else [measure.name for measure in suite.tasks[task].measures]
            )
            assert name in measures


@each_suite
def test_its_own_words_are_shipped(suite: QuestionSuite, root: Path) -> None:
    if suite.prompts:
        assert (root / "prompts" / suite.prompts / "system.txt").is_file()
        with pytest.raises(SettingError, match="Did you mean"):
            suite.questions(root, Selection(prompts=suite.prompts[:-1]))


@each_suite
def test_a_folder_without_data_is_one_message(suite: QuestionSuite, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks|has no test\.jsonl"):
        suite.questions(tmp_path, Selection())

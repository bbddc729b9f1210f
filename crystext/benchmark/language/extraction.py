"""The suite `structured-extraction`: facts of texts as JSON, from three data sets.

    doping    materials, dopants, and which has which, of sentences
    mof1      materials of abstracts, with names, formulas, descriptions, phases, applications
    mof2      metal-organic frameworks of abstracts, likewise, with guests

Source: Dagdelen et al. (Nat. Commun. 15, 1418), as LLaMat (arXiv:2412.09560) asks it. Corrected:
every row counts, also one with nothing to say; names are compared whole; entries are matched one to
one, so that it counts which description belongs to which material.

Answers of a row that cannot be read miss everything, and are one spurious item.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from crystext.benchmark.language import compat_extraction, counts
from crystext.benchmark.language.compat import COMPAT
from crystext.benchmark.language.counts import UNREADABLE
from crystext.benchmark.language.data_files import find_files, read_rows
from crystext.benchmark.language.extraction_answers import (
    BASEMATS,
    DOPANTS,
    LINKS,
    Items,
    doping_items,
    entries,
    entry_items,
    parse_json,
)
from crystext.benchmark.language.suite import (
    QuestionSuite,
    Selection,
    SuiteQuestions,
    choose_questions,
    select_tasks,
)
from crystext.benchmark.questions import Grade, Measure, Question, QuestionTask
from crystext.errors import InputError
from crystext.inference.text_models.base import ChatDecoding
from crystext.runtime.templates import fill_template, read_templates

DEFAULT_PROMPTS = "structured-extraction"

_EXACT = Measure("exact", "all right")
_REQUEST = "Extract doping information from this sentence."
"""Ends the sentences of the published files."""
_FORM = "Here is elaborated"
"""Begins the paragraph on the form of an answer, which stands before or behind a text there."""


class ExtractionTask(QuestionTask):
    """What the tasks share: items by kind, and their F1. `Question.reference` is as published."""

    template: ClassVar[str]
    answer_begins: ClassVar[str]
    kinds: ClassVar[Mapping[str, str]]
    """Names of measures by the kind of an item."""

    def grade(self, question: Question, answer: str) -> Grade:
        """Grade the items that an answer states."""
        try:
            expected, given = self.items(question.reference, parse_json(answer, self.answer_begins))
        except InputError as error:
            expected, _ = self.items(question.reference, question.reference)
            given = {UNREADABLE: Counter([""])}
            return Grade(counts.count_items(expected, given) | {"exact": 0.0}, str(error))
        exact = {x: y for x, y in expected.items() if y} == {x: y for x, y in given.items() if y}
        return Grade(counts.count_items(expected, given) | {"exact": float(exact)})

    @abstractmethod
    def items(self, reference: Any, answered: Any) -> tuple[Items, Items]:
        """Return the right items and those of an answer.

        Raises:
            InputError: the answer has another form.
        """

    @abstractmethod
    def text(self, question: str) -> str:
        """Return the text that a published question is about."""

    def write_answer(self, question: Question) -> str:
        """Return the right answer as JSON."""
        return json.dumps(question.reference, ensure_ascii=False)

    def summarize(
        self, questions: Sequence[Question], grades: Sequence[Grade]
    ) -> Mapping[str, float]:
        """Return the F1 of all items, that of each kind, and how many answers are all right."""
        totals = counts.add_counts(grades)
        exact = sum(grade.values["exact"] for grade in grades) / len(grades)
        of_kinds = {name: totals.get(kind, counts.Counts()).f1 for kind, name in self.kinds.items()}
        return {"micro_f1": counts.micro_f1(totals), **of_kinds, "exact": exact}


class DopingTask(ExtractionTask):
    """Materials and dopants of a sentence."""

    name, title = "doping", "materials and dopants of sentences"
    template, answer_begins = "doping", "{"
    kinds: ClassVar[Mapping[str, str]] = {
        BASEMATS: "basemats_f1",
        DOPANTS: "dopants_f1",
        LINKS: "links_f1",
    }
    measures = (
        Measure("micro_f1", "F1 of all items"),
        Measure("basemats_f1", "F1 of materials"),
        Measure("dopants_f1", "F1 of dopants"),
        Measure("links_f1", "F1 of links"),
        _EXACT,
    )

    def items(self, reference: Any, answered: Any) -> tuple[Items, Items]:
        """Return materials, dopants and links."""
        return doping_items(reference), doping_items(answered)

    def text(self, question: str) -> str:
        """Return the sentence."""
        return question.replace(_REQUEST, "").strip()

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the published scores; see `compat_extraction`."""
        references = [question.reference for question in questions]
        return compat_extraction.doping_scores(zip(references, answers, strict=True))


class EntryTask(ExtractionTask):
    """Materials of an abstract, each with fields."""

    answer_begins = "[{"

    def __init__(self, name: str, title: str, template: str, fields: Mapping[str, str]) -> None:
        """Describe the task.

        Args:
            name: of the task.
            title: of the task.
            template: of the prompt set.
            fields: titles of the fields of an entry; the first whose whole text is linked to all
                others in the published scores.
        """
        self.name, self.title, self.template = name, title, template  # type: ignore[misc]
        self.fields = tuple(fields)
        self.kinds = {x: f"{x}_f1" for x in fields}  # type: ignore[misc]
        self.measures = (  # type: ignore[misc]
            Measure("micro_f1", "F1 of all items"),
            *(Measure(f"{x}_f1", f"F1 of {y}") for x, y in fields.items()),
            _EXACT,
        )

    def items(self, reference: Any, answered: Any) -> tuple[Items, Items]:
        """Return fields and values of entries that are matched one to one."""
        return entry_items(entries(reference, self.fields), entries(answered, self.fields))

    def text(self, question: str) -> str:
        """Return the abstract."""
        blocks = question.split("\n\n")
        return (blocks[1] if question.startswith(_FORM) and len(blocks) > 1 else blocks[0]).strip()

    def compat_scores(
        self, questions: Sequence[Question], answers: Sequence[str]
    ) -> Mapping[str, float]:
        """Return the published scores; see `compat_extraction`."""
        references = [question.reference for question in questions]
        return compat_extraction.entry_scores(
            zip(references, answers, strict=True),
            self.fields,
            self.fields[0],
            drops_unreadable=self.name == MOF1,
        )


MOF1 = "mof1"

_TASKS: tuple[ExtractionTask, ...] = (
    DopingTask(),
    EntryTask(
        MOF1,
        "materials of abstracts",
        "materials",
        {
            "formula": "formulas",
            "name": "names",
            "acronym": "acronyms",
            "description": "descriptions",
            "structure_or_phase": "structures and phases",
            "applications": "applications",
        },
    ),
    EntryTask(
        "mof2",
        "metal-organic frameworks of abstracts",
        "mofs",
        {
            "name_of_mof": "names",
            "mof_formula": "formulas",
            "mof_description": "descriptions",
            "guest_species": "guests",
            "applications": "applications",
        },
    ),
)


class StructuredExtraction(QuestionSuite):
    """Structured extraction, with corrected scores, and LLaMat's beside them."""

    name: ClassVar[str] = "structured-extraction"
    title: ClassVar[str] = "Structured extraction: doping, materials and frameworks"
    tasks: ClassVar[Mapping[str, QuestionTask]] = {task.name: task for task in _TASKS}
    data: ClassVar[str] = (
        "a folder with LLaMat's doping_test.jsonl, mof1_test.jsonl, mof2_test.jsonl"
    )
    licence: ClassVar[str] = (
        "Files of evaluation_codes in the repository M3RG-IITD/llamat (MIT), made from annotations "
        "of Dagdelen et al., Nat. Commun. 15, 1418 (2024). They come from your folder: this "
        "package has none."
    )
    decoding: ClassVar[ChatDecoding] = ChatDecoding(max_new_tokens=1024)
    compat: ClassVar[str] = COMPAT
    # Source: evaluation_codes/{doping,mof1,mof2}_run.py of M3RG-IITD/llamat: greedy, some 400
    # tokens beyond the length of one right answer, and no prompt of 2,048.
    compat_decoding: ClassVar[ChatDecoding] = ChatDecoding(max_new_tokens=500, max_length=2048)
    prompts: ClassVar[str] = DEFAULT_PROMPTS
    mean_measures: ClassVar[Sequence[str]] = ("micro_f1", "exact")

    def questions(self, data: Path, selection: Selection) -> SuiteQuestions:
        """Ask about all rows of the files that are there; see `QuestionSuite`.

        With `is_compat`, the words are those of the files.
        """
        names = select_tasks(self, selection.tasks)
        needed = {"system": frozenset[str](), **{x.template: frozenset({"text"}) for x in _TASKS}}
        templates = read_templates(
            selection.prompts or self.prompts, self.prompts, needed, kind=f"{self.name} prompts"
        )
        files = {name: f"{name}_test.jsonl" for name in names}
        paths, notes = find_files(data, files, requires_all=bool(selection.tasks))
        by_task = {}
        for task in _TASKS:
            if task.name in paths:
                asks = {} if selection.is_compat else templates
                questions = _questions(task, paths[task.name], asks)
                by_task[task.name] = choose_questions(questions, selection)
        return SuiteQuestions(by_task, notes)


def _questions(task: ExtractionTask, path: Path, templates: Mapping[str, str]) -> list[Question]:
    """Return the questions of a file; without templates, in its own words.

    Raises:
        InputError: a row is something else.
    """
    # Loads numpy, which the suite's title does not need.
    from crystext.tasks.chat_prompt import ChatPrompt

    questions = []
    for number, row in enumerate(read_rows(path, ("system", "question", "answer"))):
        answer = row["answer"]
        try:
            reference = json.loads(answer) if isinstance(answer, str) else answer
            task.items(reference, reference)
        except (ValueError, RecursionError, InputError) as error:
            reason = str(error) if isinstance(error, InputError) else "no JSON"
            raise InputError(
                f"{path}, question {number + 1}: its answer is not one of {task.name}: {reason}"
            ) from None
        if templates:
            text = task.text(str(row["question"]))
            words = fill_template(templates[task.template], {"text": text})
            prompt = ChatPrompt.of_question(words, templates["system"].strip())
        else:
            prompt = ChatPrompt.of_question(str(row["question"]), str(row["system"]))
        questions.append(Question(str(number), task.name, prompt, reference))
    return questions


STRUCTURED_EXTRACTION = StructuredExtraction()

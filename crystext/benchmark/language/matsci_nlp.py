"""The suite `matsci-nlp`: seven tasks on texts of materials science, from eight data sets.

Source: Song et al., MatSci-NLP (ACL 2023); LLaMat (arXiv:2412.09560) measures ten of its pairs of a
task and a data set, and so do the means here. The words whose labels are asked for are given, as in
both. What is corrected: words are told apart by their occurrence, invalid answers and missing words
are wrong, and the SOFC sentences are asked for what their labels say, which is whether a sentence
describes an experiment. LLaMat's prompts ask whether it is on SOFC research; `--compat llamat` asks
that, too, in our words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

from crystext.benchmark.language.compat import COMPAT
from crystext.benchmark.language.data_files import find_files
from crystext.benchmark.language.label_tasks import (
    LabelTask,
    TextLabelTask,
    WordLabelTask,
    word_key,
)
from crystext.benchmark.language.matsci_nlp_files import (
    AnnotatedFile,
    LabelledText,
    read_actions,
    read_classes,
    read_labels_by_word,
    read_relation_lines,
    read_tagged_tokens,
)
from crystext.benchmark.language.suite import (
    QuestionSuite,
    Selection,
    SuiteQuestions,
    choose_questions,
    select_tasks,
)
from crystext.benchmark.questions import Question, QuestionTask
from crystext.inference.text_models.base import ChatDecoding
from crystext.runtime.templates import fill_template, read_templates

DEFAULT_PROMPTS = "matsci-nlp"

TEMPLATES: Mapping[str, frozenset[str]] = {
    "system": frozenset(),
    "entities": frozenset({"text", "words", "labels"}),
    "slots": frozenset({"text", "words", "labels"}),
    "actions": frozenset({"text", "words", "labels"}),
    "roles": frozenset({"text", "words", "labels", "event", "trigger"}),
    "relation": frozenset({"text", "first", "second", "labels"}),
    "glass": frozenset({"text"}),
    "experiment": frozenset({"text"}),
    "topic": frozenset({"text"}),
}
"""Templates of a prompt set of this suite, with their placeholders."""

YES_NO = ("yes", "no")


class _Source(NamedTuple):
    """Where the questions of a task come from."""

    file: str
    template: str
    read: Callable[[Path], Iterator[LabelledText]]
    labels: Sequence[str] = ()
    """All labels, in the order of LLaMat's lists, by which its code decides between equal
    distances; empty takes those of the file."""
    compat_template: str = ""


def _spell(kinds: str, prefixes: str = "bi") -> list[str]:
    return [f"{prefix}-{kind}" for kind in kinds.split() for prefix in prefixes]


_MATSCHOLAR = _spell("mat pro dsc spl apl smt cmt")
_SOFC_ENTITIES = _spell("material device experiment value")
_SOFC_FIELDS = (
    "i-device b-voltage b-anode_material b-cathode_material b-time_of_operation "
    "i-working_temperature b-conductivity i-fuel_used i-interlayer_material i-time_of_operation "
    "i-anode_material i-current_density b-degradation_rate i-resistance i-conductivity "
    "b-current_density b-working_temperature i-thickness i-experiment_evoking_word "
    "b-open_circuit_voltage i-degradation_rate b-electrolyte_material i-open_circuit_voltage "
    "i-electrolyte_material b-fuel_used b-power_density i-power_density b-interlayer_material "
    "b-thickness b-device b-experiment_evoking_word i-cathode_material b-resistance "
    "i-support_material i-voltage b-support_material"
).split()
_COMICS = "material doping sc value process characterization element property main".split()
_ACTIONS = "cooling heating mixing non-altering purification reaction shaping starting".split()
_BATTERY = ("capacity", "voltage", "coulombic efficiency", "conductivity", "energy")

SC_COMICS, PROCEDURES = "sc_comics.json", "synthesis_procedures.json"


def _annotated(kind: str, path: Path) -> Iterator[LabelledText]:
    return getattr(AnnotatedFile(path), kind)()  # type: ignore[no-any-return]


_ENTITIES, _RELATIONS, _EVENTS = (
    partial(_annotated, kind) for kind in ("entities", "relations", "events")
)

_TASKS: dict[LabelTask, _Source] = {
    WordLabelTask("ner/matscholar", "entities of abstracts (Matscholar)"): _Source(
        "matscholar.json", "entities", read_labels_by_word, _MATSCHOLAR
    ),
    WordLabelTask("ner/sofc_token", "entities of experiments on fuel cells"): _Source(
        "sofc_token.json",
        "entities",
        partial(read_tagged_tokens, label_column="token_labels"),
        _SOFC_ENTITIES,
    ),
    WordLabelTask("ner/sc_comics", "entities of abstracts on superconductors"): _Source(
        SC_COMICS, "entities", _ENTITIES, _COMICS
    ),
    TextLabelTask("pc/glass_non_glass", "whether a paragraph is on inorganic glass"): _Source(
        "glass_non_glass.json",
        "glass",
        partial(read_classes, text_column="Abstract", label_column="Label"),
        YES_NO,
    ),
    WordLabelTask("sf/sofc_token", "quantities and materials of fuel cells"): _Source(
        "sofc_token.json",
        "slots",
        partial(read_tagged_tokens, label_column="slot_labels"),
        _SOFC_FIELDS,
    ),
    WordLabelTask("ee/sc_comics", "roles in events of doping"): _Source(
        SC_COMICS, "roles", _EVENTS, ("site", "dopant")
    ),
    TextLabelTask("re/structured_re", "relations of battery materials and values"): _Source(
        "structured_re.json", "relation", read_relation_lines, _BATTERY
    ),
    TextLabelTask("re/sc_comics", "relations in abstracts on superconductors"): _Source(
        SC_COMICS, "relation", _RELATIONS, ("target", "condition", "equivalent")
    ),
    WordLabelTask("sar/synthesis_actions", "actions of syntheses"): _Source(
        "synthesis_actions.json", "actions", read_actions, _ACTIONS
    ),
    TextLabelTask("sc/sofc_sent", "whether a sentence describes an experiment"): _Source(
        "sofc_sent.json",
        "experiment",
        partial(read_classes, text_column="sents", label_column="sent_labels"),
        YES_NO,
        compat_template="topic",
    ),
    WordLabelTask("ner/synthesis_procedures", "entities of synthesis procedures"): _Source(
        PROCEDURES, "entities", _ENTITIES
    ),
    TextLabelTask("re/synthesis_procedures", "relations in synthesis procedures"): _Source(
        PROCEDURES, "relation", _RELATIONS
    ),
    WordLabelTask("ee/synthesis_procedures", "roles in steps of syntheses"): _Source(
        PROCEDURES, "roles", _EVENTS
    ),
}

_SOURCES = {task.name: source for task, source in _TASKS.items()}


class MatSciNlp(QuestionSuite):
    """MatSci-NLP, with corrected scores, and LLaMat's beside them."""

    name: ClassVar[str] = "matsci-nlp"
    title: ClassVar[str] = "MatSci-NLP, language of materials science"
    tasks: ClassVar[Mapping[str, QuestionTask]] = {task.name: task for task in _TASKS}
    data: ClassVar[str] = (
        "a folder with the files of MatSci-NLP, such as sofc_sent.json or sofc_token.json.gz"
    )
    licence: ClassVar[str] = (
        "MatSci-NLP (Song et al., ACL 2023, repository BangLab-UdeM-Mila/NLP4MatSci-ACL23), which "
        "states no licence for its files: they come from your folder, and this package has none. "
        "The annotations of SOFC-Exp (sofc_sent, sofc_token) are CC BY 4.0; the other data sets "
        "have the licences of their authors."
    )
    # An answer has a line for each word, up to some 170 of them.
    decoding: ClassVar[ChatDecoding] = ChatDecoding(max_new_tokens=2048)
    compat: ClassVar[str] = COMPAT
    # Source: evaluation_codes/ft_eval.py of M3RG-IITD/llamat: temperature 0.
    compat_decoding: ClassVar[ChatDecoding] = ChatDecoding(
        max_new_tokens=800, frequency_penalty=1.0
    )
    prompts: ClassVar[str] = DEFAULT_PROMPTS
    mean_measures: ClassVar[Sequence[str]] = ("macro_f1", "micro_f1")
    mean_tasks: ClassVar[Sequence[str]] = tuple(list(_SOURCES)[:10])

    def questions(self, data: Path, selection: Selection) -> SuiteQuestions:
        """Ask about all rows of the files that are there; see `QuestionSuite`."""
        names = select_tasks(self, selection.tasks)
        templates = read_templates(
            selection.prompts or self.prompts, self.prompts, TEMPLATES, kind=f"{self.name} prompts"
        )
        files = {name: _SOURCES[name].file for name in names}
        paths, notes = find_files(data, files, requires_all=bool(selection.tasks))
        by_task = {}
        for name, path in paths.items():
            questions = _questions(name, path, templates, is_compat=selection.is_compat)
            by_task[name] = choose_questions(questions, selection)
        return SuiteQuestions(by_task, notes)


def _questions(
    name: str, path: Path, templates: Mapping[str, str], *, is_compat: bool
) -> list[Question]:
    """Return the questions of a task.

    Raises:
        InputError: the file is something else.
    """
    # Loads numpy, which the suite's title does not need.
    from crystext.tasks.chat_prompt import ChatPrompt

    source = _SOURCES[name]
    texts = list(source.read(path))
    in_file = {label for text in texts for label in (text.labels or (text.label,))}
    labels = [*source.labels, *sorted(in_file - set(source.labels))]
    template = (source.compat_template if is_compat else "") or source.template
    system = templates["system"].strip()
    questions = []
    for text in texts:
        values = {
            "text": text.text,
            "labels": ", ".join(labels),
            "words": "\n".join(word_key(*word) for word in text.words),
            **text.values,
        }
        prompt = ChatPrompt.of_question(fill_template(templates[template], values), system)
        context = {"labels": labels, **({"words": text.words} if text.words else {})}
        reference = list(text.labels) if text.words else text.label
        questions.append(Question(text.id, name, prompt, reference, context))
    return questions


MATSCI_NLP = MatSciNlp()

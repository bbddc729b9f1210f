"""What every instruction task promises, and what each of the thirteen corrects."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from crystext.benchmark.questions import Question
from crystext.errors import SettingError
from crystext.instruct.base import Instruction
from crystext.instruct.printed import Writer, site_text
from crystext.instruct.registry import INSTRUCTION_TASKS, choose_tasks
from crystext.instruct.tasks.atom_count import ATOM_COUNT
from crystext.instruct.tasks.cell_of_atoms import CELL_OF_ATOMS
from crystext.instruct.tasks.cell_parameters import CELL_PARAMETERS
from crystext.instruct.tasks.element_at_site import ELEMENT_AT_SITE
from crystext.instruct.tasks.element_infilling import ELEMENT_INFILLING
from crystext.instruct.tasks.formula import CIF_FORMULA, TEXT_FORMULA
from crystext.instruct.tasks.generation import CONDITIONAL_GENERATION, ELEMENT_GENERATION
from crystext.instruct.tasks.same_atom import SAME_ATOM
from crystext.instruct.tasks.space_group import SPACE_GROUP
from crystext.instruct.tasks.volume import CELL_VOLUME, CELL_VOLUME_COPY, TEXT_VOLUME
from crystext.structures.crystal import Crystal
from crystext.structures.record import Failure, Record
from crystext.structures.space_groups import find_space_group
from tests.example_crystals import IRON, NACL, QUARTZ, SRTIO3, crystal
from tests.instructions import (
    as_question,
    constant_answers,
    grades,
    make,
    questions,
    records,
    right_answers,
    summary,
)

each_task = pytest.mark.parametrize("name", list(INSTRUCTION_TASKS))

CAAL2C = crystal([5.0, 6.0, 7.0], [90, 95, 90], [
    ("Ca", [0, 0, 0]), ("C", [0.5, 0.5, 0.5]), ("Cl", [0.25, 0.3, 0.75]), ("C", [0.75, 0.1, 0.2]),
])  # fmt: skip
"""Symbols that begin alike."""


def prompt_of(question: Question) -> str:
    return question.prompt.messages[-1].content


# Every task


@each_task
def test_the_right_answer_scores_one(name: str) -> None:
    result = summary(name, right_answers(name))
    assert result[INSTRUCTION_TASKS[name].measures[0].name] == 1.0
    assert not any(grade.problem for grade in grades(name, right_answers(name)))


@each_task
def test_an_answer_that_cannot_be_read_is_wrong_and_says_why(name: str) -> None:
    task = INSTRUCTION_TASKS[name]
    question = questions(name)[0]
    for answer in ("", "\n", "I would rather not say", "?" * 10_000, "\0", "[" * 5_000):
        grade = task.grade(question, answer)
        assert grade.problem
        assert grade.values.get(task.measures[0].name, 0.0) == 0.0
        assert all(x == 0 or math.isnan(x) for x in grade.values.values())


@each_task
def test_questions_are_json_and_the_same_whenever_they_are_made(name: str) -> None:
    task, writer = INSTRUCTION_TASKS[name], Writer()
    for record in records()[:5]:
        first, second = (task.make(record, writer, np.random.default_rng(3)) for _ in range(2))
        assert first == second
        if isinstance(first, Instruction):
            for value in (first.reference, dict(first.context)):
                assert json.loads(json.dumps(value)) == value


@each_task
def test_the_page_of_results_has_a_name_for_every_value(name: str) -> None:
    task = INSTRUCTION_TASKS[name]
    measures = {measure.name for measure in task.measures}
    for answers in (right_answers(name), constant_answers(name, "no")):
        assert set(summary(name, answers)) == measures
        assert all(grade.values.keys() <= measures for grade in grades(name, answers))


@pytest.mark.parametrize("name", [x for x in INSTRUCTION_TASKS if x != "cell_volume_copy"])
def test_every_task_asks_in_any_format_that_lists_sites(name: str) -> None:
    for fmt in ("cif", "plain", "gruver2024-rounded"):
        task = INSTRUCTION_TASKS[name]
        made = make(task, records()[0], format=fmt)
        grade = task.grade(as_question(task, made), made.completion)
        assert grade.values[task.measures[0].name] == 1.0, (fmt, grade)


def test_all_are_the_thirteen() -> None:
    assert sorted(task.number for task in choose_tasks(["all"])) == list(range(1, 14))
    assert [task.name for task in choose_tasks(["text_formula", "atom_count"])] == [
        "atom_count",
        "text_formula",
    ]
    with pytest.raises(SettingError, match="Did you mean 'atom_count'"):
        choose_tasks(["atom_cont"])


# Floors: what an answerer scores who reads nothing


def test_always_saying_p1_or_one_group_is_chance_among_space_groups() -> None:
    groups = {question.reference for question in questions("space_group")}
    for answer in ("P1", "Fm-3m"):
        result = summary("space_group", constant_answers("space_group", answer))
        assert result["macro_accuracy"] <= 1 / len(groups)


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_always_saying_yes_has_a_balanced_accuracy_of_one_half(answer: str) -> None:
    result = summary("same_atom", constant_answers("same_atom", answer))
    assert result["balanced_accuracy"] == 0.5


def test_yes_and_no_are_equally_likely() -> None:
    made = [make(SAME_ATOM, record, seed) for record in records()[:20] for seed in range(5)
            if len(record.require_crystal()) > 4]  # fmt: skip
    yes = sum(x.completion == "Yes" for x in made)
    assert abs(yes / len(made) - 0.5) < 0.15


@pytest.mark.parametrize(
    "name", ["atom_count", "element_at_site", "cif_formula", "text_volume", "cell_of_atoms"]
)
def test_a_constant_answer_scores_little(name: str) -> None:
    result = summary(name, constant_answers(name))
    assert result[INSTRUCTION_TASKS[name].measures[0].name] < 0.5


# What the file must not say


def test_a_question_on_symmetry_shows_no_symbol_and_no_operator() -> None:
    shown = prompt_of(as_question(SPACE_GROUP, make(SPACE_GROUP, NACL)))
    for line in shown.split("\n"):
        assert not re.search(r"^ *_space_group|^ *_symmetry|P 1|x, y, z", line), line
    assert "_atom_site_fract_x" in shown
    assert make(SPACE_GROUP, NACL).completion == "Fm-3m"


def test_a_question_on_the_volume_does_not_state_it_unless_it_is_copying() -> None:
    assert "_cell_volume" not in make(CELL_VOLUME, NACL).values["crystal"]
    assert "_cell_volume" in make(CELL_VOLUME_COPY, NACL).values["crystal"]
    assert not CELL_VOLUME_COPY.is_default


@pytest.mark.parametrize("task", [CIF_FORMULA, TEXT_FORMULA])
@pytest.mark.parametrize("fmt", ["cif", "plain"])
def test_a_question_on_the_formula_does_not_state_it(task: object, fmt: str) -> None:
    shown = make(task, SRTIO3, format=fmt).values["crystal"]  # type: ignore[arg-type]
    assert "SrTiO3" not in shown
    assert "'O3 Sr Ti'" not in shown


def test_a_question_on_the_cell_does_not_show_it() -> None:
    for fmt in ("cif", "plain"):
        shown = make(CELL_OF_ATOMS, QUARTZ, format=fmt).values["crystal"]
        assert not re.search(r"4\.91|5\.405|112\.|_cell_[lav]", shown)


# Each task


def test_elements_are_drawn_over_the_distinct_ones_not_over_atoms() -> None:
    many = crystal([4, 4, 40], [90] * 3, [("Na", [0, 0, 0])] + [
        ("Cl", [0, 0, i / 20]) for i in range(1, 20)
    ])  # fmt: skip
    drawn = [make(ATOM_COUNT, many, seed).context["element"] for seed in range(100, 200)]
    assert 30 <= drawn.count("Na") <= 70
    assert make(ATOM_COUNT, many).reference in (1, 19)


def test_lengths_and_angles_are_rounded_not_cut() -> None:
    skew = crystal([4.999, 5.676, 7.0], [89.97, 90.06, 119.96], [("Na", [0, 0, 0])])
    completions = {make(CELL_PARAMETERS, skew, seed).completion for seed in range(20)}
    assert completions == {"5.00, 5.68, 7.00", "90.0, 90.1, 120.0"}


def test_a_cut_number_is_not_within_rounding() -> None:
    made = next(
        x
        for seed in range(20)
        if (x := make(CELL_PARAMETERS, SRTIO3, seed)).context["part"] == "lengths"
    )
    question = as_question(CELL_PARAMETERS, made)
    # Half a unit is within rounding, whichever way it was rounded.
    for answer, right in (("3.91, 3.91, 3.91", 1.0), ("3.90 3.91 3.90", 1.0), ("3.9, 3.9, 3.8", 0)):
        assert CELL_PARAMETERS.grade(question, answer).values["within_rounding"] == right
    errors = CELL_PARAMETERS.grade(question, "4.905, 3.905, 3.905").values
    assert errors["length_error"] == pytest.approx(1 / 3)
    assert math.isnan(errors["angle_error"])


def test_coordinates_are_wrapped_after_rounding() -> None:
    assert site_text([0.9999, -0.25, 1.25]) == "0.000, 0.750, 0.250"
    made = make(ELEMENT_AT_SITE, IRON)
    assert made.values["coordinates"] == "0.000, 0.750, 0.250"
    assert not re.search(r"-0\.0|1\.0000| -\d", made.values["crystal"])


def test_sites_that_share_their_printed_coordinates_are_not_asked_for() -> None:
    near = crystal([30] * 3, [90] * 3, [("Na", [0.1001, 0, 0]), ("Cl", [0.0999, 0, 0])])
    made = ELEMENT_AT_SITE.make(Record(near), Writer(), np.random.default_rng(0))
    assert isinstance(made, Failure)
    assert "coordinates of its own" in made.kind


@pytest.mark.parametrize(
    ("answer", "right"),
    [("Fm-3m", 1), ("225", 1), ("F m -3 m", 1), ("The space group is Fm-3m.", 1), ("P1", 0)],
)
def test_a_space_group_counts_in_any_spelling(answer: str, right: int) -> None:
    question = as_question(SPACE_GROUP, make(SPACE_GROUP, NACL))
    assert SPACE_GROUP.grade(question, answer).values["accuracy"] == right


@pytest.mark.parametrize("answer", ["SrTiO3", "O3TiSr", "Sr2Ti2O6", "**SrTiO₃**", "It is SrTiO3."])
def test_equal_compositions_are_equal_formulas(answer: str) -> None:
    question = as_question(CIF_FORMULA, make(CIF_FORMULA, SRTIO3))
    assert CIF_FORMULA.grade(question, answer).values["accuracy"] == 1
    assert CIF_FORMULA.grade(question, "SrTiO2").values == {"accuracy": 0, "elements": 1}


def test_equivalent_sites_are_those_of_the_symmetry_not_of_the_element() -> None:
    two_orbits = crystal([4, 4, 12], [90] * 3, [
        ("Na", [0, 0, 0]), ("Na", [0.5, 0.5, 0.31]),
        ("Cl", [0.2, 0.2, 0.5]), ("Cl", [0.8, 0.8, 0.5]),
    ])  # fmt: skip
    labels = {}
    for seed in range(80):
        made = make(SAME_ATOM, two_orbits, seed)
        pair = frozenset((made.values["first"], made.values["second"]))
        labels[made.context["label"], pair] = made.completion
    sodium = frozenset(("0.000, 0.000, 0.000", "0.500, 0.500, 0.310"))
    chlorine = frozenset(("0.200, 0.200, 0.500", "0.800, 0.800, 0.500"))
    assert labels["same_element", sodium] == labels["same_element", chlorine] == "Yes"
    assert labels["equivalent_sites", sodium] == "No"
    assert labels["equivalent_sites", chlorine] == "Yes"


def test_a_cell_of_one_atom_has_no_pair() -> None:
    made = SAME_ATOM.make(Record(IRON), Writer(), np.random.default_rng(0))
    assert made == Failure("the cell has one atom, so no pair")


@pytest.mark.parametrize("fmt", ["cif", "plain"])
def test_masking_carbon_leaves_calcium_and_chlorine_alone(fmt: str) -> None:
    drawn = [make(ELEMENT_INFILLING, CAAL2C, seed, format=fmt) for seed in range(30)]
    made = next(x for x in drawn if x.reference == "C")
    words = re.findall(r"(?m)^ *(\S+)", made.values["crystal"])
    assert words.count("?") == 2
    assert "Ca" in words
    assert "Cl" in words
    assert "C" not in words


def test_a_ranking_is_graded_by_its_first_and_by_its_first_five() -> None:
    question = as_question(ELEMENT_INFILLING, make(ELEMENT_INFILLING, IRON))
    grade = ELEMENT_INFILLING.grade
    assert grade(question, "Fe").values["accuracy"] == 1
    assert math.isnan(grade(question, "Fe").values["top_5"])
    assert grade(question, "Co, Ni, Fe").values == {"accuracy": 0, "top_5": 1}
    assert grade(question, "1. Iron\n2. Cobalt").values == {"accuracy": 1, "top_5": 1}
    assert grade(question, "H He Li Be B Fe").values == {"accuracy": 0, "top_5": 0}


def test_another_cell_of_the_same_lattice_is_right() -> None:
    question = as_question(CELL_OF_ATOMS, make(CELL_OF_ATOMS, QUARTZ))
    other = CELL_OF_ATOMS.grade(question, "4.91 4.91 5.40\n90 90 60").values
    assert other["right_cell"] == 1
    assert other["volume_error"] < 0.01
    double = CELL_OF_ATOMS.grade(question, "9.82 4.91 5.40\n90 90 120").values
    assert double["right_cell"] == 0
    assert double["volume_error"] == pytest.approx(1, abs=0.02)
    flat = CELL_OF_ATOMS.grade(question, "4 4 4\n120 120 120")
    assert "do not form a cell" in flat.problem


def test_the_volume_is_that_of_the_printed_cell() -> None:
    """A calculator who works with what is printed makes no error; the published target does."""
    for record in records()[:20]:
        for fmt in ("gruver2024-rounded", "gruver2024"):
            made = make(TEXT_VOLUME, record, format=fmt)
            lengths, angles = (
                [float(x) for x in line.split()] for line in made.values["crystal"].split("\n")[:2]
            )
            printed = Crystal(np.array(lengths), np.array(angles), np.array([1]), np.zeros((1, 3)))
            question = as_question(TEXT_VOLUME, made)
            values = TEXT_VOLUME.grade(question, f"{printed.volume:.3f} Å^3").values
            assert values["relative_error"] < 1e-4


GENERATED = """\
3.91 3.91 3.91
90.00 90.00 90.00
Sr
0.000 0.000 0.000
Ti
0.500 0.500 0.500
O
0.500 0.500 0.000
O
0.500 0.000 0.500
O
0.000 0.500 0.500"""


def generation_question(**conditions: object) -> Question:
    context = {"conditions": conditions, "format": "plain", "completion": GENERATED}
    prompt = as_question(ELEMENT_GENERATION, make(ELEMENT_GENERATION, SRTIO3)).prompt
    return Question("q", "conditional_generation", prompt, GENERATED, context)


def test_every_condition_is_checked_in_the_crystal() -> None:
    question = generation_question(
        composition="SrTiO3", chemical_system="O-Sr-Ti", space_group=221, formation_energy="-3.5"
    )
    values = CONDITIONAL_GENERATION.grade(question, GENERATED).values
    assert values["satisfied"] == 1
    assert values["space_group"] == 1
    assert math.isnan(values["formation_energy"])  # No crystal shows it.
    for wrong, name in (
        (GENERATED.replace("Ti", "Zr"), "chemical_system"),
        (GENERATED.rsplit("\n", 2)[0], "composition"),
        (GENERATED.replace("3.91 3.91 3.91", "3.91 3.91 4.91"), "space_group"),
        (GENERATED.replace("3.91", "0.39"), "structure_valid"),
    ):
        values = CONDITIONAL_GENERATION.grade(question, wrong).values
        assert values["satisfied"] == values[name] == 0
        assert values["crystal"] == 1


def test_energies_are_checked_on_request_by_a_function_that_calculates_them() -> None:
    question = generation_question(formation_energy="-3.50", e_above_hull="0.000")
    energies = {"formation_energy": -3.45, "e_above_hull": 0.3}
    task = CONDITIONAL_GENERATION.with_energies(lambda _: energies)
    values = task.grade(question, GENERATED).values
    assert (values["formation_energy"], values["e_above_hull"], values["satisfied"]) == (1, 0, 0)
    assert CONDITIONAL_GENERATION.grade(question, GENERATED).values["satisfied"] == 1


@pytest.mark.parametrize("answer", ["Here you are:\n" + GENERATED, f"```\n{GENERATED}\n```"])
def test_a_crystal_counts_with_words_around_it(answer: str) -> None:
    question = generation_question(chemical_system="O-Sr-Ti")
    assert ELEMENT_GENERATION.grade(question, answer).values["satisfied"] == 1


@pytest.mark.parametrize(("system", "right"), [("O-Sr-Ti", 1), ("O-Sr", 0), ("Cl-O-Sr-Ti", 0)])
def test_elements_are_exactly_those_that_were_named(system: str, right: int) -> None:
    question = generation_question(chemical_system=system)
    assert ELEMENT_GENERATION.grade(question, GENERATED).values["satisfied"] == right


def test_a_space_group_that_printing_changes_is_not_requested() -> None:
    for record in records()[:30]:
        for seed in range(3):
            made = CONDITIONAL_GENERATION.make(
                record, Writer("gruver2024"), np.random.default_rng(seed)
            )
            if isinstance(made, Instruction) and "space_group" in made.context["conditions"]:
                printed = Writer("gruver2024").print_text(record.require_crystal()).crystal
                assert find_space_group(printed) == made.context["conditions"]["space_group"]


def test_conditions_number_none_to_three_and_bring_the_formula() -> None:
    counts = set()
    for seed, record in enumerate(records()[:40]):
        requested = make(CONDITIONAL_GENERATION, record, seed).context["conditions"]
        attributes = requested.keys() - {"composition", "chemical_system"}
        counts.add(len(attributes))
        assert ("composition" in requested) == ("chemical_system" in requested) == bool(attributes)
    assert counts == {0, 1, 2, 3}

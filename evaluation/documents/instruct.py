"""Figures of the questions about crystals: floors of the tasks, and what LLaMat-2 generated."""

from __future__ import annotations

from crystext.instruct.registry import INSTRUCTION_TASKS
from evaluation.documents.sources import Json, figure, independent, made_by, percent, table
from evaluation.result_file import INDEPENDENT


@figure("instruct.floors")
def floors() -> str:
    """What each task scores for answerers that read everything, and nothing."""
    report = independent("cif_tasks")
    rows = []
    for name, scores in report["scores"].items():
        task = INSTRUCTION_TASKS[name]
        measure = task.measures[0]
        tricks = [f"{x}: {percent(scores[x]['corrected'][measure.name])}"
                  for x in scores if x.startswith("always")]  # fmt: skip
        values = [scores[x]["corrected"][measure.name] for x in ("oracle", "constant")]
        constant = "; ".join([percent(values[1]), *tricks])
        rows.append([task.title, measure.title, f"{scores['questions']:,}", percent(values[0]),
                     constant])  # fmt: skip
    return table(["task", "measure", "questions", "oracle", "constant answer"], rows)


@figure("instruct.build")
def built() -> str:
    """How many crystals and questions were made and compared."""
    report = independent("cif_tasks")
    made = report["build"]
    crystals, questions = (sum(made[x].values()) for x in ("crystals", "questions"))
    return (
        f"Of MP-20 validation and MPTS-52 validation, {crystals:,} crystals in "
        f"{made['groups_of_equal_crystals']:,} groups gave {questions:,} questions; "
        f"{report['pairs_compared_between_parts']:,} pairs of one formula in different parts were "
        f"compared, and {report['matches_between_parts']} matched "
        f"{made_by(INDEPENDENT / 'cif_tasks.json', 'measure.cif_tasks')}."
    )


@figure("instruct.printing")
def printing() -> str:
    """The floor of the published volume error, and what it is made of."""
    report = independent("cif_tasks")["printing"]
    errors = report["relative_error_of_a_perfect_calculator"]
    cut, rounded = (errors[x]["error"] for x in ("gruver2024", "gruver2024-rounded"))
    return (
        "A calculator who makes no mistake has a relative error of "
        f"{percent(cut, 2)} in the volume of a text with cut angles, and {percent(rounded, 2)} "
        "with rounded ones, if compared with the volume before rounding, as published; the "
        "counting mistake halves both. Compared with the printed cell, as here, the error is 0."
    )


@figure("instruct.peers")
def peers() -> str:
    """What LLaMat-2 generated for the formulas of MP-20 test."""
    report = independent("llamat_peers")
    shares: Json = report["shares"]
    formula = percent(shares["right formula, structurally valid"]["share"])
    group = percent(shares["right space group"]["share"])
    ceiling = report["ceiling"]["right space group of test crystals as printed"]
    return (
        f"Of the {report['rows']:,} crystals that LLaMat-2 generated for the formulas of MP-20 "
        f"test, {formula} are valid and have the formula (published: "
        f"{percent(report['published']['formula'])}), and {group} have the space group of the test "
        "crystal, which was not measured before; the test crystals themselves, in the decimals of "
        f"these texts, have it in {percent(ceiling['share'])} "
        f"{made_by(INDEPENDENT / 'llamat_peers.json', 'measure.llamat_peers')}."
    )

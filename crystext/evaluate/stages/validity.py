"""Validity of structures and compositions, by the protocol's rules and by others beside them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from crystext.chemistry.oxidation import OXIDATION_TABLES
from crystext.evaluate import protocol
from crystext.evaluate.stage_result import StageResult
from crystext.evaluate.stages.base import Stage, StageContext
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import StructureFailure, structure_failure
from crystext.structures.crystal import Crystal


class ValidityStage(Stage):
    """Structural validity, composition validity, and both."""

    name, title = "validity", "validity"
    columns = (
        "structure_fault",
        "structure_valid",
        "composition_valid",
        "valid",
        *(f"composition_valid_{table}" for table in OXIDATION_TABLES),
        *(f"composition_valid_{table}_no_alloys" for table in OXIDATION_TABLES),
    )
    libraries = ("smact",)

    def measure(self, context: StageContext, result: StageResult) -> None:
        """Judge each crystal."""
        rules = context.protocol.validity
        verdicts = context.map_samples(partial(check_validity, rules=rules))
        n = len(context)

        def column(name: str, values: list[Any]) -> int:
            result.columns[name] = values
            return sum(value is True for value in values)

        faults = [v and v.structure_fault for v in verdicts]
        result.columns["structure_fault"] = faults
        structures = [v and v.structure_valid for v in verdicts]
        chosen = [v and v.composition_valid[rules.table, rules.alloys] for v in verdicts]
        both = [
            None if v is None else bool(s and c)
            for v, s, c in zip(verdicts, structures, chosen, strict=True)
        ]
        good = column("structure_valid", structures)
        result.add_proportion(
            "structure_valid", "structurally valid", good, n, better="higher", source=rules.source
        )
        neutral = column("composition_valid", chosen)
        result.add_proportion(
            "composition_valid",
            f"composition valid ({_table_label(rules.table, rules.alloys)})",
            neutral,
            n,
            better="higher",
            source=rules.source,
            note="well above the share of real crystals it shows a bias, not quality",
        )
        result.add_proportion(
            "valid",
            "structurally and composition valid",
            column("valid", both),
            n,
            better="higher",
            source=rules.source,
        )
        strict = sum(
            fault is None and v is not None for fault, v in zip(faults, verdicts, strict=True)
        )
        result.add_proportion(
            "structure_valid_self_images",
            "structurally valid, self-images included",
            strict,
            n,
            better="higher",
        )
        for table in OXIDATION_TABLES:
            for alloys in (True, False):
                name = f"composition_valid_{table}" + ("" if alloys else "_no_alloys")
                count = column(name, [v and v.composition_valid[table, alloys] for v in verdicts])
                result.add_proportion(
                    name,
                    f"composition valid, {_table_label(table, alloys)}",
                    count,
                    n,
                    better="higher",
                )


class ValidityResult(NamedTuple):
    """What the rules say of a crystal."""

    structure_fault: str | None
    """Name of the `StructureFailure`, images of an atom itself included."""
    structure_valid: bool
    """By the protocol's rules."""
    composition_valid: dict[tuple[str, bool], bool]
    """By table, and whether the alloy shortcut is taken."""


def check_validity(crystal: Crystal, rules: protocol.ValidityRules) -> ValidityResult:
    """Judge a crystal by all rules at once."""
    fault = structure_failure(crystal, min_distance=rules.min_distance, min_volume=rules.min_volume)
    structure = fault is None or (
        fault is StructureFailure.IMAGES_TOO_CLOSE and not rules.self_images
    )
    compositions = {
        (table, alloys): is_composition_valid(crystal.numbers, table=table, alloys=alloys)
        for table in OXIDATION_TABLES
        for alloys in (True, False)
    }
    return ValidityResult(None if fault is None else fault.name, structure, compositions)


def _table_label(table: str, alloys: bool) -> str:
    return table.upper() + ("" if alloys else ", no alloy shortcut")

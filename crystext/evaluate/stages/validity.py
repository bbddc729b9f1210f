"""Validity of structures and compositions, by the protocol's rules and by others beside them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from crystext.chemistry.oxidation import TABLES
from crystext.evaluate import protocol
from crystext.evaluate.stage_result import Findings
from crystext.evaluate.stages.base import Context, Stage
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.structure_validity import StructureFault, structure_fault
from crystext.structures.crystal import Crystal


class Validity(Stage):
    """Structural validity, composition validity, and both."""

    name, title = "validity", "validity"
    columns = (
        "structure_fault",
        "structure_valid",
        "composition_valid",
        "valid",
        *(f"composition_valid_{table}" for table in TABLES),
        *(f"composition_valid_{table}_no_alloys" for table in TABLES),
    )
    libraries = ("smact",)

    def measure(self, context: Context, found: Findings) -> None:
        """Judge each crystal."""
        rules = context.protocol.validity
        verdicts = context.of_crystals(partial(judge, rules=rules))
        n = len(context)

        def column(name: str, values: list[Any]) -> int:
            found.columns[name] = values
            return sum(value is True for value in values)

        faults = [v and v.fault for v in verdicts]
        found.columns["structure_fault"] = faults
        structures = [v and v.structure for v in verdicts]
        chosen = [v and v.compositions[rules.table, rules.alloys] for v in verdicts]
        both = [None if v is None else bool(s and c) for v, s, c in
                zip(verdicts, structures, chosen, strict=True)]  # fmt: skip
        good = column("structure_valid", structures)
        found.share("structure_valid", "structurally valid", good, n, better="higher",
                    source=rules.source)  # fmt: skip
        neutral = column("composition_valid", chosen)
        found.share(
            "composition_valid",
            f"composition valid ({_label(rules.table, rules.alloys)})",
            neutral, n, better="higher", source=rules.source,
            note="well above the share of real crystals it shows a bias, not quality",
        )  # fmt: skip
        found.share("valid", "structurally and composition valid", column("valid", both), n,
                    better="higher", source=rules.source)  # fmt: skip
        strict = sum(
            fault is None and v is not None for fault, v in zip(faults, verdicts, strict=True)
        )
        found.share("structure_valid_self_images", "structurally valid, self-images included",
                    strict, n, better="higher")  # fmt: skip
        for table in TABLES:
            for alloys in (True, False):
                name = f"composition_valid_{table}" + ("" if alloys else "_no_alloys")
                count = column(name, [v and v.compositions[table, alloys] for v in verdicts])
                found.share(name, f"composition valid, {_label(table, alloys)}", count, n,
                            better="higher")  # fmt: skip


class Verdict(NamedTuple):
    """What the rules say of a crystal."""

    fault: str | None
    """Name of the `StructureFault`, images of an atom itself included."""
    structure: bool
    """By the protocol's rules."""
    compositions: dict[tuple[str, bool], bool]
    """By table, and whether the alloy shortcut is taken."""


def judge(crystal: Crystal, rules: protocol.Validity) -> Verdict:
    """Judge a crystal by all rules at once."""
    fault = structure_fault(crystal, min_distance=rules.min_distance, min_volume=rules.min_volume)
    structure = fault is None or (
        fault is StructureFault.IMAGES_TOO_CLOSE and not rules.self_images
    )
    compositions = {
        (table, alloys): is_composition_valid(crystal.numbers, table=table, alloys=alloys)
        for table in TABLES
        for alloys in (True, False)
    }
    return Verdict(None if fault is None else fault.name, structure, compositions)


def _label(table: str, alloys: bool) -> str:
    return table.upper() + ("" if alloys else ", no alloy shortcut")

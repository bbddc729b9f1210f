"""The export targets by name."""

from __future__ import annotations

from crystext.io.calculations.base import ExportTarget
from crystext.runtime.registry import Registry

EXPORT_TARGETS: Registry[ExportTarget] = Registry(
    "export target",
    ExportTarget,
    {
        "vasp": "crystext.io.calculations.vasp:TARGET",
        "qe": "crystext.io.calculations.quantum_espresso:TARGET",
        "cp2k": "crystext.io.calculations.cp2k:TARGET",
        "abinit": "crystext.io.calculations.abinit:TARGET",
        "aims": "crystext.io.calculations.fhi_aims:TARGET",
        "atomate2": "crystext.io.calculations.workflows:ATOMATE2",
        "aiida": "crystext.io.calculations.workflows:AIIDA",
        "optimade": "crystext.io.calculations.structure_files:OPTIMADE",
        "extxyz": "crystext.io.calculations.structure_files:EXTXYZ",
        "cif": "crystext.io.calculations.structure_files:CIF",
    },
    plural="export_targets",
)
"""Targets by name; a new one is a file and a line here."""

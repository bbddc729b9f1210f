"""atomate2 and AiiDA: a structure of each candidate, and a Python file that makes its workflow.

Neither package is needed to write these files. What atomate2 and AiiDA read are Python objects of
their own, whose stored form changes with their versions; the Python file makes them with the
version that is installed where it runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from crystext.io.calculations.base import CalculationSettings, Candidate, ExportTarget
from crystext.io.calculations.materials_project import (
    PLANE_WAVE_CUTOFF_EV,
    k_point_grid,
    starting_moments,
)
from crystext.runtime.files import write_json, write_text

STRUCTURE_FILE, INPUTS_FILE = "structure.json", "inputs.json"

_MAKERS = {
    "MPGGADoubleRelaxStaticMaker": "atomate2.vasp.flows.mp",
    "MPMetaGGADoubleRelaxStaticMaker": "atomate2.vasp.flows.mp",
    "MP24DoubleRelaxStaticMaker": "atomate2.vasp.flows.mp",
    "DoubleRelaxMaker": "atomate2.vasp.flows.core",
}
"""Makers of atomate2, and their modules. PBE(+U), r2SCAN, r2SCAN, and atomate2's own set."""

_PROTOCOLS = ("balanced", "fast", "stringent")
"""Protocols of aiida-quantumespresso 5, of the PwRelaxWorkChain."""

_ATOMATE2 = '''"""Flows of atomate2 for the structures beside this file, in their order.

    python flows.py              list the flows
    python flows.py flows.json   write them as JSON, which jobflow reads
    python flows.py --run        run them here, one after another

`from flows import flows` gives the list, to submit with jobflow-remote or FireWorks.
"""

import json
import sys
from pathlib import Path

from pymatgen.core.structure import Structure
from MODULE import MAKER

HERE = Path(__file__).parent


def make_flow(folder):
    """Return the flow of a candidate. Its tags are the metadata of each job."""
    structure = Structure.from_dict(json.loads((folder / "structure.json").read_text()))
    inputs = json.loads((folder / "inputs.json").read_text())
    flow = MAKER(name=folder.name).make(structure)
    flow.update_metadata({"crystext": inputs["tags"]})
    return flow


flows = [make_flow(file.parent) for file in sorted(HERE.glob("*/structure.json"))]

if __name__ == "__main__":
    if sys.argv[1:] == ["--run"]:
        from jobflow import run_locally

        for flow in flows:
            run_locally(flow, create_folders=True)
    elif sys.argv[1:]:
        from monty.json import MontyEncoder

        Path(sys.argv[1]).write_text(json.dumps(flows, cls=MontyEncoder))
    else:
        for flow in flows:
            print(flow.name, [job.name for job, _ in flow.iterflow()])
'''

_AIIDA = '''"""Work chains of aiida-quantumespresso for the structures beside this file.

    verdi run workchains.py CODE            list the builders, for a code such as pw@localhost
    verdi run workchains.py CODE --submit   submit them

`builders(code)` gives the list. The protocol needs the pseudopotentials that it names:
`aiida-pseudo install sssp`.
"""

import json
import sys
from pathlib import Path

from aiida import orm
from aiida_quantumespresso.common.types import SpinType
from aiida_quantumespresso.workflows.pw.relax import PwRelaxWorkChain
from pymatgen.core.structure import Structure

HERE = Path(__file__).parent


def make_builder(folder, code, **options):
    """Return the builder of a candidate; options are those of get_builder_from_protocol."""
    structure = Structure.from_dict(json.loads((folder / "structure.json").read_text()))
    inputs = json.loads((folder / "inputs.json").read_text())
    node = orm.StructureData(pymatgen=structure)
    node.label = folder.name
    node.base.extras.set("crystext", inputs["tags"])
    moments = inputs["starting_moments"]
    magnetic = {"spin_type": SpinType.COLLINEAR, "initial_magnetic_moments": moments}
    builder = PwRelaxWorkChain.get_builder_from_protocol(
        code=code, structure=node, protocol="PROTOCOL", **(magnetic if moments else {}), **options
    )
    builder.metadata.label = folder.name
    return builder


def builders(code, **options):
    """Return the builders of all candidates."""
    folders = sorted(file.parent for file in HERE.glob("*/structure.json"))
    return [make_builder(folder, code, **options) for folder in folders]


if __name__ == "__main__":
    from aiida.engine import submit

    for builder in builders(orm.load_code(sys.argv[1])):
        submitted = submit(builder) if "--submit" in sys.argv else ""
        print(builder.metadata.label, submitted)
'''


def write_structure(candidate: Candidate, folder: Path, input_set: str) -> CalculationSettings:
    """Write `structure.json`, a structure of pymatgen, and `inputs.json`: tags and moments.

    `starting_moments` are those of an element, in Bohr magnetons, empty if no element has one.
    """
    structure = candidate.crystal.structure
    moments = starting_moments(candidate.crystal)
    by_element = dict(zip(candidate.crystal.symbols, moments, strict=True)) if any(moments) else {}
    structure.properties = {"name": candidate.name}
    write_text(folder / STRUCTURE_FILE, json.dumps(structure.as_dict()) + "\n")
    inputs = {
        "name": candidate.name,
        "starting_moments": by_element,
        "tags": dict(candidate.tags),
    }
    write_json(folder / INPUTS_FILE, inputs)
    return CalculationSettings(k_point_grid(structure), PLANE_WAVE_CUTOFF_EV, any(moments))


def write_flows(candidates: Sequence[Candidate], out: Path, input_set: str) -> None:
    """Write `flows.py`."""
    text = _ATOMATE2.replace("MODULE", _MAKERS[input_set]).replace("MAKER", input_set)
    write_text(out / "flows.py", text)


def write_work_chains(candidates: Sequence[Candidate], out: Path, input_set: str) -> None:
    """Write `workchains.py`."""
    write_text(out / "workchains.py", _AIIDA.replace("PROTOCOL", input_set))


ATOMATE2 = ExportTarget(
    "atomate2, with VASP",
    write_structure,
    input_sets=tuple(_MAKERS),
    finish=write_flows,
    to_do="`python flows.py`, where atomate2 is installed, lists the flows; `--run` runs them.",
)

AIIDA = ExportTarget(
    "AiiDA, with aiida-quantumespresso",
    write_structure,
    input_sets=_PROTOCOLS,
    finish=write_work_chains,
    to_do="`verdi run workchains.py CODE`, where aiida-quantumespresso is installed, lists the "
    "builders; `--submit` submits them.",
)

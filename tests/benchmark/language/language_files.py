"""Small files in the forms of MatSci-NLP and of structured extraction, written for tests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

TEXT = "Ni powder was mixed with Ni(NO3)2 and heated; the powder was Co-doped."

ANNOTATED = {
    "text": TEXT,
    "t_type_dict": {"T1": "Element", "T2": "Material", "T3": "Material", "T4": "Doping",
                    "T5": "Element", "T6": "Process"},
    "t_span_dict": {"T1": [0, 2], "T2": [3, 9], "T3": [50, 56], "T4": [64, 69], "T5": [61, 63],
                    "T6": [38, 44]},
    "r_type_dict": {"R1": "Target"},
    "r_args_dict": {"R1": ["E1", "T3"]},
    "e_type_dict": {"E1": "Doping", "E2": "Doping"},
    "e_trig_dict": {"E1": "T4", "E2": "T6"},
    "e_args_dict": {"E1": [["Dopant", "T5"], ["Site", "T3"]], "E2": []},
}  # fmt: skip

TOKENS = ["Ni", "-", "YSZ", "on", "Ni", ":", "700", "°C"]


def table(columns: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    return {"columns": columns, "index": [f"r{i}" for i in range(len(rows))], "data": rows}


def matsci_nlp_files() -> dict[str, Any]:
    """Return the content of each file."""
    labels = ["B-MATERIAL", "O", "B-MATERIAL", "O", "B-DEVICE", "O", "B-VALUE", "I-VALUE"]
    fields = ["B-anode_material", "O", "O", "O", "B-device", "O", "B-working_temperature",
              "I-working_temperature"]  # fmt: skip
    relation = {"arg1Text": "LiCoO2 ", "arg2Text": "3.7 V", "relText": "Voltage"}
    return {
        "glass_non_glass.json": table(
            ["Abstract", "Label"], [["A borate glass.", 1], ["A metal.", 0], ["Steel.", 0]]
        ),
        "sofc_sent.json": table(
            ["sents", "sent_labels"], [["It ran at 700 °C.", 1], ["Cells matter.", 0], [" ", 0]]
        ),
        "sofc_token.json": table(
            ["tokens", "token_labels", "slot_labels"],
            [[TOKENS, labels, fields], [["We", "thank"], ["O", "O"], ["O", "O"]]],
        ),
        "matscholar.json": table(
            ["tokens", "labels"], [["TiO2 films of TiO2", {"TiO2": "B-MAT", "films": "B-DSC"}]]
        ),
        "sc_comics.json": {"data": [ANNOTATED]},
        "synthesis_procedures.json": {"data": [ANNOTATED]},
        "structured_re.json": [
            {"id": 1, "sentText": "LiCoO2 gives 3.7 V.", "relationMentions": [relation, relation]}
        ],
        "synthesis_actions.json": [
            {
                "sentence": "Milled .",
                "annotations": [{"token": "Milled", "tag": "Mixing"}, {"token": ".", "tag": ""}],
            }
        ],
    }


def write_matsci_nlp(folder: Path, **changed: Any) -> Path:
    """Write the files, one of them compressed, with changed contents by the stem of a name."""
    folder.mkdir(exist_ok=True)
    for name, content in matsci_nlp_files().items():
        given = changed.get(name.partition(".")[0], content)
        text = given if isinstance(given, str) else json.dumps(given)
        if name == "structured_re.json" and not isinstance(given, str):
            text = "\n".join(map(json.dumps, given))
        if name == "sofc_token.json":
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text)
    return folder


DOPING = [
    ("Mg-doped ZnO and Al-doped ZnO films.", {
        "basemats": {"b0": "ZnO", "b1": "ZnO films"}, "dopants": {"d0": "Mg", "d1": "Al"},
        "dopants2basemats": {"d0": ["b0"], "d1": ["b1"]}}),
    ("Nothing is doped here.", {"basemats": {}, "dopants": {}, "dopants2basemats": {}}),
]  # fmt: skip

MATERIAL = {"name": "gold", "formula": "Au", "acronym": "", "description": ["on ceria", "small"],
            "structure_or_phase": [""], "applications": ["catalyst"]}  # fmt: skip
OTHER = {**MATERIAL, "name": "ceria", "formula": "CeO2", "description": ["the support"]}

FRAMEWORK = {"name_of_mof": "MIL-100", "mof_formula": "", "mof_description": ["magnetic"],
             "guest_species": [""], "applications": ["sensor"]}  # fmt: skip


def write_extraction(folder: Path) -> Path:
    """Write doping, mof1 and mof2 in the form of the published files."""
    folder.mkdir(exist_ok=True)
    form = "\n\nHere is elaborated description of some keys of JSON"
    rows = {
        "doping": [
            (f"{text} Extract doping information from this sentence.", answer)
            for text, answer in DOPING
        ],
        "mof1": [
            ("Gold on ceria\nIt works." + form, json.dumps([MATERIAL, OTHER])),
            (form.strip() + "\n\nNo materials\nA model.", "[]"),
        ],
        "mof2": [("MIL-100\nIt is magnetic.", json.dumps([FRAMEWORK]))],
    }
    for name, items in rows.items():
        lines = [
            json.dumps({"system": "You are an expert.", "question": question, "answer": answer})
            for question, answer in items
        ]
        (folder / f"{name}_test.jsonl").write_text("\n".join(lines))
    return folder

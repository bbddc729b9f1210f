from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest

from crystext.errors import SettingError
from crystext.runtime.shipped_files import shipped_path
from crystext.structures.property_schema import PROPERTIES, format_properties
from crystext.tasks.crystal_generation import generation_prompt
from crystext.tasks.element_infilling import element_prompt
from crystext.tasks.infilling import infill_prompt
from crystext.tasks.prompts import TEMPLATES, load_prompts, write_prompts
from crystext.text import FORMATS, PLAIN, WYCKOFF
from crystext.text.partial import UnknownParts, encode_partial
from tests.example_crystals import NACL

GOLDEN = Path(__file__).parents[1] / "golden"
LABELS = {"space_group": 225.0, "formation_energy": -2.1, "band_gap": 5.0, "e_above_hull": 0.0}

PROMPTED = tuple(format_properties(NACL, LABELS))
"""What a crystal with these labels has."""


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_bytes().decode("utf-8")


def test_prompts_are_rendered_as_ever() -> None:
    prompts = load_prompts()
    everything = format_properties(NACL, LABELS)
    assert generation_prompt(prompts) == golden("prompt.generate")
    assert generation_prompt(prompts, fmt=WYCKOFF) == golden("prompt.generate_wyckoff")
    assert generation_prompt(prompts, everything) == golden("prompt.generate.conditions")
    assert element_prompt(NACL, "Na", prompts, PLAIN) == golden("prompt.infill_element")
    unknown = UnknownParts(angles=True, elements=[1], positions=[0, 6], missing=[2, 3, 7])
    given, _ = encode_partial(NACL, unknown, PLAIN)
    assert infill_prompt(given, prompts) == golden("prompt.infill")
    conditions = {name: everything[name] for name in ("space_group", "density")}
    assert infill_prompt(given, prompts, conditions) == golden("prompt.infill.conditions")


def test_every_template_and_every_property_has_its_words() -> None:
    prompts = load_prompts()
    asked_by_formats = {fmt.template for fmt in FORMATS.values()}
    fixed = {name for name in TEMPLATES if "*" not in name}
    assert set(prompts.templates) == fixed | asked_by_formats
    assert set(prompts.conditions) == set(PROMPTED) <= set(PROPERTIES)
    assert {p.stem for p in shipped_path("prompts", "default").glob("*.txt")} == set(
        prompts.templates
    )


def test_any_subset_of_properties_can_be_asked_for_in_any_order() -> None:
    prompts = load_prompts()
    written = format_properties(NACL, LABELS)
    rng = random.Random(0)  # noqa: S311
    for size in range(len(PROMPTED) + 1):
        for names in itertools.combinations(PROMPTED, size):
            asked = rng.sample(names, len(names))
            prompt = generation_prompt(prompts, {name: written[name] for name in asked})
            lines = prompt.split("\n")[1:-1]
            assert lines[:-1] == [prompts.condition(x, written[x]).rstrip("\n") for x in asked]
            assert "{" not in prompt


def test_values_that_look_like_placeholders_stay_as_they_are() -> None:
    prompts = load_prompts()
    assert prompts.condition("formula", "{conditions}\\1") == "Formula: {conditions}\\1\n"


def test_an_unknown_property_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'bandgap'.*e_above_hull.*mean 'band_gap'"):
        generation_prompt(load_prompts(), {"bandgap": "1.00"})


def test_an_unknown_prompt_set_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'defualt'.*default.*Did you mean 'default'"):
        load_prompts("defualt")


def copy_of_default(folder: Path) -> Path:
    for path in shipped_path("prompts", "default").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_folder_is_a_prompt_set(tmp_path: Path) -> None:
    copy_of_default(tmp_path)
    (tmp_path / "generate.txt").write_text("Make one.\n{conditions}", encoding="utf-8")
    prompts = load_prompts(tmp_path)
    assert generation_prompt(prompts, {"formula": "NaCl"}) == "Make one.\nFormula: NaCl\n"


def test_all_faults_of_a_prompt_set_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "generate.txt").write_text("Make one: {crystal}", encoding="utf-8")
    (tmp_path / "conditions.yaml").write_text(
        "bandgap: 'Gap: {value}'\nformula: 'No place'\ndensity: 3\nn_atoms: '{value} {value}'\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingError) as caught:
        load_prompts(tmp_path)
    message = str(caught.value)
    assert "generate.txt has the placeholders ['crystal'], expected ['conditions']" in message
    assert "unknown property 'bandgap'. Did you mean 'band_gap'?" in message
    for name in ("formula", "density", "n_atoms"):
        assert f"the line of {name} must hold {{value}} once" in message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("conditions.yaml", b"a: [", "conditions.yaml is not YAML"),
        ("conditions.yaml", b"- formula", "conditions.yaml is not a mapping"),
        ("conditions.yaml", b"", "conditions.yaml is not a mapping"),
        ("conditions.yaml", b"\xff\xfe", "conditions.yaml cannot be read as UTF-8"),
        ("conditions.yaml", b"1: '{value}'", "unknown property 1"),
        ("generate.txt", None, "generate.txt is missing"),
        ("marks.yaml", b"masks: x", "unknown mark 'masks'. Did you mean 'mask'?"),
        ("marks.yaml", b"mask: ''", "mask must be a line of text, found ''"),
        ("infill.txt", b"\xff{crystal}", "infill.txt cannot be read as UTF-8"),
        ("infill.txt", b"{crystal} {element}", "infill.txt has the placeholders"),
    ],
)
def test_a_broken_file_of_a_prompt_set_is_named(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = copy_of_default(tmp_path) / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(SettingError, match=re.escape(message)):
        load_prompts(tmp_path)


def test_a_set_may_lack_what_its_model_was_not_taught(tmp_path: Path) -> None:
    (copy_of_default(tmp_path) / "infill.txt").unlink()
    prompts = load_prompts(tmp_path)
    assert generation_prompt(prompts) == golden("prompt.generate")
    with pytest.raises(SettingError, match=r"no infill\.txt.*it has generate\.txt, generate_w"):
        infill_prompt("", prompts)


def test_a_set_may_bring_its_own_marks(tmp_path: Path) -> None:
    (copy_of_default(tmp_path) / "marks.yaml").write_text("mask: '[MASK]'\n", encoding="utf-8")
    prompts = load_prompts(tmp_path)
    masked = element_prompt(NACL, "Na", prompts, PLAIN)
    assert masked == golden("prompt.infill_element").replace("\n?\n", "\n[MASK]\n")


def test_a_set_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_prompts(tmp_path / "copy", load_prompts())
    assert load_prompts(tmp_path / "copy") == load_prompts()


def test_a_prompt_set_without_conditions_says_so(tmp_path: Path) -> None:
    (copy_of_default(tmp_path) / "conditions.yaml").unlink()
    with pytest.raises(SettingError, match=r"conditions\.yaml is missing"):
        load_prompts(tmp_path)

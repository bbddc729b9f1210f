from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crystext.conditions import Conditions
from crystext.errors import ModelError, SettingError
from crystext.generation.rejection_sampling import sample_until_satisfied
from crystext.generation.requests import make_request
from crystext.generation.sampling_run import SamplingRun
from crystext.grammar.base import grammar_of
from crystext.grammar.wyckoff.cell_bounds import MIN_PACKING_FRACTION
from crystext.inference import text_batch
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.cpu_llama import CpuLlama
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.generate import TextGenerator
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.inference.wyckoff_reader import WyckoffVocabulary
from crystext.lm import CrystalLM
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal
from crystext.structures.distances import has_min_distances, min_distances
from crystext.structures.space_groups import find_space_group
from crystext.structures.wyckoff.orbits import primitive_translations
from crystext.structures.wyckoff.positions import wyckoff_positions
from crystext.tasks.prompts import PromptSet
from crystext.text import WYCKOFF, decode
from crystext.tokenization.encode import completion_ids, prompt_ids

SETTINGS = SamplingSettings(seed=1)
ROWS = 12


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LoadedModel:
    return load_model(tiny_model)


def request(model: LoadedModel, max_atoms: int = 8, **conditions: Any) -> Request:
    asked = Conditions.from_keywords(**conditions)
    return make_request(asked, model.prompts, max_atoms=max_atoms, fmt=WYCKOFF)


def exact_sampler(model: LoadedModel, settings: SamplingSettings = SETTINGS) -> BatchSampler:
    """Return a sampler that computes in float32, so that next to nothing is left to rounding."""
    sampler = BatchSampler(model, settings, WyckoffVocabulary(model, WYCKOFF))
    sampler.llama = CpuLlama(model.network, torch.float32)
    return sampler


def crystals_of(attempts: list[Attempt]) -> list[Crystal]:
    decoded = [decode(attempt.text, format=WYCKOFF) for attempt in attempts]
    assert [d.failure for d in decoded] == [None] * len(attempts)
    return [d.crystal for d in decoded if d.crystal is not None]


@pytest.fixture(scope="module")
def attempts(model: LoadedModel) -> list[Attempt]:
    return exact_sampler(model).draw(request(model), range(ROWS))


def test_every_text_is_a_crystal_of_the_group_it_declares(attempts: list[Attempt]) -> None:
    assert [attempt.index for attempt in attempts] == list(range(ROWS))
    declared = [attempt.text.split("\n")[0] for attempt in attempts]
    assert len(set(declared)) > ROWS / 2
    crystals = crystals_of(attempts)
    # Even a model of random weights, whose crystals are special more often than any real one's.
    assert [str(find_space_group(crystal)) for crystal in crystals] == declared
    assert max(map(len, crystals)) <= 8


def test_atoms_keep_their_distance(attempts: list[Attempt]) -> None:
    for crystal in crystals_of(attempts):
        assert has_min_distances(crystal.lattice, crystal.positions, crystal.numbers, 0.65)


def test_tokens_are_those_of_the_tokenizer(model: LoadedModel, attempts: list[Attempt]) -> None:
    ids = [completion_ids(model.tokenizer, attempt.text) for attempt in attempts]
    assert [len(row) + 1 for row in ids] == [attempt.tokens for attempt in attempts]


def test_an_index_has_the_same_text_in_every_batch(
    model: LoadedModel, attempts: list[Attempt]
) -> None:
    sampler = exact_sampler(model)
    parts = sampler.draw(request(model), range(3)) + sampler.draw(request(model), range(3, 9))
    assert [x.text for x in parts] == [x.text for x in attempts[:9]]
    again = sampler.draw(request(model), range(3), redraw=1)
    assert all(x.text != y.text for x, y in zip(again, parts, strict=False))


def test_texts_that_wait_begin_in_the_places_of_others(
    model: LoadedModel, attempts: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for few, most texts wait, and texts of all lengths stand side by side."""
    monkeypatch.setattr(text_batch, "_MAX_TEXTS", 3)
    drawn = exact_sampler(model).draw(request(model), range(ROWS))
    assert drawn == attempts


def test_of_a_batch_only_the_first_texts_are_finished_if_no_more_are_wanted(
    model: LoadedModel, attempts: list[Attempt]
) -> None:
    sampler = exact_sampler(model)
    assert sampler.draw(request(model), range(ROWS), wanted=3) == attempts[:3]
    assert sampler.draw(request(model), range(ROWS), wanted=2 * ROWS) == attempts


def test_a_finished_text_is_one_that_its_grammar_would_not_have_redrawn(
    model: LoadedModel, attempts: list[Attempt]
) -> None:
    """The verification of finished texts is that of the grammar, from the text alone."""
    grammar = grammar_of(WYCKOFF)
    assert grammar is not None
    constraints = request(model).constraints
    for attempt, crystal in zip(attempts, crystals_of(attempts), strict=True):
        assert not grammar.must_be_redrawn(attempt.text, crystal, constraints)


def test_a_formula_and_a_space_group_are_kept_together(model: LoadedModel) -> None:
    asked = Conditions.from_keywords(composition="CaTiO3", space_group=62)
    wanted = make_request(asked, model.prompts, fmt=WYCKOFF)
    drawn = sample_until_satisfied(exact_sampler(model), wanted, asked, range(4), fmt=model.format)
    assert all(attempt.text.startswith("62\n") for attempt in drawn)
    for attempt in drawn:
        records = {record.name: record for record in attempt.conditions}
        assert {record.handling for record in records.values()} == {"enforced"}
        assert records["composition"].satisfied


def test_what_no_crystal_can_be_is_refused_before_drawing(model: LoadedModel) -> None:
    with pytest.raises(SettingError, match="another cubic space group"):
        request(model, composition="SiO2", space_group=230)
    with pytest.raises(SettingError, match="take 6 atoms"):
        request(model, n_atoms=5, space_group=220)


def test_elements_have_a_temperature_of_their_own(model: LoadedModel) -> None:
    settings = replace(SETTINGS, temperature=0.0, element_temperature=3.0)
    drawn = exact_sampler(model, settings).draw(request(model, max_atoms=2), range(8))
    lines = [attempt.text.split("\n") for attempt in drawn]
    assert len({line[1].split()[0] for line in lines}) > 1


def test_the_cell_has_a_temperature_of_its_own(model: LoadedModel, attempts: list[Attempt]) -> None:
    cold = exact_sampler(model, replace(SETTINGS, cell_temperature=0.0))
    others = cold.draw(request(model), range(ROWS))
    pairs = [
        (text.text.rpartition("\n"), other.text.rpartition("\n"))
        for text, other in zip(attempts, others, strict=True)
    ]
    cells = [(text[2], other[2]) for text, other in pairs if text[0] == other[0]]
    assert len(cells) > ROWS / 2, "others were begun anew, after a cell that atoms did not fit"
    assert any(cell != other for cell, other in cells)


def test_a_text_s_probability_is_that_of_transformers(model: LoadedModel) -> None:
    """Where all choices but the group are free, or forced: one atom, in a cubic group."""
    wanted = request(model, n_atoms=1, crystal_system="cubic", only="Po Fe")
    (attempt,) = exact_sampler(model).draw(wanted, [0])
    ids = completion_ids(model.tokenizer, attempt.text)
    given = prompt_ids(model.tokenizer, wanted.prompt)
    with torch.no_grad():
        logits = model.network(torch.tensor([given + ids])).logits[0, len(given) - 1 : -1].double()
    known = model.tokenizer.get_vocab()
    cell = [known[f"\n{i}."] for i in range(100)]

    def chance(step: int, choices: list[int]) -> float:
        return float(logits[step, ids[step]] - logits[step, choices].logsumexp(0))

    group, element = attempt.text.split("\n")[:2]
    # Groups of the cubic system that have a position of one atom in the primitive cell.
    groups = [g for g in range(195, 231) if _holds_one(g)]
    assert int(group) in groups
    total = chance(0, [known[str(g)] for g in groups])
    total += chance(1, [known["\nPo "], known["\nFe "]])
    names = [name for name, size in _names(int(group)) if size == 1]
    total += chance(2, [known[name] for name in names])
    scale = 0.65
    allowed = [
        i for i in range(100) if any(_fits(attempt.text, i + x, scale) for x in (0.0, 0.5, 0.99))
    ]
    total += chance(3, [cell[i] for i in allowed])
    whole, decimals = attempt.text.split("\n")[-1].split(".")
    fitting = [d for d in range(100) if _fits(attempt.text, int(whole) + d / 100, scale)]
    total += chance(4, [known[f"{d:02d}"] for d in fitting])
    assert attempt.log_probability == pytest.approx(total, abs=0.01)
    assert element.split()[0] in ("Po", "Fe")
    assert decimals.isdigit()


def _names(group: int) -> list[tuple[str, int]]:
    lattice_points = len(primitive_translations(group))
    return [(p.name, p.multiplicity // lattice_points) for p in wyckoff_positions(group).values()]


def _holds_one(group: int) -> bool:
    return any(size == 1 for _, size in _names(group))


def _fits(text: str, length: float, scale: float) -> bool:
    """Tell whether atoms keep their distance, and fill enough of the cell, with this length."""
    cut = text.rsplit("\n", 1)[0] + f"\n{length:.2f}"
    crystal = decode(cut).crystal
    if crystal is None:
        return False
    spheres = np.pi / 6 * min_distances(scale)[crystal.numbers, crystal.numbers] ** 3
    volume = abs(np.linalg.det(crystal.lattice))
    atoms = crystal.lattice, crystal.positions, crystal.numbers
    return bool(spheres.sum() >= MIN_PACKING_FRACTION * volume) and has_min_distances(*atoms, scale)


def test_any_tokenizer_writes_the_same_kind_of_texts(model: LoadedModel) -> None:
    """Character by character; the constraints are those of the small vocabulary's sampler."""
    sampler = AnyTokenizerSampler(model, SETTINGS, WYCKOFF)
    drawn = sampler.draw(request(model, max_atoms=2, space_group=221), range(2))
    assert {attempt.failure for attempt in drawn} == {None}
    assert all(attempt.text.startswith("221\n") for attempt in drawn)
    assert max(map(len, crystals_of(drawn))) <= 2


def test_the_fastest_sampler_is_taken(model: LoadedModel) -> None:
    assert isinstance(TextGenerator(model, SETTINGS).sampler(WYCKOFF), BatchSampler)
    free = replace(SETTINGS, constrained=False)
    assert isinstance(TextGenerator(model, free).sampler(WYCKOFF), AnyTokenizerSampler)


def test_prompts_without_words_for_it_are_told(model: LoadedModel) -> None:
    templates = {k: v for k, v in model.prompts.templates.items() if k != "generate_wyckoff"}
    prompts = PromptSet(templates, model.prompts.conditions)
    with pytest.raises(SettingError, match=r"no generate_wyckoff.txt"):
        make_request(Conditions(), prompts, fmt=WYCKOFF)


def test_a_text_longer_than_the_model_s_positions_is_refused(model: LoadedModel) -> None:
    with pytest.raises(ModelError, match="fewer atoms"):
        TextGenerator(model, SETTINGS).draw(request(model, max_atoms=100), [0])


def test_from_python_the_format_is_named(model: LoadedModel) -> None:
    samples = CrystalLM(model).sample(
        2, format="wyckoff", crystal_system="cubic", max_atoms=3, batch_size=2, progress=False
    )
    for sample in samples:
        assert 195 <= int(sample.text.split("\n")[0]) <= 230
        (record,) = sample.conditions
        assert (record.name, record.handling) == ("crystal_system", "enforced")
    with pytest.raises(SettingError, match="Did you mean 'wyckoff'"):
        CrystalLM(model).sample(1, format="wycoff")
    with pytest.raises(SettingError, match="the model writes plain"):
        CrystalLM(model).sample(1, format="gruver2024")


def test_a_run_is_told_by_its_format(tiny_model: Path) -> None:
    plain, symmetric = (
        SamplingRun(3, str(tiny_model), SETTINGS, format=name).identity()
        for name in (None, "wyckoff")
    )
    assert "format" not in plain
    assert symmetric["format"] == "wyckoff"
    assert symmetric["prompt"] != plain["prompt"]


def test_the_model_says_which_text_is_drawn_and_the_user_has_the_last_word(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    about = json.loads((folder / "crystext.json").read_text(encoding="utf-8"))
    text = json.dumps(about | {"sample_format": "wyckoff"})
    (folder / "crystext.json").write_text(text, encoding="utf-8")
    lm = CrystalLM.load(folder)
    drawn = [lm.sample(1, max_atoms=2, batch_size=1, format=f)[0] for f in (None, "plain")]
    assert [WYCKOFF.recognizes(sample.text) for sample in drawn] == [True, False]

"""A bad recipe is answered with all of its faults."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crystext.corpus.recipe import (
    CorpusRecipe,
    crystal_forms,
    load_corpus_recipe,
    shipped_corpus_recipes,
)
from crystext.errors import SettingError
from tests.corpus.sources import write_recipe

GOOD = {"papers": {"jsonl": "p.jsonl"}, "cif": {"crystals": "textbook"}}


def load(tmp_path: Path, *overrides: str, **settings: object) -> CorpusRecipe:
    given = {"sources": GOOD, **settings}
    return load_corpus_recipe(write_recipe(tmp_path / "r.yaml", **given), overrides)  # type: ignore[arg-type]


def refusal(tmp_path: Path, *overrides: str, **settings: object) -> str:
    with pytest.raises(SettingError) as error:
        load(tmp_path, *overrides, **settings)
    return str(error.value)


def test_overrides_change_a_recipe(tmp_path: Path) -> None:
    recipe = load(tmp_path, "tokens=1000", "sources.papers.jsonl=[a, b]", "duplicates.near=0.8")
    assert recipe.tokens == 1000
    assert recipe.sources["papers"].paths == ["a", "b"]
    assert recipe.duplicates.near == 0.8


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        "no override",
        "tokens=-1",
        "contxt_tokens=3",
        "sources.papers.feild=body",
        "sources.cif.form=cfi",
        "duplicates.near=0.2",
        "tokenizer.vocabulary=10",
    )
    for expected in (
        "'no override' is not an override",
        "tokens: expected a number above 0",
        "contxt_tokens: no such setting. Did you mean 'context_tokens'?",
        "sources.papers.feild: no such setting. Did you mean 'field'?",
        "Did you mean 'cif'?",
        "duplicates.near: expected a number of at least 0.7",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"weights": {"papers": 0.5, "cif": 0.4}}], "they add up to 0.9; expected 1"),
        ([{"weights": {"papers": 1, "cif": 0}}], "weights.cif: it is 0; expected a number above 0"),
        ([{"weights": {"papers": 1.2, "cif": -0.2}}], "cif: it is -0.2; expected"),
        ([{"weights": {"paper": 0.5, "cif": 0.5}}], "no such source. Did you mean 'papers'?"),
        ([{"weights": {"papers": 1}}], "sources.cif: no stage has a weight for it"),
        ([{"until": 0.5, "weights": {"papers": 0.5, "cif": 0.5}}], "the last one ends at 0.5"),
        (
            [{"until": x, "weights": {"papers": 0.5, "cif": 0.5}} for x in (0.9, 0.1, 1)],
            "until is 0.9, 0.1, 1.0; expected rising numbers",
        ),
    ],
)
def test_weights_and_stages_that_make_no_sense(
    tmp_path: Path, stages: object, expected: str
) -> None:
    assert expected in refusal(tmp_path, stages=stages)


def test_the_published_percentages_add_up_closely_enough(tmp_path: Path) -> None:
    sources = {**GOOD, "general": {"jsonl": "g"}}
    weights = {"papers": 0.944, "cif": 0.025, "general": 0.03}
    assert load(tmp_path, sources=sources, stages=[{"weights": weights}])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, "give one of jsonl, text, crystals"),
        ({"jsonl": "a", "text": "b"}, "give one of jsonl, text, crystals"),
        ({"text": "a", "field": "body"}, "field is for jsonl, and this source is text"),
        ({"jsonl": "a", "form": "cif"}, "form is for crystals, and this source is jsonl"),
        ({"text": "a", "document_break": "("}, "it is not a regular expression"),
        ({"text": "a", "document_break": "x*"}, "it matches the empty text"),
        ({"jsonl": "a", "when_dry": "rpeat"}, "Did you mean 'repeat'?"),
    ],
)
def test_a_source_that_makes_no_sense(
    tmp_path: Path, source: dict[str, str], expected: str
) -> None:
    assert expected in refusal(tmp_path, sources={**GOOD, "papers": source})


def test_a_name_of_a_source_is_a_folder_s_name(tmp_path: Path) -> None:
    message = refusal(tmp_path, sources={**GOOD, "../up": {"jsonl": "x"}})
    assert "'../up' is not a name for a source" in message


def test_a_corpus_without_an_end_is_refused(tmp_path: Path) -> None:
    endless = {"papers": {"jsonl": "p", "when_dry": "repeat"}}
    assert "tokens is missing" in refusal(tmp_path, sources=endless)


def test_a_tokenizer_is_named_or_trained(tmp_path: Path) -> None:
    assert "give either name" in refusal(tmp_path, "tokenizer={}")
    assert "give either name" in refusal(tmp_path, "tokenizer={name: a, train: bpe}")
    assert load(tmp_path, "tokenizer=folder").tokenizer.name == "folder"


def test_every_text_format_is_a_form_of_crystals() -> None:
    assert {"cif", "plain", "wyckoff", "description", "prose"} <= set(crystal_forms())


@pytest.mark.parametrize("name", shipped_corpus_recipes())
def test_shipped_recipes_are_valid_and_name_their_command(name: str) -> None:
    recipe = load_corpus_recipe(name)
    assert recipe.sources
    assert f"crystext corpus build {name} --out" in Path(f"recipes/corpus/{name}.yaml").read_text()


def test_a_recipe_that_does_not_exist_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Did you mean 'crystals-and-words'"):
        load_corpus_recipe("crystal-and-words")
    (tmp_path / "list.yaml").write_text(yaml.safe_dump([1]))
    with pytest.raises(SettingError, match="holds no settings"):
        load_corpus_recipe(tmp_path / "list.yaml")

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crystext.models.load import load_model
from crystext.tokenization.encode import completion_ids, prompt_ids
from crystext.tokenization.plain_tokenizer import read_plain_tokenizer

TEXTS = [
    "Crystal:\n",
    "Formula: LiFePO4\nSpace group number: 62\nCrystal:\n",
    "Chemical system: Li-O </s> <s>\nΩ\nCrystal:\n",
]


def test_it_cuts_prompts_as_transformers_does(tiny_model: Path) -> None:
    tokenizer, plain = load_model(tiny_model).tokenizer, read_plain_tokenizer(tiny_model)
    assert plain is not None
    assert plain.get_vocab() == tokenizer.get_vocab()
    assert len(plain) == len(tokenizer)
    assert plain.eos_token_id == tokenizer.eos_token_id
    for text in TEXTS:
        assert prompt_ids(plain, text) == prompt_ids(tokenizer, text)
        assert completion_ids(plain, text) == completion_ids(tokenizer, text)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer_class": "LlamaTokenizerFast"},
        {"eos_token": None},
        {"eos_token": "<nowhere>"},
        {"added_tokens_decoder": {"3": {"content": "<x>"}}},
    ],
    ids=str,
)
def test_what_only_transformers_can_read_is_left_to_it(
    tiny_model: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | changes), encoding="utf-8")
    assert read_plain_tokenizer(folder) is None

"""Causal language models with random weights answer through transformers and their templates."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from crystext.errors import ModelError, SettingError
from crystext.inference.text_models.base import ChatDecoding
from crystext.inference.text_models.causal import CausalTextModel, tokenize
from crystext.models.network import read_tokenizer
from crystext.tasks.chat_prompt import ChatPrompt, Message
from tests.chat_models import TEMPLATE, WITHOUT_SYSTEM, write_chat_model

FORMULAS = ("SrTiO3", "Si", "GaAs", "MgO", "K2O", "NaCl", "ZnS")
SAMPLED = ChatDecoding(temperature=1.0, max_new_tokens=12, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("chat") / "model")


def prompts(count: int = len(FORMULAS)) -> list[ChatPrompt]:
    return [
        ChatPrompt.of_question(f"What is the band gap of {x}?", "You estimate properties.")
        for x in FORMULAS[:count]
    ]


def test_the_same_batch_has_the_same_answers_whatever_came_before(folder: Path) -> None:
    first = CausalTextModel(str(folder), SAMPLED).answer(prompts())
    model = CausalTextModel(str(folder), SAMPLED)
    model.answer(prompts(3))
    assert model.answer(prompts()) == first
    assert CausalTextModel(str(folder), SAMPLED, seed=1).answer(prompts()) != first


def test_greedy_decoding_does_not_depend_on_the_batch(folder: Path) -> None:
    answers = [
        CausalTextModel(str(folder), ChatDecoding(max_new_tokens=8, batch_size=size)).answer(
            prompts()
        )
        for size in (1, 3, 8)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_the_models_own_template_is_used_with_one_start_token(folder: Path) -> None:
    tokenizer = read_tokenizer(folder)
    text = tokenizer.decode(tokenize(tokenizer, prompts()[0]))
    assert text.startswith("<s>system: You estimate")
    assert text.endswith("<s>assistant: ")
    assert "<s><s>" not in text


def test_a_template_without_a_system_role_gets_its_words_in_the_first_question(
    tmp_path: Path,
) -> None:
    tokenizer = read_tokenizer(write_chat_model(tmp_path / "m", template=WITHOUT_SYSTEM))
    text = tokenizer.decode(tokenize(tokenizer, prompts()[0]))
    assert text.startswith("<s>user: You estimate")
    assert "SrTiO3" in text


def test_a_model_without_a_template_gets_the_words(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(write_chat_model(tmp_path / "m", template=None))
    words = tokenizer.decode(tokenize(tokenizer, prompts()[0]), skip_special_tokens=True)
    assert words == prompts()[0].as_text()


def test_a_prompt_with_control_tokens_is_given_as_it_is(folder: Path) -> None:
    tokenizer = read_tokenizer(folder)
    text = "<s>[INST] band gap of Si? [/INST]"
    assert tokenizer.decode(tokenize(tokenizer, ChatPrompt(text=text))) == text


def test_a_prompt_that_does_not_fit_is_a_failure_among_the_others(tmp_path: Path) -> None:
    model = CausalTextModel(str(write_chat_model(tmp_path / "m", context=512)), SAMPLED)
    long = ChatPrompt((Message("user", "x" * 600),))
    short = ChatPrompt((Message("user", "x"),))
    answers = model.answer([short, long, short])
    assert "the limit is 512" in answers[1][1]
    assert (answers[0][1], answers[2][1]) == ("", "")


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="can run code"):
        CausalTextModel(str(tmp_path), SAMPLED).answer(prompts(1))


def test_code_of_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError):
        CausalTextModel(str(tmp_path), SAMPLED).answer(prompts(1))


def test_a_template_that_fails_is_one_message(tmp_path: Path) -> None:
    broken = "{{ raise_exception('turns must alternate') }}" + TEMPLATE
    model = CausalTextModel(str(write_chat_model(tmp_path / "m", template=broken)), SAMPLED)
    with pytest.raises(ModelError, match="turns must alternate"):
        model.answer(prompts(1))


def test_a_frequency_penalty_leaves_no_character_to_repeat(folder: Path) -> None:
    """One that outweighs all logits makes a greedy answer go once through the vocabulary."""
    plain = ChatDecoding(max_new_tokens=40)
    punished = ChatDecoding(max_new_tokens=40, frequency_penalty=100.0)
    (repeated, _), *_ = CausalTextModel(str(folder), plain).answer(prompts(1))
    (varied, _), *_ = CausalTextModel(str(folder), punished).answer(prompts(1))
    assert max(Counter(repeated).values()) > 1
    assert len(varied) > 1
    assert max(Counter(varied).values()) == 1


def test_a_small_top_p_leaves_only_the_most_probable_token(folder: Path) -> None:
    greedy = CausalTextModel(str(folder), ChatDecoding(max_new_tokens=12)).answer(prompts())
    nucleus = ChatDecoding(temperature=1.0, top_p=1e-6, max_new_tokens=12)
    assert CausalTextModel(str(folder), nucleus).answer(prompts()) == greedy


def test_all_impossible_settings_are_told_at_once() -> None:
    with pytest.raises(SettingError, match=r"top_p 1\.5.*--top-k limits.*--top-p limits"):
        ChatDecoding(top_p=1.5, top_k=3)

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from crystext.errors import ModelError
from crystext.models.architectures.llama import new_llama, number_embeddings
from crystext.models.layout import model_folder, open_model
from crystext.models.load import load_model, save_model
from crystext.runtime.shipped_files import shipped_model
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN, WYCKOFF, Format
from crystext.tokenization.crystal_vocabulary import build_tokenizer

PROMPTS = load_prompts()


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of a model, to be harmed."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def small_llama(seed: int) -> LlamaForCausalLM:
    return new_llama(
        build_tokenizer(PROMPTS.phrases()),
        hidden_size=32,
        intermediate_size=48,
        layers=1,
        heads=2,
        max_tokens=64,
        seed=seed,
    )


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    network, tokenizer = small_llama(0), build_tokenizer(PROMPTS.phrases())
    save_model(tmp_path, network, tokenizer, PROMPTS, PLAIN)
    loaded = load_model(tmp_path)
    assert loaded.format == PLAIN
    assert loaded.prompts == PROMPTS
    assert loaded.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert not loaded.network.training
    weights = dict(network.named_parameters())
    for name, weight in loaded.network.named_parameters():
        assert torch.equal(weight, weights[name]), name


@pytest.mark.parametrize("fmt", [None, WYCKOFF])
def test_a_model_keeps_what_is_to_be_drawn_from_it(tmp_path: Path, fmt: Format | None) -> None:
    network, tokenizer = small_llama(1), build_tokenizer(PROMPTS.phrases())
    save_model(tmp_path / "model", network, tokenizer, PROMPTS, PLAIN, sample_format=fmt)
    assert open_model(tmp_path / "model").default_format == (None if fmt is None else fmt.name)
    assert load_model(tmp_path / "model").format == PLAIN


def test_transformers_alone_reads_the_folder(tiny_model: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert network.config.model_type == "llama"
    assert tokenizer.decode(tokenizer("5.64 5.64 5.64")["input_ids"]) == "5.64 5.64 5.64"


def test_the_shipped_model_loads_and_fits_its_tokenizer() -> None:
    if not shipped_model().is_dir():
        pytest.skip("the weights are not in this checkout")
    loaded = load_model()
    assert loaded.folder == shipped_model()
    assert loaded.format == PLAIN
    assert len(loaded.tokenizer) == loaded.network.get_input_embeddings().weight.shape[0]
    size = sum(path.stat().st_size for path in shipped_model().rglob("*") if path.is_file())
    assert size < 30e6


def test_the_seed_decides_the_weights_and_nothing_else_is_touched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, same, other = small_llama(1), small_llama(1), small_llama(2)
    assert torch.equal(torch.rand(3), expected)
    for (name, a), (_, b) in zip(first.named_parameters(), same.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_numbers_start_with_embeddings_in_which_near_is_near() -> None:
    vocabulary = build_tokenizer().get_vocab()
    rows = number_embeddings(vocabulary, 64, 0.02, seed=0)
    assert len(rows) == 2000 + 100 + 100 + 2 * 180
    sizes = [float(np.sqrt((row**2).mean())) for row in rows.values()]
    assert np.mean(sizes) == pytest.approx(0.02, rel=0.03)

    def likeness(first: str, second: str) -> float:
        a, b = rows[vocabulary[first]], rows[vocabulary[second]]
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    for near, far in ((" 0.501", " 0.520"), (" 0.505", " 0.750"), ("0.500", "0.600")):
        assert likeness(" 0.500", near) > likeness(" 0.500", far) + 0.1
    # A coordinate just below 1 is next to 0.
    assert likeness("0.999", "0.000") > likeness("0.979", "0.000") + 0.1


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model folder.*nowhere; expected 'shipped'"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["config.json", "crystext.json", "tokenizer.json", "model.safetensors", "prompts"]
)
def test_what_a_folder_lacks_is_named(folder: Path, name: str) -> None:
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ModelError, match=f"lacks {name}"):
        model_folder(folder)


def test_weights_that_could_run_code_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04c__builtin__\nexec\n")
    with pytest.raises(ModelError, match=r"model\.safetensors \(other weight formats are not read"):
        load_model(folder)


def test_code_that_comes_with_a_model_is_not_run(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "extra.Config", "AutoModelForCausalLM": "extra.Model"}
    changes = {"model_type": "extra", "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config | changes))
    (folder / "extra.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Config: pass\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder)
    assert not (folder / "ran").exists()


def cut_weights(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 5000)


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def noise_for_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(np.random.default_rng(0).bytes(10_000))


def one_weight_less(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32, "head_dim": 8}))


def more_layers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))


def text_of(name: str, content: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / name).write_text(content)

    harm.__name__ = f"{name}: {content}"
    return harm


def no_prompt(folder: Path) -> None:
    (folder / "prompts" / "generate.txt").unlink()


HARMS = [
    (cut_weights, "cannot be loaded"),
    (empty_weights, "cannot be loaded"),
    (noise_for_weights, "cannot be loaded"),
    (one_weight_less, r"lack model\.layers\.1\.mlp\.down_proj\.weight \(1 in all"),
    (more_layers, r"lack model\.layers\.2"),
    (other_width, "cannot be loaded"),
    (text_of("config.json", "{"), "cannot be loaded"),
    (text_of("config.json", '{"model_type": "no such"}'), "cannot be loaded"),
    (text_of("tokenizer.json", "{"), "cannot be loaded"),
    (text_of("tokenizer.json", '{"model": 5}'), "cannot be loaded"),
    (text_of("crystext.json", "{"), "cannot be loaded"),
    (text_of("crystext.json", "{}"), "cannot be loaded"),
    (text_of("crystext.json", "[]"), "cannot be loaded"),
    (text_of("crystext.json", '{"format": "plane"}'), "Did you mean 'plain'"),
]


@pytest.mark.parametrize(("harm", "message"), HARMS, ids=lambda x: getattr(x, "__name__", None))
def test_a_damaged_model_is_refused_with_its_folder(
    folder: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(folder)
    with pytest.raises(ModelError, match=message) as refusal:
        load_model(folder)
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    build_tokenizer(["One phrase more than this network knows. "]).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"extra {i}" for i in range(50)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(folder)

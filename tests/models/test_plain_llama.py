from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from crystext.models.load import load_model
from crystext.models.plain_llama import plain_llama_of, read_plain_llama


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("source", ["shipped", "tiny"])
def test_what_is_read_without_transformers_is_what_transformers_reads(
    source: str, tiny_model: Path
) -> None:
    model = load_model("shipped" if source == "shipped" else tiny_model)
    found, expected = read_plain_llama(model.folder), plain_llama_of(model.network)
    assert found is not None
    assert found.weights.keys() == expected.weights.keys()
    for name, tensor in expected.weights.items():
        assert torch.equal(found.weights[name], tensor)
    assert torch.equal(found.cos, expected.cos)
    assert torch.equal(found.sin, expected.sin)
    names = ("heads", "kv_heads", "head_size", "layers", "epsilon", "max_tokens", "is_tied")
    for name in names:
        assert getattr(found, name) == getattr(expected, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["MistralForCausalLM"]},
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "linear", "factor": 2.0}},
        {"rope_parameters": None},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"num_hidden_layers": 1},
        {"intermediate_size": 7},
        {"dtype": "float32"},
        {"rms_norm_eps": "small"},
    ],
    ids=str,
)
def test_what_only_transformers_can_read_is_left_to_it(
    folder: Path, changes: dict[str, Any]
) -> None:
    assert read_plain_llama(folder) is not None
    change_config(folder, **changes)
    assert read_plain_llama(folder) is None


def test_damaged_weights_are_left_to_transformers_which_says_what_is_wrong(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.norm.weight"]
    save_file(weights, path)
    assert read_plain_llama(folder) is None
    path.write_bytes(b"no weights")
    assert read_plain_llama(folder) is None

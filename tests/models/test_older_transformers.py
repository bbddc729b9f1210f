"""A model's files mean the same to every version of transformers that is supported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from crystext.errors import ModelError
from crystext.models.network import read_network, read_tokenizer

HEAD = 16
"""Size of the tiny model's attention heads."""


def with_settings(model: Path, folder: Path, file: str, **settings: Any) -> Path:
    """Return a copy of a model whose JSON file has these settings, as transformers 5 writes it."""
    shutil.copytree(model, folder)
    known = json.loads((folder / file).read_text())
    for old in ("rope_theta", "rope_scaling"):
        known.pop(old, None)
    (folder / file).write_text(json.dumps(known | settings))
    return folder


@pytest.mark.parametrize(
    "scaling", [{"rope_type": "default"}, {"rope_type": "linear", "factor": 4.0}]
)
def test_rotary_positions_are_those_of_the_config(
    tiny_model: Path, tmp_path: Path, scaling: dict[str, Any]
) -> None:
    rope = {"rope_theta": 500000.0, **scaling}
    folder = with_settings(tiny_model, tmp_path / "x", "config.json", rope_parameters=rope)
    network: Any = read_network(folder)
    expected = 500000.0 ** -(torch.arange(0, HEAD, 2) / HEAD) / scaling.get("factor", 1.0)
    assert torch.allclose(network.model.rotary_emb.inv_freq, expected)


def test_a_tokenizer_of_either_class_name_is_read(tiny_model: Path, tmp_path: Path) -> None:
    expected = read_tokenizer(tiny_model).get_vocab()
    for name in ("PreTrainedTokenizerFast", "TokenizersBackend"):
        settings = {"tokenizer_class": name}
        folder = with_settings(tiny_model, tmp_path / name, "tokenizer_config.json", **settings)
        assert read_tokenizer(folder).get_vocab() == expected


@pytest.mark.skipif(
    hasattr(transformers, "TokenizersBackend"), reason="transformers 5 reads these settings itself"
)
def test_rotary_positions_of_each_kind_of_layer_are_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    rope = {"full_attention": {"rope_theta": 10000.0, "rope_type": "default"}}
    folder = with_settings(tiny_model, tmp_path / "x", "config.json", rope_parameters=rope)
    with pytest.raises(ModelError, match=r"rope_parameters .* pip install .transformers>=5"):
        read_network(folder)

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from crystext.errors import CrystextError, ModelError, SettingError
from crystext.models.initialize import InitialModel, initialize_model
from crystext.models.load import load_model, save_model
from crystext.models.merge import merge_adapter
from crystext.models.settings import LoraSettings, ModelSettings, NewLlamaSettings
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN

LORA = LoraSettings(rank=2, alpha=4)
NEW = NewLlamaSettings(hidden_size=32, intermediate_size=48, layers=1, heads=2)


def started(max_tokens: int = 256, seed: int = 0, **settings: Any) -> InitialModel:
    return initialize_model(
        ModelSettings(**settings),
        None,
        PLAIN,
        max_tokens=max_tokens,
        seed=seed,
        device=torch.device("cpu"),
        compute_dtype=torch.bfloat16,
    )


def learning(start: InitialModel) -> dict[str, torch.Tensor]:
    return {n: p for n, p in start.network.named_parameters() if p.requires_grad}


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of a model, to be harmed."""
    return Path(shutil.copytree(tiny_model, tmp_path / "base"))


@pytest.fixture(scope="module")
def adapter_of_all(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    start = started(base=str(tiny_model), lora=LORA)
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    save_model(folder, start.network, start.tokenizer, start.prompts, PLAIN, base=start.base)
    return folder


@pytest.fixture
def adapter(adapter_of_all: Path, tmp_path: Path) -> Path:
    """A copy of an adapter, to be harmed."""
    return Path(shutil.copytree(adapter_of_all, tmp_path / "adapter"))


@pytest.mark.parametrize("quantize", ["none", "nf4"])
def test_the_seed_decides_every_random_weight(quantize: str) -> None:
    first, same, other = (
        started(new=NEW, lora=LORA, quantize=quantize, seed=seed) for seed in (1, 1, 2)
    )
    for name, weight in first.network.named_parameters():
        assert torch.equal(weight, dict(same.network.named_parameters())[name]), name
    changed = [n for n, p in learning(other).items() if not torch.equal(p, learning(first)[n])]
    assert changed
    assert all("lora_A" in name for name in changed)


def test_without_an_adapter_every_weight_learns_in_full_precision(tiny_model: Path) -> None:
    for start in (started(new=NEW), started(base=str(tiny_model))):
        assert start.base is None
        assert learning(start).keys() == dict(start.network.named_parameters()).keys()
        assert {weight.dtype for weight in learning(start).values()} == {torch.float32}
        assert start.network.training


def test_an_adapter_becomes_part_of_a_network_that_learns_whole(adapter: Path) -> None:
    start = started(base=str(adapter))
    assert start.base is None
    assert learning(start).keys() == dict(load_model(adapter).network.named_parameters()).keys()


def test_only_the_named_layers_get_an_adapter(tiny_model: Path) -> None:
    lora = LoraSettings(rank=2, targets=["q_proj", "mlp.down_proj"])
    start = started(base=str(tiny_model), lora=lora)
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in learning(start)}
    assert layers == {"q_proj", "down_proj"}


def test_a_base_keeps_its_words_unless_others_are_given(base: Path) -> None:
    text = "Write a crystal. {conditions}It is:\n"
    (base / "prompts" / "generate.txt").write_text(text)
    assert started(base=str(base), lora=LORA).prompts.templates["generate"] == text
    shutil.rmtree(base / "prompts")
    (base / "crystext.json").unlink()
    assert started(base=str(base), lora=LORA).prompts == load_prompts()


def test_activations_are_computed_twice_on_request(tiny_model: Path) -> None:
    settings = {"base": str(tiny_model), "lora": LORA, "quantize": "nf4"}
    gradients = []
    for twice in (False, True):
        with warnings.catch_warnings():
            # There is nothing in it that a user could change.
            warnings.simplefilter("error", FutureWarning)
            # That of torch to the authors of bitsandbytes: a newer one says nothing.
            warnings.filterwarnings("ignore", "_check_is_size", FutureWarning)
            start = started(gradient_checkpointing=twice, **settings)
        network: Any = start.network
        assert network.is_gradient_checkpointing == twice
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        ids = torch.arange(5, 25)[None]
        network(input_ids=ids, labels=ids).loss.backward()
        gradients.append({name: weight.grad for name, weight in learning(start).items()})
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert torch.equal(gradients[1][name], gradient), name


@dataclass(frozen=True)
class Fault:
    """Settings that cannot be started from, and what is said of them."""

    settings: dict[str, Any]
    kind: type[CrystextError]
    message: str


def of_targets(*targets: str) -> dict[str, Any]:
    return {"lora": LoraSettings(rank=2, targets=list(targets))}


FAULTS = {
    "no such folder": Fault({"base": "no where"}, ModelError, "no model folder no where"),
    "no such name": Fault({"base": "me/nowhere"}, ModelError, "nor in the Hub's cache"),
    "a misspelt target": Fault(of_targets("q_prj"), SettingError, "Did you mean 'q_proj'"),
    "two of them": Fault(of_targets("q_prj", "x"), SettingError, "'x' does not exist.* o_proj, q_"),
    "no linear layer": Fault(of_targets("norm"), SettingError, "'norm' is not a linear layer"),
    "no target": Fault(of_targets(), SettingError, "none is given"),
    "too long": Fault({"max_tokens": 257}, SettingError, "257, and .* knows 256 positions"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_settings_that_do_not_fit_the_base_are_refused(tiny_model: Path, fault: Fault) -> None:
    with pytest.raises(fault.kind, match=fault.message):
        started(**{"base": str(tiny_model), "lora": LORA, **fault.settings})


def test_a_target_is_looked_for_in_a_new_network_too() -> None:
    with pytest.raises(SettingError, match="Did you mean 'k_proj'"):
        started(new=NEW, **of_targets("kproj"))


def test_four_bits_without_an_adapter_are_refused() -> None:
    with pytest.raises(ValidationError, match="add lora"):
        ModelSettings(base="shipped", quantize="nf4")


def no_tokenizer(base: Path) -> None:
    (base / "tokenizer.json").unlink()


def pickles_alone(base: Path) -> None:
    (base / "model.safetensors").unlink()
    (base / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def no_weights(base: Path) -> None:
    (base / "model.safetensors").unlink()


def no_config(base: Path) -> None:
    (base / "config.json").unlink()


def another_kind_of_model(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    config |= {"model_type": "vit", "architectures": ["ViTModel"]}
    (base / "config.json").write_text(json.dumps(config))


def no_end(base: Path) -> None:
    path = base / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["eos_token"]
    path.write_text(json.dumps(config))


HARMS: dict[Callable[[Path], None], str] = {
    no_tokenizer: "has no tokenizer: none of tokenizer.json",
    pickles_alone: r"as pickles only \(pytorch_model.bin\), which can run code",
    no_weights: "has its weights nowhere",
    no_config: "lacks config.json",
    another_kind_of_model: "cannot be loaded",
    no_end: "no end-of-sequence token",
}


@pytest.mark.parametrize(
    ("harm", "message"), HARMS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_base_that_cannot_be_trained_on_is_refused(
    base: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(base)
    with pytest.raises(CrystextError, match=message):
        started(base=str(base), lora=LORA)


def test_an_adapter_of_another_shape_is_not_trained_on(adapter: Path) -> None:
    with pytest.raises(SettingError, match=r"rank is 2 there, 8 requested; alpha is 4 there, 32"):
        started(base=str(adapter), lora=LoraSettings(rank=8, alpha=32))


def cut(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:3000])


def without_a_layer(adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    del weights[next(iter(weights))]
    save_file(weights, path)


def changed(name: str, **values: Any) -> Callable[[Path], None]:
    def harm(adapter: Path) -> None:
        content = json.loads((adapter / name).read_text()) | values
        (adapter / name).write_text(json.dumps(content))

    harm.__name__ = f"{name}: {values}"
    return harm


def pickled(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")


ADAPTER_HARMS: dict[Callable[[Path], None], str] = {
    cut: "the adapter in .* cannot be loaded",
    without_a_layer: "does not fit its base: .* is missing",
    pickled: "lacks adapter_model.safetensors",
    changed("adapter_config.json", r=3): "the adapter in .* cannot be loaded",
    **{
        changed("adapter_config.json", **values): "the adapter in .* cannot be loaded"
        for values in (
            {"r": "2"},
            {"lora_alpha": "x"},
            {"lora_dropout": [0]},
            {"target_modules": 5},
            {"target_modules": "("},
            {"target_modules": [5]},
            {"rank_pattern": [1]},
            {"task_type": 5},
        )
    },
    changed("adapter_config.json", peft_type="IA3"): "not a plain LoRA",
    changed("adapter_config.json", megatron_config={"a": 1}): "not a plain LoRA",
    changed("crystext.json", base="/no/where"): "no model folder /no/where.*write its path into",
    changed("crystext.json", quantize="int3"): "quantize is 'int3'",
    changed("crystext.json", base=None): "its values are of another kind",
}


@pytest.mark.parametrize(
    ("harm", "message"), ADAPTER_HARMS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_damaged_adapter_is_refused(
    adapter: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(adapter)
    with pytest.raises(ModelError, match=message):
        load_model(adapter)


@pytest.mark.parametrize("values", [{"r": "2"}, {"lora_alpha": "x"}, {"target_modules": 5}])
def test_a_damaged_adapter_is_not_trained_on(adapter: Path, values: dict[str, Any]) -> None:
    changed("adapter_config.json", **values)(adapter)
    with pytest.raises(ModelError, match=r"the adapter in .* cannot be loaded"):
        started(base=str(adapter), lora=LORA)


@pytest.mark.parametrize("content", ["{", "[]", "5", '{"temperature": "x"}'])
def test_damaged_settings_of_drawing_are_told_by_who_reads_them(
    adapter: Path, tmp_path: Path, content: str
) -> None:
    (adapter / "generation_config.json").write_text(content)
    with pytest.raises(ModelError, match=str(adapter)):
        merge_adapter(adapter, tmp_path / "merged")
    if "temperature" not in content:
        with pytest.raises(ModelError, match=str(adapter)):
            load_model(adapter)


def test_a_folder_of_something_else_is_not_written_over(tiny_model: Path, tmp_path: Path) -> None:
    loaded = load_model(tiny_model)
    parts = loaded.network, loaded.tokenizer, loaded.prompts, loaded.format
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(ModelError, match="holds files that are not a model"):
        save_model(tmp_path / "mine", *parts)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_model_is_replaced_as_a_whole_or_not_at_all(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(tiny_model)
    parts = loaded.network, loaded.prompts, loaded.format
    network, prompts, fmt = parts
    folder = tmp_path / "model"
    save_model(folder, network, loaded.tokenizer, prompts, fmt)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(AttributeError):
        save_model(folder, network, None, prompts, fmt)  # type: ignore[arg-type]
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    (folder / "left").write_text("from before")
    save_model(folder, network, loaded.tokenizer, prompts, fmt)
    assert {p for p in folder.rglob("*") if p.is_file()} == before.keys()

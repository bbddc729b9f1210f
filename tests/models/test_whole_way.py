"""From a base in four bits through training, saving, loading and merging to crystals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from crystext.conditions.sampling_constraints import Constraints
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.generate import TextGenerator
from crystext.inference.types import Request, SamplingSettings
from crystext.models.digest import model_hash
from crystext.models.initialize import InitialModel, initialize_model
from crystext.models.load import LoadedModel, load_model, save_model
from crystext.models.merge import merge_adapter
from crystext.models.settings import LoraSettings, ModelSettings, NewLlamaSettings
from crystext.runtime.shipped_files import shipped_model
from crystext.tasks.base import Example
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import FORMATS, PLAIN, decode, encode
from crystext.tokenization.encode import example_ids
from tests.example_crystals import NACL
from tests.llm_tokenizers import llama_2_like, llama_3_like

if TYPE_CHECKING:
    from peft import PeftModel

LORA = LoraSettings(rank=4, alpha=16)
ROUNDED = FORMATS["gruver2024-rounded"]


def write_base(folder: Path, tokenizer: Any) -> str:
    """Write a two-layer LLaMA as the Hub has them: without a padding token, or prompts."""
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        # Networks are often padded to more tokens than the tokenizer has.
        vocab_size=len(tokenizer) + 5,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def settings_of(kind: str, folder: Path) -> ModelSettings:
    if kind == "new":
        sizes = NewLlamaSettings(hidden_size=64, intermediate_size=128, layers=2, heads=4)
        return ModelSettings(new=sizes, quantize="nf4", lora=LORA)
    if kind == "shipped" and not shipped_model().is_dir():
        pytest.skip("the weights are not in this checkout")
    makers = {"llama 2": llama_2_like, "llama 3": llama_3_like}
    base = kind if kind == "shipped" else write_base(folder / "base", makers[kind]())
    return ModelSettings(base=base, quantize="nf4", lora=LORA)


@dataclass(frozen=True)
class Trained:
    """An adapter that has learned a little, in memory and on disk."""

    start: InitialModel
    ids: torch.Tensor
    losses: list[float]
    folder: Path


def started(settings: ModelSettings) -> InitialModel:
    # In float32 the adapter's product is the same merged or beside, up to the last digits.
    return initialize_model(
        settings,
        None,
        PLAIN if settings.base in (None, "shipped") else ROUNDED,
        max_tokens=256,
        seed=1,
        device=torch.device("cpu"),
        compute_dtype=torch.float32,
    )


def train(start: InitialModel, folder: Path) -> Trained:
    example = Example(generation_prompt(start.prompts), encode(NACL, start.format))
    ids, labels = (torch.tensor([row]) for row in example_ids(start.tokenizer, example))
    weights = [p for p in start.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.005)
    losses = []
    for _ in range(3):
        loss = start.network(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    save_model(folder, start.network, start.tokenizer, start.prompts, start.format, base=start.base)
    start.network.eval()
    return Trained(start, ids, losses, folder)


@pytest.fixture(scope="module", params=["new", "shipped", "llama 2", "llama 3"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("way")
    return train(started(settings_of(request.param, folder)), folder / "adapter")


@pytest.fixture(scope="module")
def loaded(trained: Trained) -> LoadedModel:
    return load_model(trained.folder)


def logits(network: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.as_tensor(network(input_ids=ids).logits).float()


def test_the_base_is_in_four_bits_and_the_adapter_alone_learns(trained: Trained) -> None:
    from bitsandbytes.nn import Linear4bit

    network: Any = trained.start.network
    packed = [module for module in network.modules() if isinstance(module, Linear4bit)]
    layers = network.config.num_hidden_layers
    assert len(packed) == 7 * layers
    assert {module.weight.quant_type for module in packed} == {"nf4"}
    assert all(module.weight.quant_state.nested for module in packed), "doubly quantised"
    learning = [name for name, p in network.named_parameters() if p.requires_grad]
    assert len(learning) == 2 * 7 * layers
    assert all("lora_" in name for name in learning)
    assert trained.losses[-1] < trained.losses[0] - 0.1


def train_without_dropout(network: Any) -> Any:
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    return network


def test_an_evaluation_in_between_changes_no_gradient(trained: Trained) -> None:
    network: Any = train_without_dropout(trained.start.network)

    def gradients() -> dict[str, torch.Tensor]:
        network(input_ids=trained.ids, labels=trained.ids).loss.backward()
        found = {n: p.grad.clone() for n, p in network.named_parameters() if p.requires_grad}
        network.zero_grad()
        return found

    before = gradients()
    network.eval()
    logits(network, trained.ids)
    train_without_dropout(network)
    after = gradients()
    network.eval()
    for name, gradient in before.items():
        assert torch.equal(after[name], gradient), name


def test_what_is_loaded_is_what_was_trained(trained: Trained, loaded: LoadedModel) -> None:
    expected = logits(trained.start.network, trained.ids)
    found = logits(loaded.network, trained.ids)
    assert torch.allclose(found, expected, atol=2e-4 * float(expected.abs().max()))
    assert loaded.tokenizer.get_vocab() == trained.start.tokenizer.get_vocab()
    assert loaded.prompts == trained.start.prompts
    assert loaded.format == trained.start.format
    # The base in full is another model than the base in four bits.
    description = (trained.folder / "crystext.json").read_text()
    (trained.folder / "crystext.json").write_text(description.replace("nf4", "none"))
    try:
        other = logits(load_model(trained.folder).network, trained.ids)
    finally:
        (trained.folder / "crystext.json").write_text(description)
    assert not torch.allclose(other, expected, atol=1e-2 * float(expected.abs().max()))


def test_peft_alone_finds_the_base_and_reads_the_adapter(trained: Trained) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    network: PeftModel = AutoPeftModelForCausalLM.from_pretrained(
        trained.folder, quantization_config=quantization, dtype=torch.float32
    )
    expected = logits(trained.start.network, trained.ids)
    # Evaluated, bitsandbytes would compute in bfloat16 on some processors.
    found = logits(train_without_dropout(network), trained.ids)
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))


def test_transformers_alone_reads_the_merged_model(trained: Trained, tmp_path: Path) -> None:
    merge_adapter(trained.folder, tmp_path / "merged")
    # transformers 4 reads float32 unless told otherwise, 5 reads what is stored.
    options = {"use_safetensors": True, "dtype": "auto"}
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", **options)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert network.dtype == torch.bfloat16
    assert tokenizer.get_vocab() == trained.start.tokenizer.get_vocab()
    expected = logits(trained.start.network, trained.ids)
    error = logits(network.float(), trained.ids) - expected
    # bfloat16 keeps 8 bits of each weight.
    assert float(error.abs().max()) < 0.03 * float(expected.abs().max())
    again = load_model(tmp_path / "merged")
    assert again.format == trained.start.format
    assert again.prompts == trained.start.prompts


def test_crystals_are_drawn_from_it(trained: Trained, loaded: LoadedModel) -> None:
    settings = SamplingSettings(seed=2)
    sampler = TextGenerator(loaded, settings).sampler()
    fast = trained.start.format == PLAIN
    assert isinstance(sampler, BatchSampler if fast else AnyTokenizerSampler)
    attempts = sampler.draw(
        Request(
            generation_prompt(loaded.prompts), Constraints(max_atoms=2, min_distance_ratio=0.65)
        ),
        range(2),
    )
    assert [attempt.failure for attempt in attempts] == [None, None]
    for attempt in attempts:
        assert decode(attempt.text, format=loaded.format).crystal is not None


def test_training_goes_on_where_the_adapter_was_left(trained: Trained, tmp_path: Path) -> None:
    settings = ModelSettings(base=str(trained.folder), quantize="nf4", lora=LORA)
    start = started(settings.model_copy(update={"base": str(trained.folder)}))
    start.network.eval()
    expected = logits(trained.start.network, trained.ids)
    assert torch.allclose(logits(start.network, trained.ids), expected, atol=1e-4)
    further = train(start, tmp_path / "further")
    found = logits(load_model(further.folder).network, trained.ids)
    expected = logits(further.start.network, trained.ids)
    assert torch.allclose(found, expected, atol=2e-4 * float(expected.abs().max()))


def test_the_hash_is_that_of_adapter_and_base_wherever_they_lie(
    trained: Trained, tmp_path: Path
) -> None:
    import shutil

    copy = Path(shutil.copytree(trained.folder, tmp_path / "copy"))
    before = model_hash(trained.folder)
    place = '"base_model_name_or_path": "'
    config = (copy / "adapter_config.json").read_text()
    assert place in config
    (copy / "adapter_config.json").write_text(config.replace(place, place + "/elsewhere"))
    assert model_hash(copy) == before
    with (copy / "adapter_model.safetensors").open("ab") as file:
        file.write(b"\n")
    assert model_hash(copy) != before

"""A causal language model of a folder or of the Hub that answers by transformers' `generate`.

Its weights are read from safetensors only, and none of its code is run. A tokenizer with a chat
template gets the conversation in that template; one without gets the words, separated by blank
lines.

Decoding is greedy by default, so that a run can be repeated; a temperature samples. Randomness
depends on the seed and the prompts of a batch alone: a resumed run gives the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystext.inference.text_models.base import ChatDecoding, TextModel
from crystext.models.digest import model_hash
from crystext.models.layout import base_folder, find_folder, is_adapter
from crystext.runtime.files import json_digest
from crystext.tasks.chat_prompt import ChatPrompt
from crystext.tokenization.conversation import render_conversation

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BATCHES_AT_ONCE = 4


class CausalTextModel(TextModel):
    """A causal language model; it is loaded when it is first needed."""

    def __init__(self, source: str, decoding: ChatDecoding, *, seed: int = 0) -> None:
        """Describe the model.

        Args:
            source: a folder, or OWNER/NAME on the Hub: a model of any kind that transformers
                knows, or an adapter of this package.
            decoding: how it writes.
            seed: of sampling.
        """
        self.source, self.decoding, self.seed = source, decoding, seed
        # The place of a folder differs between machines.
        self.name = Path(source).resolve().name if Path(source).exists() else source
        self.prompts_at_once = _BATCHES_AT_ONCE * decoding.batch_size

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        from crystext.models.load import load_model
        from crystext.models.network import check_tokenizer_fits, read_network, read_tokenizer
        from crystext.runtime.device import move_to_gpu

        folder = find_folder(self.source)
        network: Any
        if is_adapter(folder):
            model = load_model(folder)
            network, tokenizer = model.network, model.tokenizer
        else:
            folder = base_folder(self.source)
            tokenizer = read_tokenizer(folder)
            network = read_network(folder)
            check_tokenizer_fits(folder, network, tokenizer)
        move_to_gpu(network)
        return network, tokenizer

    def identity(self) -> Any:
        """Return the digest of the model, how it decodes and the seed."""
        digest = model_hash(find_folder(self.source), quick=True)
        return [digest, vars(self.decoding), self.seed]

    def answer(self, prompts: Sequence[ChatPrompt]) -> list[tuple[str, str]]:
        """Return an answer or a reason for each prompt; see `TextModel.answer`."""
        tokenizer = self._loaded[1]
        token_ids = [tokenize(tokenizer, prompt) for prompt in prompts]
        results = [("", "")] * len(prompts)
        fitting: list[int] = []
        for i, ids in enumerate(token_ids):
            if self._budget(len(ids)) > 0:
                fitting.append(i)
            else:
                results[i] = (
                    "",
                    f"the prompt has {len(ids):,} tokens; the limit is {self._limit():,}",
                )
        size = self.decoding.batch_size
        for rows in (fitting[start : start + size] for start in range(0, len(fitting), size)):
            answers = self._generate([token_ids[i] for i in rows])
            for i, text in zip(rows, answers, strict=True):
                results[i] = (text, "")
        return results

    def _limit(self) -> int:
        context = getattr(self._loaded[0].config, "max_position_embeddings", None) or 2**20
        return min(int(context), self.decoding.max_length or int(context))

    def _budget(self, length: int) -> int:
        """Return how many tokens an answer to a prompt of this length may have."""
        return min(self.decoding.max_new_tokens, self._limit() - length)

    def _generate(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        network, tokenizer = self._loaded
        width = max(map(len, prompts))
        device = next(network.parameters()).device
        padding = tokenizer.pad_token_id
        ids = torch.tensor([[padding] * (width - len(x)) + list(x) for x in prompts], device=device)
        mask = torch.tensor([[0] * (width - len(x)) + [1] * len(x) for x in prompts], device=device)
        config = GenerationConfig(
            max_new_tokens=self._budget(width),
            pad_token_id=padding,
            eos_token_id=_end_tokens(network, tokenizer),
            **_sampling(self.decoding),
        )
        penalty = self.decoding.frequency_penalty
        processors: list[Any] = [_FrequencyPenalty(penalty, width)] if penalty else []
        seed = int(json_digest([self.seed, [list(x) for x in prompts]])[:15], 16)
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(seed)
            out: Any = network.generate(  # type: ignore[operator]
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList(processors),
            )
        return [
            str(text).strip()
            for text in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        ]


def _sampling(decoding: ChatDecoding) -> dict[str, Any]:
    if decoding.temperature == 0:
        return {"do_sample": False}
    top_p = 1.0 if decoding.top_p is None else decoding.top_p
    return {
        "do_sample": True,
        "temperature": decoding.temperature,
        "top_k": decoding.top_k or 0,
        "top_p": top_p,
    }


class _FrequencyPenalty:
    """Lowers the logits of tokens by a penalty for each time that the answer has them.

    Source: the frequency_penalty of OpenAI's API, as vLLM has it; the prompt does not count.
    transformers has only a repetition penalty, which divides logits and counts the prompt.
    """

    def __init__(self, penalty: float, prompt_width: int) -> None:
        self.penalty, self.prompt_width = penalty, prompt_width

    def __call__(self, ids_B_T: torch.Tensor, logits_B_V: torch.Tensor) -> torch.Tensor:
        import torch

        answer_B_T = ids_B_T[:, self.prompt_width :]
        counts_B_V = torch.zeros_like(logits_B_V)
        counts_B_V.scatter_add_(1, answer_B_T, torch.ones_like(answer_B_T, dtype=logits_B_V.dtype))
        return logits_B_V - self.penalty * counts_B_V


def _end_tokens(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end an answer: chat models often have one for the end of a turn."""
    given = getattr(network.generation_config, "eos_token_id", None)
    ends = given if isinstance(given, list) else [] if given is None else [given]
    return sorted({*ends, int(tokenizer.eos_token_id)})


def tokenize(tokenizer: PreTrainedTokenizerBase, prompt: ChatPrompt) -> list[int]:
    """Return the tokens of a prompt, in the model's chat template if it has one."""
    if prompt.messages and tokenizer.chat_template:
        text = render_conversation(tokenizer, prompt.messages, asks=True)
    elif prompt.messages:
        return list(tokenizer(prompt.as_text())["input_ids"])
    else:
        text = prompt.text
    # The text holds its control tokens: a second start token would be wrong.
    has_start = tokenizer.bos_token is not None and text.startswith(str(tokenizer.bos_token))
    is_template = bool(prompt.messages)
    ids = tokenizer(text, add_special_tokens=not (has_start or is_template))["input_ids"]
    return list(ids)

"""Samples crystals from any causal language model, in its own vocabulary.

Used for models with a general tokenizer, and for all models if the constraints are off.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from crystext.errors import ModelError
from crystext.grammar.any_tokenizer import GrammarProcessor, TokenTrie
from crystext.grammar.base import grammar_of
from crystext.inference.categorical import draw_categorical, uniform_numbers
from crystext.inference.guidance import mix_logits, weighted_prompts
from crystext.inference.request_grammar import (
    MAX_RESTARTS,
    decode_completion,
    field_automaton_for,
    max_characters,
    must_be_redrawn,
    next_field_kind,
)
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.load import LoadedModel
from crystext.text import Format
from crystext.tokenization.encode import prompt_ids


class AnyTokenizerSampler:
    """A model and its tokenizer, ready for sampling."""

    def __init__(
        self, model: LoadedModel, settings: SamplingSettings, fmt: Format | None = None
    ) -> None:
        """Prepare for sampling.

        Args:
            model: to sample from.
            settings: sampling settings.
            fmt: the format of the texts; None is the model's own.

        Raises:
            ModelError: the tokenizer has no end-of-sequence token, or cannot write a crystal.
        """
        if model.tokenizer.eos_token_id is None:
            raise ModelError(
                f"the tokenizer in {model.folder} has no end-of-sequence token, which ends a "
                "crystal's text; set its eos_token"
            )
        self.model, self.settings = model, settings
        self.format = model.format if fmt is None else fmt
        self._trie = None
        if settings.constrained and (grammar := grammar_of(self.format)) is not None:
            self._trie = TokenTrie(model.tokenizer, grammar.letters)

    def draw(
        self,
        request: Request,
        indices: Sequence[int],
        *,
        redraw: int = 0,
        wanted: int | None = None,
    ) -> list[Attempt]:
        """Sample one text for each index; seed, index and redraw determine its random numbers.

        Those of the first `wanted` indices are returned, or all.

        An unfinished text is cut off at the model's last position. A text is sampled again, up to
        `MAX_RESTARTS` times, if it `must_be_redrawn`.

        Raises:
            ModelError: the prompt alone takes all positions of the model.
        """
        done: dict[int, Attempt] = {}
        left = list(indices)
        with torch.inference_mode():
            for again in range(MAX_RESTARTS):
                drawn = self._draw(request, left, redraw, again)
                done |= {attempt.index: attempt for attempt in drawn}
                if not self.settings.constrained:
                    break
                left = [a.index for a in drawn if must_be_redrawn(request, a.text, self.format)]
                if not left:
                    break
        return [done[index] for index in indices[:wanted]]

    def _draw(
        self, request: Request, indices: Sequence[int], redraw: int, restart: int
    ) -> list[Attempt]:
        settings, network, tokenizer = self.settings, self.model.network, self.model.tokenizer
        prompts = weighted_prompts(request, settings.guidance)
        read = [prompt_ids(tokenizer, asked.prompt) for asked in prompts]
        given = max(read, key=len)
        known = getattr(network.config, "max_position_embeddings", None)
        # At most one token for each character, and the end.
        budget = max_characters(request, self.format) + 1
        if known is not None:
            budget = min(budget, known - len(given))
        if budget < 1:
            raise ModelError(
                f"the prompt has {len(given)} tokens and the model has {known} positions; "
                "try a shorter prompt"
            )
        end, vocabulary = int(tokenizer.eos_token_id), len(tokenizer)
        uniform = torch.from_numpy(
            uniform_numbers(settings.seed, indices, budget, redraw=redraw, restart=restart)
        )
        processor = self._processor(len(given), request)
        device = next(network.parameters()).device
        step_ids = [torch.tensor([ids] * len(indices), device=device) for ids in read]
        generated = torch.empty(len(indices), 0, dtype=torch.long)
        log_probability = torch.zeros(len(indices), dtype=torch.float64)
        ended = torch.zeros(len(indices), dtype=torch.bool)
        caches = [None] * len(read)
        for step in range(budget):
            outputs = [
                network(input_ids=ids, past_key_values=cache, use_cache=True)
                for ids, cache in zip(step_ids, caches, strict=True)
            ]
            caches = [output.past_key_values for output in outputs]
            # Rows of the output layer beyond the vocabulary are padding.
            logits = mix_logits(
                [output.logits[:, -1, :vocabulary].cpu() for output in outputs], prompts
            )
            allowed = processor.mask(generated, vocabulary) if processor else None
            temperatures = self._temperatures(request, given, generated)
            tokens, chance = self._draw_tokens(logits, uniform[:, step], allowed, temperatures)
            tokens = tokens.masked_fill(ended, end)
            log_probability += chance.double().masked_fill(ended, 0.0)
            generated = torch.cat([generated, tokens[:, None]], dim=1)
            ended |= tokens == end
            if ended.all():
                break
            step_ids = [tokens[:, None].to(device)] * len(read)
        return [
            self._attempt(request, index, given, row, float(chance))
            for index, row, chance in zip(indices, generated.tolist(), log_probability, strict=True)
        ]

    def _draw_tokens(
        self,
        logits: torch.Tensor,
        uniform: torch.Tensor,
        allowed: torch.Tensor | None,
        temperatures: list[float],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sample the next token of each row at its field's temperature, with log-probability."""
        tokens = torch.empty(len(logits), dtype=torch.long)
        chances = torch.empty(len(logits), dtype=logits.dtype)
        for temperature in sorted(set(temperatures)):
            rows = torch.tensor([i for i, t in enumerate(temperatures) if t == temperature])
            drawn, chance = draw_categorical(
                logits[rows],
                uniform[rows],
                allowed_B_V=None if allowed is None else allowed[rows],
                temperature=temperature,
                top_p=self.settings.top_p,
            )
            tokens[rows], chances[rows] = drawn, chance.to(chances.dtype)
        return tokens, chances

    def _temperatures(
        self, request: Request, prompt_tokens: list[int], generated: torch.Tensor
    ) -> list[float]:
        settings, fmt = self.settings, self.format
        if settings.has_one_temperature:
            return [settings.temperature] * len(generated)
        start = len(self._text(prompt_tokens))
        texts = (self._text(prompt_tokens + row)[start:] for row in generated.tolist())
        return [settings.temperature_of(next_field_kind(request, text, fmt)) for text in texts]

    def _text(self, ids: list[int]) -> str:
        # A special token within a text makes it invalid, and has to stay visible.
        text = self.model.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def _processor(self, prompt_tokens: int, request: Request) -> GrammarProcessor | None:
        if self._trie is None:
            return None
        fields = field_automaton_for(request, self.format)
        assert fields is not None, "a trie exists only if a grammar does"
        return GrammarProcessor(self.model.tokenizer, prompt_tokens, fields, self._trie)

    def _attempt(
        self,
        request: Request,
        index: int,
        prompt_tokens: list[int],
        generated: list[int],
        log_probability: float,
    ) -> Attempt:
        end = self.model.tokenizer.eos_token_id
        whole = end in generated
        body = generated[: generated.index(end)] if whole else generated

        # Decoded after the prompt: some tokenizers drop a leading space.
        text = self._text(prompt_tokens + body)[len(self._text(prompt_tokens)) :]
        decoded = decode_completion(request, text, self.format)
        fault = decoded.failure.name if decoded.failure else None
        if fault is None and not whole:
            fault = "TRUNCATED"
        return Attempt(index, text, fault, round(log_probability, 4), len(body) + whole)

"""Draws crystals from any causal language model, by its own vocabulary.

Serves models with a general tokenizer, and models of any kind when the constraints are off.
"""

from __future__ import annotations

import torch

from crystext.codec import decode
from crystext.errors import ModelError
from crystext.grammar.automaton import Automaton
from crystext.grammar.characters import GrammarProcessor, TokenTree
from crystext.grammar.constraints import Constraints
from crystext.grammar.fields import kind_after
from crystext.models.load import LoadedModel
from crystext.sampling.attempt import Attempt, DrawSettings, Request
from crystext.sampling.draw import draw, uniform_numbers
from crystext.tokens import prompt_ids


class TextSampler:
    """A model and its tokenizer, ready to draw."""

    def __init__(self, model: LoadedModel, settings: DrawSettings) -> None:
        """Get ready.

        Raises:
            ModelError: the tokenizer has no end-of-sequence token, or cannot write a crystal.
        """
        if model.tokenizer.eos_token_id is None:
            raise ModelError(
                f"the tokenizer in {model.folder} has no end-of-sequence token, which closes a "
                "crystal's text; set its eos_token"
            )
        self.model, self.settings = model, settings
        self._tree = TokenTree(model.tokenizer) if settings.constrained else None

    def draw(self, request: Request, indices: range) -> list[Attempt]:
        """Draw one text for each index; the index and the seed decide its random numbers.

        A text that is not ended when the model knows no further position is cut off there.

        Raises:
            ModelError: the prompt alone takes all the positions that the model knows.
        """
        with torch.inference_mode():
            return self._draw(request, indices)

    def _draw(self, request: Request, indices: range) -> list[Attempt]:
        settings, network, tokenizer = self.settings, self.model.network, self.model.tokenizer
        given = prompt_ids(tokenizer, request.prompt)
        known = getattr(network.config, "max_position_embeddings", None)
        budget = self.most_tokens(request.constraints.max_atoms)
        if known is not None:
            budget = min(budget, known - len(given))
        if budget < 1:
            raise ModelError(
                f"the prompt has {len(given)} tokens and the model knows {known} positions; "
                "try a shorter prompt"
            )
        end, vocabulary = int(tokenizer.eos_token_id), len(tokenizer)
        uniform = torch.from_numpy(uniform_numbers(settings.seed, indices, budget))
        processor = self._processor(len(given), request.constraints)
        device = next(network.parameters()).device
        step_ids = torch.tensor([given] * len(indices), device=device)
        generated = torch.empty(len(indices), 0, dtype=torch.long)
        log_probability = torch.zeros(len(indices), dtype=torch.float64)
        ended = torch.zeros(len(indices), dtype=torch.bool)
        cache = None
        for step in range(budget):
            output = network(input_ids=step_ids, past_key_values=cache, use_cache=True)
            # Rows of the output layer behind the vocabulary's end are padding.
            cache, logits = output.past_key_values, output.logits[:, -1, :vocabulary].cpu()
            allowed = processor.mask(generated, vocabulary) if processor else None
            tokens, chance = self._tokens(logits, uniform[:, step], allowed, given, generated)
            tokens = tokens.masked_fill(ended, end)
            log_probability += chance.double().masked_fill(ended, 0.0)
            generated = torch.cat([generated, tokens[:, None]], dim=1)
            ended |= tokens == end
            if ended.all():
                break
            step_ids = tokens[:, None].to(device)
        return [
            self._attempt(index, given, row, float(chance))
            for index, row, chance in zip(indices, generated.tolist(), log_probability, strict=True)
        ]

    def _tokens(
        self,
        logits: torch.Tensor,
        uniform: torch.Tensor,
        allowed: torch.Tensor | None,
        given: list[int],
        generated: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the next token of each row, and its log-probability, at its field's temperature."""
        temperatures = self._temperatures(given, generated)
        tokens = torch.empty(len(logits), dtype=torch.long)
        chances = torch.empty(len(logits), dtype=logits.dtype)
        for temperature in sorted(set(temperatures)):
            rows = torch.tensor([i for i, t in enumerate(temperatures) if t == temperature])
            drawn, chance = draw(
                logits[rows],
                uniform[rows],
                allowed_B_V=None if allowed is None else allowed[rows],
                temperature=temperature,
                top_p=self.settings.top_p,
            )
            tokens[rows], chances[rows] = drawn, chance.to(chances.dtype)
        return tokens, chances

    def _temperatures(self, given: list[int], generated: torch.Tensor) -> list[float]:
        settings = self.settings
        if settings.element_temperature is None and settings.coordinate_temperature is None:
            return [settings.temperature] * len(generated)
        start = len(self._text(given))
        texts = (self._text(given + row)[start:] for row in generated.tolist())
        return [settings.temperature_of(kind_after(text, self.model.format)) for text in texts]

    def _text(self, ids: list[int]) -> str:
        # A special token amid a text is a fault of it, and is to be seen.
        text = self.model.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def most_tokens(self, atoms: int) -> int:
        """Return how many tokens a crystal takes at the worst: one for each character."""
        fmt = self.model.format
        cell = 3 * (fmt.length_decimals + fmt.angle_decimals + 10)
        return cell + atoms * (3 * (fmt.coordinate_decimals + 3) + 4) + 1

    def _processor(self, prompt_tokens: int, constraints: Constraints) -> GrammarProcessor | None:
        if self._tree is None:
            return None
        automaton = Automaton(self.model.format, 1, constraints)
        return GrammarProcessor(self.model.tokenizer, prompt_tokens, automaton, self._tree)

    def _attempt(
        self, index: int, given: list[int], generated: list[int], log_probability: float
    ) -> Attempt:
        end = self.model.tokenizer.eos_token_id
        whole = end in generated
        body = generated[: generated.index(end)] if whole else generated

        # Decoded behind the prompt: some tokenizers drop a space at the start of a text.
        text = self._text(given + body)[len(self._text(given)) :]
        decoded = decode(text, format=self.model.format)
        fault = decoded.fault.name if decoded.fault else None
        if fault is None and not whole:
            fault = "TRUNCATED"
        return Attempt(index, text, fault, round(log_probability, 4), len(body) + whole)

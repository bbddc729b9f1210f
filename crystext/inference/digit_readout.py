"""Read the distribution of a number that is written in digits, by expanding what can be written.

Every beginning of a number that the grammar allows is a node of a tree; the model gives the
probability of each token after it, over the tokens that the grammar allows. Nodes are expanded
while they hold more than a small part of the probability; the rest is left where its beginning
stands, and reported. So the distribution is exact up to that rest, for any tokenizer, and no sample
is drawn: a rare wrong exponent cannot spoil the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.errors import ModelError
from crystext.grammar.numbers import NumberGrammar
from crystext.inference.answer_distribution import AnswerDistribution
from crystext.inference.answer_readout import AnswerReadout
from crystext.structures.crystal import Floats
from crystext.tasks.answer_scales import AnswerScale
from crystext.tokenization.encode import completion_ids, token_texts

if TYPE_CHECKING:
    pass

_MIN_PROBABILITY = 2e-3
"""A beginning with less is not expanded further."""

_MAX_NODES = 512
"""Beginnings of one number that are expanded at once; the most probable ones."""

_BATCH_TOKENS = 16_384

_NUMBER_CHARACTERS = frozenset("0123456789.e+-")


class DigitReadout(AnswerReadout):
    """Reads answers that are written in digits, or as words for booleans."""

    def _find_tokens(self) -> None:
        """Look up the tokens that numbers can consist of.

        Raises:
            ModelError: the tokenizer has no token for a digit, or no end-of-sequence token.
        """
        tokenizer = self.tokenizer
        texts = token_texts(tokenizer, range(len(tokenizer)))
        self._pieces = {
            i: text for i, text in enumerate(texts) if text and _NUMBER_CHARACTERS.issuperset(text)
        }
        if not any(text == "1" for text in self._pieces.values()):
            raise ModelError("the tokenizer has no token for the digit 1, so it writes no number")
        if tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has no end-of-sequence token, which ends an answer")
        self._end = int(tokenizer.eos_token_id)

    @torch.inference_mode()
    def read(self, texts: Sequence[str], name: str) -> AnswerDistribution:
        """Return the distribution of a property for each text.

        Its values differ between texts: the numbers that hold the probability of each.
        """
        scale = self.scales[name]
        prompts = self._prompts(texts, [name])
        if scale.is_boolean:
            return self._read_words(prompts, scale)
        grammar = NumberGrammar(
            scale.digits, negative=scale.target.minimum < 0, **_exponents(scale)
        )
        return _aligned([self._expand(ids, grammar) for ids in prompts])

    def _read_words(self, prompts: Sequence[list[int]], scale: AnswerScale) -> AnswerDistribution:
        rows = [
            ids + completion_ids(self.tokenizer, word) for ids in prompts for word in scale.choices
        ]
        starts = [len(ids) for ids in prompts for _ in scale.choices]
        scores = self._log_probabilities(rows, starts).reshape(len(prompts), len(scale.choices))
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        values = np.array([scale.parse(word) for word in scale.choices], dtype=np.float64)
        return AnswerDistribution(values, weights / weights.sum(axis=1, keepdims=True))

    def _expand(self, prompt: list[int], grammar: NumberGrammar) -> dict[float, float]:
        """Return the probability of each number, or of each beginning that is left."""
        found: dict[float, float] = {}
        nodes: list[tuple[str, list[int], float]] = [("", [], 1.0)]
        while nodes:
            following: list[tuple[str, list[int], float]] = []
            for (text, ids, probability), (tokens, chances) in zip(
                nodes, self._next(prompt, nodes, grammar), strict=True
            ):
                for token, chance in zip(tokens, chances * probability, strict=True):
                    if token == self._end:
                        _add(found, text, float(chance))
                    else:
                        piece = text + self._pieces[token]
                        following.append((piece, [*ids, token], float(chance)))
            following.sort(key=lambda node: -node[2])
            nodes = []
            for i, node in enumerate(following):
                if node[2] >= _MIN_PROBABILITY and i < _MAX_NODES:
                    nodes.append(node)
                else:
                    _add(found, _shortest_number(node[0], grammar), node[2])
        return found

    def _next(
        self,
        prompt: list[int],
        nodes: Sequence[tuple[str, list[int], float]],
        grammar: NumberGrammar,
    ) -> Iterator[tuple[list[int], Floats]]:
        """Yield, for each beginning, the allowed tokens and their probabilities."""
        size = max(1, _BATCH_TOKENS // (len(prompt) + 8))
        for start in range(0, len(nodes), size):
            part = nodes[start : start + size]
            logits = self._last_logits([prompt + ids for _, ids, _ in part])
            for (text, _, _), row in zip(part, logits, strict=True):
                allowed = [
                    i for i, piece in self._pieces.items() if grammar.can_begin(text + piece)
                ]
                if grammar.is_number(text):
                    allowed.append(self._end)
                chosen = row[allowed]
                weights = np.exp(chosen - chosen.max())
                yield allowed, weights / weights.sum()

    def _last_logits(self, rows: list[list[int]]) -> Floats:
        """Return the logits after the last token of each row: (B, V)."""
        device = next(self.network.parameters()).device
        out = np.empty((len(rows), 0))
        by_length: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            by_length.setdefault(len(row), []).append(i)
        for indices in by_length.values():
            ids = torch.tensor([rows[i] for i in indices], device=device)
            logits = self.network(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
            if out.shape[1] == 0:
                out = np.empty((len(rows), logits.shape[-1]))
            out[indices] = logits.float().cpu().numpy()
        return out

    def _log_probabilities(self, rows: list[list[int]], starts: list[int]) -> Floats:
        """Return the log-probability of each row's tokens from its start on."""
        device = next(self.network.parameters()).device
        found = np.empty(len(rows))
        for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
            ids = torch.tensor([row], device=device)
            logits = self.network(input_ids=ids, use_cache=False).logits[0, start - 1 : -1]
            chances = logits.float().log_softmax(dim=-1)
            found[i] = float(chances.gather(1, ids[0, start:, None]).sum())
        return found


def _exponents(scale: AnswerScale) -> dict[str, int]:
    """Return the range of exponents, two powers of ten around what the training values have."""
    largest = max(abs(scale.mean) + 20 * scale.std, 1e-12)
    top = int(np.ceil(np.log10(largest)))
    return {"min_exponent": min(-5, top - 12), "max_exponent": max(top, 1)}


def _add(numbers: dict[float, float], text: str, probability: float) -> None:
    value = float(text) + 0.0
    numbers[value] = numbers.get(value, 0.0) + probability


def _shortest_number(text: str, grammar: NumberGrammar) -> str:
    """Return the number that a beginning stands for: itself, without what is incomplete."""
    while text and not grammar.is_number(text):
        text = text[:-1]
    return text or "0"


def _aligned(parts: Sequence[Mapping[float, float]]) -> AnswerDistribution:
    """Return distributions over different values as one, padded with values without probability."""
    width = max(map(len, parts), default=1)
    values, probabilities = np.zeros((len(parts), width)), np.zeros((len(parts), width))
    for i, part in enumerate(parts):
        ordered = sorted(part)
        values[i, : len(part)] = ordered
        values[i, len(part) :] = ordered[-1]
        probabilities[i, : len(part)] = [part[x] for x in ordered]
    return AnswerDistribution(values, probabilities / probabilities.sum(axis=1, keepdims=True))

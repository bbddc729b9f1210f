"""The log-probability of a crystal under a model: total, per site and per token.

Scores a text of the crystal after a prompt, in any format, as it would be sampled without
constraints at temperature 1. The text depends on the choice of origin, so the score does too. The
mean over random translations scores the crystal rather than one description of it; their spread
shows how sensitive the model is to translation (see `metrics.ipt`). The score still depends on the
choice of cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.errors import ModelError, SettingError
from crystext.metrics.ipt import increase_in_perplexity, transformed_texts
from crystext.models.load import LoadedModel
from crystext.models.network import float32_copy
from crystext.runtime.device import move_to_gpu
from crystext.runtime.validate_numbers import whole_number
from crystext.runtime.wording import format_count
from crystext.structures.crystal import Crystal, Floats, Ints
from crystext.tasks.base import Example
from crystext.text import PLAIN, Format, encode
from crystext.tokenization.encode import example_ids, pad_rows, prompt_ids, token_texts

if TYPE_CHECKING:
    from pandas import DataFrame

_CELL_LINES = ("lengths", "angles", "cell")
"""Kinds of lines that describe the cell, as in `Format.line_kinds`."""

_MIN_DEVIATION = 0.5
"""Nats; least standard deviation of an atom's log-probability in `Score.surprises`."""

_MAX_LOGITS = 2**24
"""Maximum number of logits in memory."""


@dataclass(frozen=True, eq=False)
class ScoredText:
    """A text of a crystal and the log-probability of each of its tokens."""

    text: str
    tokens: tuple[str, ...]
    """The characters that each of T tokens adds; the last one is the end and adds none."""
    log_probabilities: Floats
    """In nats, each given the prompt and the tokens before it; shape (T,)."""
    expected: Floats
    """The mean of the log-probability of a token that the model draws itself, in nats: minus the
    entropy; shape (T,)."""
    variances: Floats
    """The variance of that log-probability; shape (T,)."""
    lines: Ints
    """Which line of the text a token belongs to, from 0; the end is a line of its own. Shape (T,).
    A token that spans lines counts for the last of them."""

    @cached_property
    def total(self) -> float:
        """Log-probability of the text and its end, in nats."""
        return float(self.log_probabilities.sum())

    @cached_property
    def per_line(self) -> Floats:
        """Log-probability of each line, in nats: lengths, angles, then two per atom, the end."""
        return self._sums_per_line(self.log_probabilities)

    @cached_property
    def expected_per_line(self) -> Floats:
        """Of each line, in nats: what the model expects of its own texts, shape as `per_line`."""
        return self._sums_per_line(self.expected)

    @cached_property
    def variance_per_line(self) -> Floats:
        """Variance of each line's log-probability in its own texts, shape as `per_line`."""
        return self._sums_per_line(self.variances)

    def _sums_per_line(self, values: Floats) -> Floats:
        sums = np.zeros(self.text.count("\n") + 2)
        np.add.at(sums, self.lines, values)
        return sums

    @property
    def mean_loss(self) -> float:
        """Mean loss per token of the text, in nats, without the end, as for perplexity."""
        return -float(self.log_probabilities[:-1].mean())


@dataclass(frozen=True)
class SiteScore:
    """Log-probability of an atom, in nats, given the cell and the atoms written before it."""

    site: int
    """Index of the site in the given crystal, from 0."""
    symbol: str
    element: float
    """Of its element, which includes that another atom follows."""
    coordinates: float
    """Of its position, given the element."""

    @property
    def total(self) -> float:
        """Of both together."""
        return self.element + self.coordinates


@dataclass(frozen=True, eq=False)
class Score:
    """Log-probabilities of a crystal under a model, in nats: means over `readings`."""

    crystal: Crystal
    prompt: str
    readings: tuple[ScoredText, ...]
    """One for the crystal as given, or one for each random translation of it."""
    format: Format = PLAIN
    """The format of the texts."""

    @cached_property
    def total(self) -> float:
        """Of the whole text and its end."""
        return float(np.mean([reading.total for reading in self.readings]))

    @property
    def per_token(self) -> float:
        """Of the whole text and its end, over the number of tokens."""
        return float(np.mean([r.total / len(r.tokens) for r in self.readings]))

    @cached_property
    def _per_line(self) -> list[float]:
        mean = np.mean([reading.per_line for reading in self.readings], axis=0)
        return [float(x) for x in mean]

    @property
    def cell(self) -> float:
        """Of the free lengths and angles.

        Raises:
            SettingError: the format has no lines that hold the cell alone.
        """
        kinds = self.format.line_kinds(self.readings[0].text)
        lines = [x for kind, x in zip(kinds, self._per_line, strict=False) if kind in _CELL_LINES]
        if not lines:
            raise SettingError(
                f"the format {self.format.name} has no lines that hold the cell alone; see total"
            )
        return sum(lines)

    @property
    def end(self) -> float:
        """Of the end, that is, of no further atom."""
        return self._per_line[-1]

    @cached_property
    def sites(self) -> tuple[SiteScore, ...]:
        """Of each atom, in the order of the given crystal.

        Raises:
            SettingError: the format does not list every atom on lines of its own.
        """
        self._require_sites()
        lines, symbols = self._per_line[2:-1], self.crystal.symbols
        order = self.crystal.text_order().tolist()
        scores = [
            SiteScore(site, symbols[site], lines[2 * place], lines[2 * place + 1])
            for place, site in enumerate(order)
        ]
        return tuple(sorted(scores, key=lambda score: score.site))

    @cached_property
    def surprises(self) -> tuple[float, ...]:
        """How improbable each atom is beside what the model draws itself, in the crystal's order.

        In standard deviations: the expected log-probability of a token drawn from the model minus
        that of the actual one, summed over the tokens of the atom, over the root of the summed
        variances (a deviation below 0.5 nats counts as 0.5). Each term has the mean 0 in texts that
        the model draws, whatever the entropy: a free coordinate, of which the model knows nothing,
        is not surprising.

        Raises:
            SettingError: the format does not list every atom on lines of its own.
        """
        self._require_sites()
        excess = np.mean([x.expected_per_line - x.per_line for x in self.readings], axis=0)
        variance = np.mean([x.variance_per_line for x in self.readings], axis=0)
        pairs = [values[2:-1].reshape(-1, 2).sum(axis=1) for values in (excess, variance)]
        in_text_order = pairs[0] / np.maximum(np.sqrt(pairs[1]), _MIN_DEVIATION)
        surprises = np.empty(len(self.crystal))
        surprises[self.crystal.text_order()] = in_text_order
        return tuple(surprises.tolist())

    def _require_sites(self) -> None:
        if not self.format.lists_sites:
            raise SettingError(
                f"the format {self.format.name} ({self.format.title}) does not list every atom on "
                "lines of its own, so no site has a score; score the crystal in the plain format"
            )

    @property
    def increase_in_perplexity(self) -> float:
        """IPT of the crystal over its readings, 0 for a single one; see `metrics.ipt`."""
        return increase_in_perplexity([reading.mean_loss for reading in self.readings])

    def to_dataframe(self) -> DataFrame:
        """Return a row for each line of the text: part, site, symbol, log-probability in nats.

        The site is missing for the cell and the end.

        Raises:
            SettingError: the format does not list every atom on lines of its own.
        """
        self._require_sites()
        import pandas as pd

        order = self.crystal.text_order().tolist()
        sites = [None, None, *(site for site in order for _ in range(2)), None]
        parts = ["lengths", "angles", *(["element", "coordinates"] * len(order)), "end"]
        return pd.DataFrame(
            {
                "part": parts,
                "site": pd.array(sites, dtype="Int64"),
                "symbol": [None if site is None else self.crystal.symbols[site] for site in sites],
                "log_probability": self._per_line,
            }
        )

    def __repr__(self) -> str:
        return (
            f"<Score of {format_count(len(self.crystal), 'atom')}: {self.total:.2f} nats, "
            f"{self.per_token:.3f} per token, readings: {len(self.readings)}>"
        )


class LikelihoodScorer:
    """A model, ready to score crystals."""

    def __init__(self, model: LoadedModel) -> None:
        """Prepare the model: in float32, unless it is large or in 4 bits.

        With 16 bits, scores are off by some hundredths of a nat per token, differently in each
        batch.
        """
        self.model, self._network = model, float32_copy(model.network)
        move_to_gpu(self._network)

    def score(
        self,
        crystals: Sequence[Crystal],
        prompt: str,
        *,
        format: Format | None = None,
        translations: int = 0,
        seed: int = 0,
    ) -> list[Score]:
        """Score crystals after a prompt.

        Args:
            crystals: any number.
            prompt: as `generation_prompt` makes it.
            format: of the texts; None is the model's own. The prompt has to request it.
            translations: score this many random translations of each crystal instead of the
                crystal as given, or this many other equivalent descriptions
                (`Format.equivalent_texts`).
            seed: of the translations, which are the same for every crystal.

        Raises:
            InputError: a crystal cannot be written.
            ModelError: a text takes more positions than the model has.
            SettingError: a negative number, or a format that the model does not write.
        """
        translations = whole_number("translations", translations)
        seed = whole_number("seed", seed)
        if translations < 0 or seed < 0:
            raise SettingError(
                f"{translations} translations with seed {seed}: expected whole numbers from 0"
            )
        fmt = format or self.model.format
        if fmt != self.model.format and fmt.template == self.model.format.template:
            raise SettingError(
                f"a text in the format {fmt.name} is to be scored, but the model writes "
                f"{self.model.format.name}; leave the format out"
            )
        texts = [
            transformed_texts(crystal, fmt, translations, seed)
            if translations
            else [encode(crystal, fmt)]
            for crystal in crystals
        ]
        readings = iter(self.score_texts(prompt, [text for group in texts for text in group]))
        return [
            Score(crystal, prompt, tuple(next(readings) for _ in group), fmt)
            for crystal, group in zip(crystals, texts, strict=True)
        ]

    def score_texts(self, prompt: str, texts: list[str]) -> list[ScoredText]:
        """Score texts after a prompt, as they are.

        Raises:
            ModelError: a text takes more positions than the model has.
        """
        tokenizer = self.model.tokenizer
        start = len(prompt_ids(tokenizer, prompt))
        rows = [example_ids(tokenizer, Example(prompt, text)) for text in texts]
        known = getattr(self._network.config, "max_position_embeddings", None)
        longest = max((len(ids) for ids, _ in rows), default=0)
        if known is not None and longest > known:
            raise ModelError(
                f"a crystal takes {longest} tokens, including the prompt, but the model has "
                f"{known} positions; score crystals of fewer atoms"
            )
        readings: dict[int, ScoredText] = {}
        with torch.inference_mode():
            for batch in self._batches([len(ids) for ids, _ in rows]):
                measured = self._token_statistics([rows[i] for i in batch], start)
                for i, statistics in zip(batch, measured, strict=True):
                    tokens = token_texts(tokenizer, rows[i][0][start:-1])
                    lines = _line_of_each_token(tokens)
                    end = texts[i].count("\n") + 1
                    readings[i] = ScoredText(
                        texts[i],
                        (*tokens, ""),
                        *statistics,
                        np.array([*lines, end], dtype=np.int64),
                    )
        return [readings[i] for i in range(len(texts))]

    def _batches(self, sizes: list[int]) -> Iterator[list[int]]:
        """Yield the indices of texts that are scored together, short ones first."""
        vocabulary = int(self._network.get_input_embeddings().weight.shape[0])  # type: ignore[index]
        batch: list[int] = []
        for i in sorted(range(len(sizes)), key=lambda i: sizes[i]):
            if batch and (len(batch) + 1) * sizes[i] * vocabulary > _MAX_LOGITS:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _token_statistics(
        self, rows: list[tuple[list[int], list[int]]], start: int
    ) -> list[tuple[Floats, Floats, Floats]]:
        """Return what `ScoredText` has of each token after the first `start`, row by row.

        These are log-probabilities, their expectations and their variances.
        """
        filler = int(self.model.tokenizer.eos_token_id)
        ids_B_T = torch.from_numpy(pad_rows(rows, filler)[0])
        device = next(self._network.parameters()).device
        logits = self._network(input_ids=ids_B_T.to(device)).logits[:, start - 1 : -1].float()
        chosen = ids_B_T[:, start:].to(device)
        chances_B_T_V = logits.log_softmax(dim=-1)
        actual = chances_B_T_V.gather(2, chosen[..., None]).squeeze(2)
        # A token without any probability has none in the sums.
        weights = chances_B_T_V.clamp_(min=-1e4).exp()
        expected = weights.mul_(chances_B_T_V).sum(dim=-1)
        variances = weights.mul_(chances_B_T_V).sum(dim=-1) - expected**2
        found = [x.double().cpu().numpy() for x in (actual, expected, variances.clamp(min=0))]
        return [
            (found[0][row, :count], found[1][row, :count], found[2][row, :count])
            for row, count in enumerate(len(ids) - start for ids, _ in rows)
        ]


def _line_of_each_token(tokens: Sequence[str]) -> list[int]:
    """Return for each token the last line that it is part of or begins."""
    lines, line = [], 0
    for token in tokens:
        # An element's token may include the newline after it; the line that follows is not its own.
        body = token.rstrip("\n") or token
        lines.append(line + body.count("\n"))
        line += token.count("\n")
    return lines

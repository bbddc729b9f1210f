"""The loss of rewarded samples: the distribution at the sampling temperatures moves by weights.

For a text with weight w, written at the temperatures t of its fields by the base b, and the
network p:

    sum over tokens of  t^2 [ -(w - 1) log p_t(token)  +  divergence_weight * KL(b_t || p_t) ]

With a divergence weight of 1 its expectation is the cross entropy of the weighted samples, but the
part that does not depend on weights is exact, not sampled: the noise of 30,000 samples would hide a
reward otherwise. The factor t^2 changes no optimum: it gives all fields the curvature that they
have at temperature 1. Without it, coordinates at 0.12 have eight times the gradient and seventy
times the curvature, and drown the elements, which decide more. A text that is not a sample has
w = 1, temperature 1 and all tokens to choose from: it keeps the base's answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from crystext.grammar.fields import FieldKind
from crystext.grammar.wyckoff.token_reader import TokenKind, WyckoffTokenReader
from crystext.inference.types import SamplingSettings
from crystext.structures.crystal import Ints
from crystext.tokenization.encode import IGNORED_LABEL
from crystext.training.loss import PackedLoss
from crystext.training.packed_attention import attention_arguments
from crystext.training.packing import Packed, pack

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from crystext.training.example_stream import TrainingRow

NO_SAMPLE = -1
"""Kind of the tokens of a text that is not a sample."""

_KINDS = tuple(TokenKind)
_FIRST_WHOLE = _KINDS.index(TokenKind.FIRST_WHOLE)

_FIELDS = {
    TokenKind.GROUP: FieldKind.GROUP,
    TokenKind.ELEMENT: FieldKind.ELEMENT,
    TokenKind.POSITION: FieldKind.POSITION,
    TokenKind.COORDINATE: FieldKind.COORDINATE,
}


class SampleLabels(list[int]):
    """The labels of a sample's text, with its weight: a row of training like any other."""

    def __init__(self, labels: Sequence[int], weight: float) -> None:
        super().__init__(labels)
        self.weight = weight

    def __reduce__(self) -> tuple[type[SampleLabels], tuple[list[int], float]]:
        return SampleLabels, (list(self), self.weight)


class RewardedBatch(NamedTuple):
    """A row of examples without padding, with the weight and the kind of each target."""

    packed: Packed
    weights_K: torch.Tensor
    """Of the target's text."""
    kinds_K: torch.Tensor
    """Index of the target's kind among `TokenKind`, or `NO_SAMPLE`."""

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.packed.tokens

    @property
    def targets_K(self) -> torch.Tensor:
        """Tokens that are to be predicted."""
        return self.packed.targets_K

    @property
    def example_index_K(self) -> torch.Tensor:
        """For each target, the index of its row."""
        return self.packed.example_index_K

    def to(self, device: torch.device) -> RewardedBatch:
        """Return a copy on a device."""
        weights, kinds = self.weights_K.to(device), self.kinds_K.to(device)
        return RewardedBatch(self.packed.to(device), weights, kinds)


class SampledTokens:
    """The kinds of the tokens of Wyckoff texts, and their temperatures."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, temperatures: SamplingSettings) -> None:
        """Look up the tokens.

        Raises:
            ModelError: the tokenizer has another vocabulary.
        """
        self.reader = WyckoffTokenReader(tokenizer)
        self.temperatures = [
            temperatures.temperature_of(_FIELDS.get(kind, FieldKind.CELL)) for kind in _KINDS
        ]
        # Later kinds replace earlier ones: a first length is also a choice among the elements, and
        # decimals are the tokens of space groups, which only begin a text.
        kinds = np.full(len(tokenizer), NO_SAMPLE)
        for i, kind in enumerate(_KINDS):
            kinds[self.reader.choices[kind]] = i
        self.kind_of_token: Ints = kinds

    def scale(self, kind: int) -> float:
        """Return the factor of the loss of a kind: the square of its temperature."""
        return 1.0 if kind == NO_SAMPLE else self.temperatures[kind] ** 2

    def kinds(self, targets: Ints) -> Ints:
        """Return the kind of each token of a text; its end has none."""
        kinds: Ints = self.kind_of_token[targets].copy()
        kinds[0] = _KINDS.index(TokenKind.GROUP)
        return kinds


def rewarded_batch(rows: Sequence[TrainingRow], tokens: SampledTokens) -> RewardedBatch:
    """Return rows as one row without padding."""
    packed = pack(rows)
    by_row = packed.example_index_K.numpy()
    weights = np.array([getattr(labels, "weight", 1.0) for _, labels in rows])
    kinds = np.full(len(by_row), NO_SAMPLE)
    for i, (_, labels) in enumerate(rows):
        if isinstance(labels, SampleLabels):
            targets = np.array([x for x in labels if x != IGNORED_LABEL])
            kinds[by_row == i] = tokens.kinds(targets)
    return RewardedBatch(packed, torch.from_numpy(weights[by_row]).float(), torch.from_numpy(kinds))


class RewardLoss(PackedLoss):
    """A network and the base that it started from, which stays as it was."""

    def __init__(
        self,
        network: PreTrainedModel | PeftModel,
        device: torch.device,
        tokens: SampledTokens,
        *,
        divergence_weight: float,
        bf16: bool,
    ) -> None:
        super().__init__(network, device, bf16=bf16)
        # A list hides the base from wrappers and optimizers: it is not trained, nor saved.
        self._base = [deepcopy(network).eval().requires_grad_(requires_grad=False)]
        self._tokens, self.divergence_weight = tokens, divergence_weight
        self._vocabulary = len(tokens.kind_of_token)
        self._choices = {
            kind: torch.from_numpy(ids).to(device) for kind, ids in tokens.reader.choices.items()
        }

    def forward(self, batch: RewardedBatch | Packed) -> torch.Tensor:
        """Return the loss of each target (K,); in validation, its plain loss in nats."""
        if isinstance(batch, Packed):
            return super().forward(batch)
        if not self.training:
            return super().forward(batch.packed)
        logits_K_V = self._logits(self.network, batch.packed)
        with torch.no_grad():
            base_K_V = self._logits(self._base[0], batch.packed)
        losses = torch.zeros(len(batch.targets_K), device=logits_K_V.device)
        for kind in (NO_SAMPLE, *range(len(_KINDS))):
            rows = torch.nonzero(self._has_kind(batch.kinds_K, kind))[:, 0]
            if not len(rows):
                continue
            own = self._log_shares(logits_K_V[rows], kind)
            old = self._log_shares(base_K_V[rows], kind)
            loss = self.divergence_weight * (old.exp() * (old - own)).sum(1)
            if kind != NO_SAMPLE:
                chosen = own.gather(1, self._chosen(batch, rows, kind)[:, None])[:, 0]
                loss = loss - (batch.weights_K[rows] - 1) * chosen
            losses = losses.index_add(0, rows, self._tokens.scale(kind) * loss)
        return losses

    def log_likelihoods(self, batch: RewardedBatch, *, base: bool = False) -> torch.Tensor:
        """Return the log-probability of each sampled token (K,), at its temperature."""
        logits = self._logits(self._base[0] if base else self.network, batch.packed)
        found = torch.zeros(len(batch.targets_K), device=logits.device)
        for kind in range(len(_KINDS)):
            rows = torch.nonzero(self._has_kind(batch.kinds_K, kind))[:, 0]
            if len(rows):
                shares = self._log_shares(logits[rows], kind)
                chosen = self._chosen(batch, rows, kind)
                found = found.index_add(0, rows, shares.gather(1, chosen[:, None])[:, 0])
        return found

    def _logits(self, network: nn.Module, packed: Packed) -> torch.Tensor:
        with torch.autocast(packed.ids_1_T.device.type, torch.bfloat16, enabled=self.bf16):
            logits: torch.Tensor = network(
                input_ids=packed.ids_1_T,
                position_ids=packed.positions_1_T,
                logits_to_keep=packed.logit_index_K,
                **attention_arguments(self.attention, packed),
            ).logits[0]
        return logits.float()

    @staticmethod
    def _has_kind(kinds_K: torch.Tensor, kind: int) -> torch.Tensor:
        """Return which targets have a choice of this kind.

        The end of the orbits is a choice among the elements; the first length, which it comes with,
        is another.
        """
        if kind == _KINDS.index(TokenKind.ELEMENT):
            return (kinds_K == kind) | (kinds_K == _FIRST_WHOLE)
        return kinds_K == kind

    def _log_shares(self, logits_K_V: torch.Tensor, kind: int) -> torch.Tensor:
        """Return the log-probabilities of the choices of a kind, at its temperature."""
        if kind == NO_SAMPLE:
            return logits_K_V.log_softmax(dim=1)
        logits = logits_K_V[:, self._choices[_KINDS[kind]]]
        if _KINDS[kind] is TokenKind.ELEMENT:
            elements, lengths = logits.tensor_split([self._tokens.reader.n_elements], dim=1)
            logits = torch.cat([lengths.logsumexp(dim=1, keepdim=True), elements], dim=1)
        return (logits / self._tokens.temperatures[kind]).log_softmax(dim=1)

    def _chosen(self, batch: RewardedBatch, rows: torch.Tensor, kind: int) -> torch.Tensor:
        """Return which of the choices of a kind was taken."""
        choices = self._choices[_KINDS[kind]]
        places = torch.zeros(self._vocabulary, dtype=torch.long, device=choices.device)
        places[choices] = torch.arange(len(choices), device=choices.device)
        chosen = places[batch.targets_K[rows]]
        if _KINDS[kind] is not TokenKind.ELEMENT:
            return chosen
        return torch.where(batch.kinds_K[rows] == _FIRST_WHOLE, 0, chosen + 1)

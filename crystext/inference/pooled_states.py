"""What represents texts in a trained network: arrays to train small networks on in seconds.

    texts -> states of tokens -> pooled (N, D), the state that represents each text
                              -> outputs (N, P), of the head, if the network has one

The network is in evaluation mode and in 32 bits, and texts are grouped by length, so that the same
texts give the same arrays on the same machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from crystext.errors import SettingError
from crystext.inference.head_readout import padded_batches
from crystext.models.architectures.network_families import text_positions
from crystext.models.architectures.regression_head import EncoderWithHead, pooled_states
from crystext.models.base_network import family_of, grow_embeddings, read_body
from crystext.models.encoder import load_encoder
from crystext.models.layout import ModelFolder, open_model
from crystext.models.network import check_tokenizer_fits, read_tokenizer
from crystext.models.settings import Pooling
from crystext.runtime.device import move_to_gpu
from crystext.structures.record import Record
from crystext.tasks.representations import preferred_text
from crystext.text.descriptions import DEFAULT_STRATEGY, TextPreparation
from crystext.tokenization.encoder_vocabulary import add_missing_tokens, encoder_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Float32s = NDArray[np.float32]


@dataclass(frozen=True)
class PooledStates:
    """What a network says to N records."""

    pooled: Float32s
    """The state that represents each text, (N, D); nan where a record has no text."""
    outputs: Float32s
    """Of the head, (N, P), in units of the standard deviations of its training values, and logits
    of booleans; (N, 0) of a network without a head; nan as above."""
    names: tuple[str, ...]
    """The P properties."""
    problems: tuple[str, ...]
    """For each record, why it has no text; empty where it has one."""

    @property
    def is_valid(self) -> NDArray[np.bool_]:
        """Whether each record has a text, (N,)."""
        return np.array([not problem for problem in self.problems], dtype=np.bool_)


class StateReader:
    """A trained network that reads the texts of records.

    Any model folder of an architecture of `network_families` will do: with a head, or pretrained on
    texts alone, the final model of a run or that of an evaluation (`keep_models`).
    """

    def __init__(
        self,
        source: str | Path | ModelFolder,
        *,
        inputs: Sequence[str] | None = None,
        pooling: Pooling | None = None,
    ) -> None:
        """Load a network; it moves to a GPU if there is one.

        Args:
            source: a model folder, or a name on the Hub.
            inputs: representations to read, the preferred one first; None takes those of a model
                with a head.
            pooling: what represents a text; None takes that of the head, or the usual one.

        Raises:
            ModelError: the model does not exist, is damaged, or of another architecture.
            SettingError: it has no head, and no inputs are given.
        """
        files = open_model(source)
        self.folder = files.path
        self._network: EncoderWithHead | None = None
        self.names: tuple[str, ...] = ()
        if files.description.objective == "regression_head":
            model = load_encoder(files)
            settings, head = model.settings, model.settings.head
            assert head is not None, "load_encoder requires it"
            self._network = model.network
            self._body: PreTrainedModel = model.network.encoder
            self._tokenizer: PreTrainedTokenizerBase = model.tokenizer
            self.names = tuple(settings.scales)
            self.inputs, self.pooling = tuple(inputs or settings.inputs), pooling or head.pooling
            self.max_tokens: int | None = head.max_tokens
            self._preparation = head.preparation
        else:
            self._read_without_head(inputs, pooling)
        move_to_gpu(self._body if self._network is None else self._network)

    def _read_without_head(self, inputs: Sequence[str] | None, pooling: Pooling | None) -> None:
        if not inputs:
            raise SettingError(
                f"the model in {self.folder} was trained on texts alone; say which representations "
                "of records it is to read, such as inputs=['smiles']"
            )
        self.inputs, self.pooling = tuple(inputs), pooling or family_of(self.folder).pooling
        # BERT has trained no pooler for the state of its class token.
        self._body = read_body(self.folder, None).eval()
        self._tokenizer = read_tokenizer(self.folder)
        check_tokenizer_fits(self.folder, self._body, self._tokenizer)
        add_missing_tokens(self._tokenizer)
        grow_embeddings(self._body, self._tokenizer, seed=0)
        self.max_tokens = text_positions(self._body.config)
        self._preparation = TextPreparation.of(DEFAULT_STRATEGY, spells_formulas=False)

    def read(self, records: Sequence[Record]) -> PooledStates:
        """Return what represents each record, and the outputs of the head."""
        found = [preferred_text(record, self.inputs) for record in records]
        problems = tuple(problem for *_, problem in found)
        places = [i for i, problem in enumerate(problems) if not problem]
        texts = [self._preparation.prepare(found[i][0], found[i][1]) for i in places]
        pooled = np.full((len(records), int(self._body.config.hidden_size)), np.nan, np.float32)
        outputs = np.full((len(records), len(self.names)), np.nan, np.float32)
        pooled[places], outputs[places] = self._read_texts(texts)
        return PooledStates(pooled, outputs, self.names, problems)

    @torch.inference_mode()
    def _read_texts(self, texts: Sequence[str]) -> tuple[Float32s, Float32s]:
        rows = encoder_ids(self._tokenizer, texts, self.max_tokens)
        pooled = np.empty((len(rows), int(self._body.config.hidden_size)), np.float32)
        outputs = np.empty((len(rows), len(self.names)), np.float32)
        pad = int(self._tokenizer.pad_token_id)
        for batch, ids_B_T, mask_B_T in padded_batches(self._body, rows, pad):
            pooled_B_D = pooled_states(self._body, self.pooling, ids_B_T, mask_B_T)
            pooled[batch] = pooled_B_D.float().cpu().numpy()
            if self._network is not None:
                outputs[batch] = self._network.head(pooled_B_D).float().cpu().numpy()
        return pooled, outputs

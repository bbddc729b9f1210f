"""What language models of a study write: crystals, judged, and the bits of crystals held out.

Each network that is kept writes texts from nothing, as transformers samples them. A text counts

    valid    it is a crystal, no two atoms of it are closer than 0.5 Å, and its charges can balance
    new      it is valid, no earlier sample is the same crystal, and none of the training crystals

over all samples, failures included (`metrics.structure_validity`, `composition_validity`,
`uniqueness`, `novelty`). The bits per atom of crystals held out stand beside them as the loss. They
compare tokenizers of one text. Texts say different things about a crystal, and to more or fewer
decimals, so that their bits do not compare.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from crystext.data.store import build_dataset
from crystext.inference.head_readout import padded_batches
from crystext.io.read.parse import Piece, parse_piece
from crystext.metrics.composition_validity import is_composition_valid
from crystext.metrics.novelty import find_matches
from crystext.metrics.structure_validity import is_structure_valid
from crystext.metrics.uniqueness import duplicates_of
from crystext.models.base_network import read_text_network
from crystext.models.network import read_tokenizer
from crystext.runtime.files import write_text
from crystext.structures.crystal import Crystal
from crystext.structures.record import Record
from crystext.study.grid import GenerationSpec
from crystext.text.failures import DecodeFailure
from crystext.text.formats import FORMATS
from crystext.tokenization.encoder_vocabulary import encoder_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VALID, NEW = "valid crystals", "valid, unique and novel crystals"
"""Tasks of the rows: proportions of all samples."""

_BATCH = 128


class Sample(NamedTuple):
    """A text that a network wrote."""

    text: str
    crystal: Crystal | None
    failure: str
    """Why it is no crystal; empty if it is one."""


def writes_crystals(text: str) -> bool:
    """Return whether the texts of a representation hold whole crystals."""
    return text in FORMATS or text == "cif"


def generation_rows(
    models: Sequence[Path],
    text: str,
    held_out: Sequence[Record],
    train: Sequence[Record],
    settings: GenerationSpec,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield two rows for each network, and write its samples as `samples/1.jsonl`.

    Args:
        models: folders of the networks, in the order of training.
        text: representation that they learned.
        held_out: records with their texts, whose bits are measured.
        train: records that they learned from, with their texts; samples end where the longest does.
        settings: of sampling.
        seed: of the random numbers.
    """
    reference, most = build_dataset(train), 0
    for i, model in enumerate(models):
        network = read_text_network(model, "causal").eval()
        tokenizer = read_tokenizer(model)
        bits = bits_per_atom(network, tokenizer, text, held_out)
        if not most:
            known = [x.texts[text] for x in train if text in x.texts]
            most = max(map(len, encoder_ids(tokenizer, known)))
            most = min(most, int(network.config.max_position_embeddings))
        samples = sample_texts(network, tokenizer, text, settings, most, seed)
        _write_samples(model.parents[1] / "samples" / f"{i + 1}.jsonl", samples)
        valid = [x.crystal for x in samples if x.crystal is not None and _is_valid(x.crystal)]
        unique = [x for x, twin in zip(valid, duplicates_of(valid), strict=True) if twin is None]
        new = sum(match is None for match in find_matches(unique, reference))
        for task, count in ((VALID, len(valid)), (NEW, new)):
            yield {
                "task": task, "pretraining_epoch": i + 1, "repeat": 0, "epoch": 1,
                "loss": bits, "metric": count / len(samples),
                "metric_name": "proportion", "higher_is_better": True,
            }  # fmt: skip


@torch.inference_mode()
def sample_texts(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    settings: GenerationSpec,
    max_tokens: int,
    seed: int,
) -> list[Sample]:
    """Return what a network writes from nothing; a seed determines it on one machine.

    Args:
        network: a language model in evaluation mode.
        tokenizer: of the network.
        text: representation that it learned.
        settings: of sampling.
        max_tokens: a text that has not ended by then is a failure.
        seed: of the random numbers.
    """
    samples: list[Sample] = []
    end = int(tokenizer.eos_token_id)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        while len(samples) < settings.samples:
            count = min(_BATCH, settings.samples - len(samples))
            start_B_1 = torch.full((count, 1), int(tokenizer.cls_token_id))
            ids_B_T = network.generate(  # type: ignore[operator]
                input_ids=start_B_1,
                attention_mask=torch.ones_like(start_B_1),
                do_sample=True,
                temperature=settings.temperature,
                top_k=0,
                max_new_tokens=max_tokens - 1,
                eos_token_id=end,
                pad_token_id=tokenizer.pad_token_id,
            )
            texts = tokenizer.batch_decode(
                ids_B_T, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            ended = (ids_B_T[:, 1:] == end).any(1).tolist()
            samples += [
                read_sample(x, text) if whole else Sample(x, None, DecodeFailure.TRUNCATED.name)
                for x, whole in zip(texts, ended, strict=True)
            ]
    return samples


def read_sample(written: str, text: str) -> Sample:
    """Return what a text of a representation says."""
    if text in FORMATS:
        decoded = FORMATS[text].decode(written)
        failure = "" if decoded.failure is None else decoded.failure.name
        return Sample(written, decoded.crystal, failure)
    (record, *_) = parse_piece(Piece("", "cif", written))
    return Sample(written, record.crystal, record.failure_kind or "")


@torch.inference_mode()
def bits_per_atom(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    records: Sequence[Record],
) -> float:
    """Return the bits of the texts of crystals, ends included, for each of their atoms.

    Args:
        network: a language model in evaluation mode.
        tokenizer: of the network.
        text: representation that it learned.
        records: crystals with their texts; a text that the network cannot hold is left out.
    """
    most = int(network.config.max_position_embeddings)
    written = [x for x in records if text in x.texts and x.crystal is not None]
    rows = encoder_ids(tokenizer, [x.texts[text] for x in written])
    kept = [i for i, row in enumerate(rows) if len(row) <= most]
    rows = [rows[i] for i in kept]
    nats, pad = 0.0, int(tokenizer.pad_token_id)
    for _, ids_B_T, mask_B_T in padded_batches(network, rows, pad):
        logits_B_T_V = network(input_ids=ids_B_T, attention_mask=mask_B_T, use_cache=False).logits
        losses = nn.functional.cross_entropy(
            logits_B_T_V[:, :-1].float().transpose(1, 2), ids_B_T[:, 1:], reduction="none"
        )
        nats += float((losses * mask_B_T[:, 1:]).sum())
    atoms = sum(len(written[i].require_crystal()) for i in kept)
    return nats / np.log(2) / atoms if atoms else float("nan")


def _is_valid(crystal: Crystal) -> bool:
    return is_structure_valid(crystal) and is_composition_valid(crystal.numbers)


def _write_samples(path: Path, samples: Sequence[Sample]) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps({"text": x.text, "failure": x.failure}) + "\n" for x in samples]
    write_text(path, "".join(lines))

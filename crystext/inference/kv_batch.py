"""The keys and values of many texts that grow token by token and end at different times.

Texts of about the same length lie together in a block, whose columns are the tokens of a text: the
attention of a block is one product, which reads its memory in order. A text that fills its block
moves to that of longer texts. All blocks take a token in one pass of the network.

Numbers of rows are padded, because kernels are compiled, and kept, for every new shape. Each number
of a text is computed from its own row, its tokens in order. So on processors whose products round
alike for any number of rows, a text does not depend on the others.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crystext.errors import ModelError
from crystext.inference.cpu_llama import CpuLlama
from crystext.structures.crystal import Ints

_CAPACITIES = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Numbers of columns of the blocks. A product over part of a block's columns would copy them."""

_FEW_ROWS, _MANY_ROWS = 8, 16
"""Steps to which numbers of rows are padded, up to four times the larger step and beyond."""

_NOWHERE = -1

_WHOLE_NUMBERS = {2: torch.int16, 4: torch.int32}
"""Types by their size in bytes."""


class _Block:
    """The keys and values of texts with at most so many tokens."""

    def __init__(self, model: CpuLlama, capacity: int) -> None:
        self.model, self.capacity, self.rows = model, capacity, 0
        self._allocate(0)
        self._mask: torch.Tensor
        """Added to the scores of this step: (padded rows kv heads, 1, columns)."""
        self._targets: tuple[torch.Tensor, torch.Tensor]
        """The rows, and the columns to which they write in this step."""

    def reserve(self, rows: int) -> None:
        """Make room for this number of texts."""
        there = self.bits.shape[2]
        if padded_rows(rows) > there:
            before = self._memory, self.bits
            self._allocate(padded_rows(max(rows, there + there // 2)))
            self.bits[:, :, : self.rows] = before[1][:, :, : self.rows]
            self.model.spare_memory.append(before[0])
        self.rows = rows

    def release(self) -> None:
        """Leave the memory to other blocks; no text is left."""
        if self.rows == 0 and self._memory.size:
            self.model.spare_memory.append(self._memory)
            self._allocate(0)

    def _allocate(self, rows: int) -> None:
        model = self.model
        shape = len(model.layers), 2, rows, model.kv_heads, self.capacity, model.head_size
        self._memory = _memory(model, prod(shape))
        self.bits = self._memory[: prod(shape)].reshape(shape)
        """Keys (0) and values (1), by layer: (layers, 2, rows, kv heads, capacity, head size); as
        whole numbers, because numpy moves single texts many times faster than PyTorch."""
        self._pairs = torch.from_numpy(self.bits).view(model.dtype)

    def prepare_step(self, lengths: torch.Tensor) -> None:
        """Take the numbers of tokens of the texts: shape (rows,)."""
        self._targets = torch.arange(self.rows), lengths
        # Rows without a text attend to a column, so that they stay finite.
        last = torch.nn.functional.pad(lengths, (0, padded_rows(self.rows) - self.rows))
        hidden = torch.arange(self.capacity) > last.repeat_interleave(self.model.kv_heads)[:, None]
        zero = torch.zeros(hidden.shape, dtype=self.model.dtype)
        self._mask = zero.masked_fill_(hidden, -torch.inf)[:, None]

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """Write the keys and values of one token, and return what it attends to.

        Args:
            layer: number of the layer.
            qkv: as of `cpu_llama.Attention`, of the padded number of rows.

        Returns:
            Shape (padded rows, width).
        """
        model, padded = self.model, padded_rows(self.rows)
        rows, columns = self._targets
        fresh = qkv[: self.rows, model.heads :].unflatten(1, (2, -1))
        self._pairs[layer][:, rows, :, columns] = fresh
        keys, values = self._pairs[layer, :, :padded].flatten(1, 2)
        query = qkv[:padded, : model.heads].reshape(len(keys), -1, model.head_size)
        scores = scaled_products(model, query, keys).add_(self._mask)
        return torch.bmm(scores.softmax(dim=-1), values).view(padded, -1)


class KVBatch:
    """A batch of texts that share a prompt and grow by one token at a time."""

    def __init__(self, model: CpuLlama, prompt: torch.Tensor, rows: int, tokens: int) -> None:
        """Read the prompt once for all texts.

        Args:
            model: the network.
            prompt: token ids.
            rows: number of texts.
            tokens: maximum length of a text, prompt included.

        Raises:
            ModelError: the model has too few positions.
        """
        if tokens > model.max_tokens:
            raise ModelError(
                f"a text can have {tokens} tokens, prompt included, but the model has "
                f"{model.max_tokens} positions; try fewer atoms"
            )
        self.model = model
        self._prompt, self._hidden_of_prompt = _read(model, prompt)
        self._blocks: list[_Block] = []
        self._lengths: Ints = np.zeros(0, dtype=np.int64)
        """Number of tokens of each text, prompt included."""
        self._block_of: Ints = np.zeros(0, dtype=np.int64)
        self._row_of: Ints = np.zeros(0, dtype=np.int64)
        """The block and the row of each text."""
        self.hidden_B_D = self._hidden_of_prompt[:0]
        """The last layer's hidden state after the last token of each text."""
        self.add(rows)

    @property
    def rows(self) -> int:
        """Number of texts."""
        return len(self._lengths)

    def add(self, rows: int) -> None:
        """Begin more texts behind the prompt; they come after the others."""
        if not rows:
            return
        self._lengths = np.append(self._lengths, np.full(rows, self._prompt.shape[3]))
        self._block_of = np.append(self._block_of, np.full(rows, _NOWHERE))
        self._row_of = np.append(self._row_of, np.full(rows, _NOWHERE))
        self.hidden_B_D = torch.cat([self.hidden_B_D, self._hidden_of_prompt.expand(rows, -1)])

    def append(self, tokens_B: torch.Tensor) -> None:
        """Add a token to each text."""
        text_of = torch.from_numpy(self._arrange())  # The text of each row of the network.
        blocks = [block for block in self._blocks if block.rows]
        starts = np.cumsum([0, *(block.rows for block in blocks)]).tolist()
        lengths = torch.from_numpy(self._lengths)[text_of]
        for start, block in zip(starts[:-1], blocks, strict=True):
            block.prepare_step(lengths[start : start + block.rows])
        # A block computes rows of the next one beside its own, and drops them.
        ends = [s + padded_rows(b.rows) for s, b in zip(starts[:-1], blocks, strict=True)]
        fill = 0, padded_rows(max(starts[-1], *ends)) - starts[-1]

        def attend(layer: int, qkv: torch.Tensor) -> torch.Tensor:
            if len(blocks) == 1 and ends[0] == len(qkv):
                return blocks[0].attend(layer, qkv)
            mixed = qkv.new_zeros(len(qkv), self.model.heads * self.model.head_size)
            for start, block in zip(starts[:-1], blocks, strict=True):
                mixed[start : start + block.rows] = block.attend(layer, qkv[start:])[: block.rows]
            return mixed

        pad = torch.nn.functional.pad
        hidden = self.model.forward(pad(tokens_B[text_of], fill), pad(lengths, fill), attend)
        self.hidden_B_D = torch.empty_like(hidden[: self.rows])
        self.hidden_B_D[text_of] = hidden[: self.rows]
        self._lengths = self._lengths + 1

    def keep(self, mask_B: torch.Tensor) -> torch.Tensor:
        """Drop texts; return the old row of each remaining row: they keep their order."""
        order = mask_B.nonzero().squeeze(1)
        remaining = order.numpy()
        self._lengths = self._lengths[remaining]
        self._block_of, self._row_of = self._block_of[remaining], self._row_of[remaining]
        self.hidden_B_D = self.hidden_B_D[order]
        if not len(order):
            for block in self._blocks:
                block.rows = 0
                block.release()
        return order

    def _arrange(self) -> Ints:
        """Put each text into a row of the block of its length; return the texts by block and row.

        Texts stay where they can: only those move that are too long for their block, new, or beyond
        the end of a block that others have left.
        """
        block_of = _block_numbers(self._lengths + 1)
        for number in range(len(self._blocks), int(block_of.max()) + 1):
            self._blocks.append(_Block(self.model, _capacity(number)))
        text_of = []
        # From the longest down: rows are read before others take their place.
        for number in range(len(self._blocks) - 1, -1, -1):
            texts = np.flatnonzero(block_of == number)
            stays = (self._block_of[texts] == number) & (self._row_of[texts] < len(texts))
            is_free = np.ones(len(texts), dtype=np.bool_)
            is_free[self._row_of[texts[stays]]] = False
            self._blocks[number].reserve(len(texts))
            self._move(texts[~stays], number, np.flatnonzero(is_free))
            by_row = np.empty(len(texts), dtype=np.int64)
            by_row[self._row_of[texts]] = texts
            text_of.append(by_row)
        for block in self._blocks:
            block.release()
        return np.concatenate(text_of[::-1])

    def _move(self, texts: Ints, number: int, rows: Ints) -> None:
        """Move texts to rows of a block, from their blocks or, if they are new, the prompt."""
        target = self._blocks[number].bits
        is_new = self._block_of[texts] == _NOWHERE
        begun = self._prompt.shape[3]
        for row in rows[is_new].tolist():
            target[:, :, row, :, :begun] = self._prompt
        # Rows that move within the block only move up, past none that has yet to move.
        for text, row in zip(texts[~is_new].tolist(), rows[~is_new].tolist(), strict=True):
            source, end = self._blocks[self._block_of[text]].bits, self._lengths[text]
            target[:, :, row, :, :end] = source[:, :, self._row_of[text], :, :end]
        self._block_of[texts], self._row_of[texts] = number, rows


def _read(model: CpuLlama, prompt: torch.Tensor) -> tuple[NDArray[Any], torch.Tensor]:
    """Read a prompt.

    Returns:
        Its keys and values as of `_Block.bits`, shape (layers, 2, kv heads, tokens, head size), and
        the hidden state behind it, shape (1, width).
    """
    count = len(prompt)
    pairs = torch.zeros(len(model.layers), 2, model.kv_heads, count, model.head_size)
    pairs = pairs.to(model.dtype)
    ahead = torch.ones(count, count, dtype=torch.bool).triu(1)

    def attend(layer: int, qkv: torch.Tensor) -> torch.Tensor:
        pairs[layer] = qkv[:, model.heads :].unflatten(1, (2, -1)).permute(1, 2, 0, 3)
        keys, values = pairs[layer]
        # Query heads that share keys and values are rows of one product.
        grouped = qkv[:, : model.heads].unflatten(1, (model.kv_heads, -1)).permute(1, 2, 0, 3)
        scores = scaled_products(model, grouped.flatten(1, 2), keys)
        scores = scores.unflatten(1, (-1, count)).masked_fill_(ahead, -torch.inf)
        mixed = torch.bmm(scores.flatten(1, 2).softmax(dim=-1), values)
        mixed = mixed.view(model.kv_heads, -1, count, model.head_size)
        return mixed.permute(2, 0, 1, 3).reshape(count, -1)

    hidden = model.forward(prompt, torch.arange(count), attend)[-1:]
    return pairs.view(_WHOLE_NUMBERS[model.dtype.itemsize]).numpy(), hidden


def scaled_products(model: CpuLlama, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Return scaled products of queries with keys: (rows kv heads, queries, columns).

    Args:
        model: the network.
        query: shape (rows kv heads, queries, head size).
        keys: shape (rows kv heads, columns, head size).
    """
    return torch.baddbmm(
        query.new_empty(1, 1, 1),
        query,
        keys.transpose(1, 2),
        beta=0,
        alpha=model.head_size**-0.5,
    )


def padded_rows(rows: int) -> int:
    """Return the number of rows that are computed for this number of texts."""
    step = _FEW_ROWS if rows <= 4 * _MANY_ROWS else _MANY_ROWS
    return -(-rows // step) * step


def _memory(model: CpuLlama, size: int) -> NDArray[Any]:
    """Return memory for so many numbers: spare memory of a model, if some is large enough.

    What is masked is multiplied by zero, and must be finite: the memory holds zeros, or keys and
    values of other texts.
    """
    fitting = [place for place, spare in enumerate(model.spare_memory) if spare.size >= size]
    if fitting and size:
        return model.spare_memory.pop(min(fitting, key=lambda i: model.spare_memory[i].size))
    model.spare_memory.clear()
    # numpy asks for large pages only where memory is empty; the first touch of a small page costs
    # more than what is written there.
    fresh = np.empty(size, dtype=f"i{model.dtype.itemsize}")
    fresh.fill(0)
    return fresh


def _block_numbers(lengths: Ints) -> Ints:
    """Return the number of the block in which texts of these lengths have a column."""
    capacities = list(_CAPACITIES)
    while capacities[-1] < lengths.max(initial=0):
        capacities.append(2 * capacities[-1])
    return np.searchsorted(capacities, lengths)


def _capacity(number: int) -> int:
    beyond = max(0, number + 1 - len(_CAPACITIES))
    return int(_CAPACITIES[number - beyond] << beyond)

"""The keys and values of many texts that grow token by token and end at different times.

Texts begin in blocks: the texts of a block have their last tokens in the same column, so that a
product with the keys of all of them reads memory in order. All blocks take a token in one pass of
the network. Texts that end leave their rows to others; blocks of few texts are joined.

Shapes are padded, to multiples of `_ROW_STEP` rows and `_TOKEN_STEP` columns, because kernels are
compiled, and kept, for every new shape.
"""

from __future__ import annotations

import torch

from crystext.errors import ModelError
from crystext.inference.cpu_llama import CpuLlama

_ROW_STEP = 32
_TOKEN_STEP = 8

_GROWTH = 32
"""Columns by which a block grows. By then many texts have ended, and need none: a block takes a
third of the memory, and reads are closer together."""

_MAX_BLOCKS = 4
"""Blocks beside which no other begins: the two oldest, which have fewest texts, are joined."""


class _Block:
    """Keys and values of texts whose last tokens are in one column."""

    def __init__(self, model: CpuLlama, rows: int, columns: int) -> None:
        """Allocate keys and values of no text, for this number of texts and columns."""
        self.model, self.rows, self.length = model, rows, 0
        shape, dtype = (len(model.layers), _padded(rows, _ROW_STEP), model.kv_heads), model.dtype
        columns = _padded(columns, _TOKEN_STEP)
        # Zero, not empty: what is masked is multiplied by zero, and must be finite.
        # Keys have the token axis last: products with one query then read memory in order.
        self.keys = torch.zeros(*shape, model.head_size, columns, dtype=dtype)
        self.values = torch.zeros(*shape, columns, model.head_size, dtype=dtype)
        self.starts: torch.Tensor | None = None
        """The column of each text's first token, if not 0 for all: shape (rows,)."""
        self.mask: torch.Tensor | None = None
        """Added to the scores of this step: (rows or 1, 1, columns); None if all columns count."""

    @property
    def used_columns(self) -> int:
        """Number of columns that the next step reads."""
        return min(_padded(self.length + 1, _TOKEN_STEP), self.values.shape[3])

    @property
    def padded_rows(self) -> int:
        """Number of rows that a step computes."""
        return _padded(self.rows, _ROW_STEP)

    def prepare_step(self) -> None:
        """Make room for one more token of each text, and mask the columns without one."""
        end = self.length
        if end == self.values.shape[3]:
            larger = _Block(self.model, self.rows, end + _GROWTH)
            self._copy_to(larger, 0, 0)
            self.keys, self.values = larger.keys, larger.values
        columns = torch.arange(self.used_columns)
        hidden = columns[None] > end
        if self.starts is not None:
            hidden = hidden | (columns < self.starts[:, None])
            # Rows without a text attend to something, so that they stay finite.
            hidden = torch.nn.functional.pad(hidden, (0, 0, 0, self.padded_rows - self.rows))
            hidden = hidden.repeat_interleave(self.model.kv_heads, dim=0)
        self.mask = None
        if hidden.any():
            zero = torch.zeros(hidden.shape, dtype=self.model.dtype)
            self.mask = zero.masked_fill_(hidden, -torch.inf)[:, None]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
    ) -> torch.Tensor:
        """Write the keys and values of one token, and return what it attends to: (rows, width).

        Args:
            layer: number of the layer.
            query: shape (padded rows, heads, head size).
            key, value: shape (rows, kv heads, head size).
        """
        end, rows, padded, used = self.length, self.rows, self.padded_rows, self.used_columns
        self.keys[layer, :rows, ..., end] = key
        self.values[layer, :rows, :, end] = value
        scores = _scores(
            self.model,
            query.reshape(padded * self.model.kv_heads, -1, self.model.head_size),
            self.keys[layer, :padded, ..., :used],
        )
        if self.mask is not None:
            scores.add_(self.mask)
        values = self.values[layer, :padded, :, :used].flatten(0, 1)
        mixed = torch.bmm(scores.softmax(dim=-1), values)
        return mixed.view(padded, -1)[:rows]

    def keep(self, mask: torch.Tensor) -> torch.Tensor:
        """Drop texts; return the old row of each remaining row.

        Rows beyond the end of the shortened block fill the gaps: only these move.
        """
        left = int(mask.sum())
        order = torch.arange(self.rows)[:left].clone()
        gaps = (~mask[:left]).nonzero().squeeze(1)
        fillers = left + mask[left:].nonzero().squeeze(1)
        order[gaps] = fillers
        if len(gaps):
            end = self.length
            self.keys[:, gaps, ..., :end] = self.keys[:, fillers, ..., :end]
            self.values[:, gaps, :, :end] = self.values[:, fillers, :, :end]
        self.rows = left
        if self.starts is not None:
            self.starts = self.starts[order]
        return order

    def joined(self, other: _Block) -> _Block:
        """Return a block of the texts of this one and then of another."""
        length = max(self.length, other.length)
        both = _Block(self.model, self.rows + other.rows, length + _GROWTH)
        shifts = length - self.length, length - other.length
        starts = [
            shift + (torch.zeros(b.rows, dtype=torch.int64) if b.starts is None else b.starts)
            for b, shift in zip((self, other), shifts, strict=True)
        ]
        self._copy_to(both, 0, shifts[0])
        other._copy_to(both, self.rows, shifts[1])
        both.length, both.starts = length, torch.cat(starts)
        return both

    def _copy_to(self, other: _Block, row: int, column: int) -> None:
        """Copy the texts into rows and columns of another block."""
        rows, columns = slice(row, row + self.rows), slice(column, column + self.length)
        other.keys[:, rows, ..., columns] = self.keys[:, : self.rows, ..., : self.length]
        other.values[:, rows, :, columns] = self.values[:, : self.rows, :, : self.length]


class KVBatch:
    """A batch of texts that share a prompt and grow by one token at a time."""

    def __init__(self, model: CpuLlama, prompt: torch.Tensor, rows: int, tokens: int) -> None:
        """Read the prompt once for all texts.

        Args:
            model: the network.
            prompt: token ids (P,).
            rows: number of texts to begin with.
            tokens: maximum number of tokens of a text, including the prompt.

        Raises:
            ModelError: the model has fewer positions.
        """
        if tokens > model.max_tokens:
            raise ModelError(
                f"texts of up to {tokens} tokens, prompt included, but the model has "
                f"{model.max_tokens} positions; try fewer atoms"
            )
        self.model = model
        self._prompt = _Block(model, 1, len(prompt))
        self._hidden_of_prompt = self._read(prompt)
        self._blocks: list[_Block] = []
        self._positions = torch.zeros(0, dtype=torch.int64)
        self.hidden_B_D = self._hidden_of_prompt[:0]
        """The last layer's hidden state after the last token of each text."""
        self.add(rows)

    @property
    def rows(self) -> int:
        """Number of texts."""
        return len(self._positions)

    def add(self, rows: int) -> None:
        """Begin more texts behind the prompt; they come after the others."""
        if not rows:
            return
        prompt = self._prompt
        block = _Block(self.model, rows, prompt.length + _GROWTH)
        block.length = prompt.length
        block.keys[:, :rows, ..., : block.length] = prompt.keys[:, :1, ..., : block.length]
        block.values[:, :rows, :, : block.length] = prompt.values[:, :1, :, : block.length]
        self._blocks.append(block)
        if len(self._blocks) > _MAX_BLOCKS:
            first, second, *others = self._blocks
            self._blocks = [first.joined(second), *others]
        begun = torch.full((rows,), prompt.length, dtype=torch.int64)
        self._positions = torch.cat([self._positions, begun])
        self.hidden_B_D = torch.cat([self.hidden_B_D, self._hidden_of_prompt.expand(rows, -1)])

    def append(self, tokens_B: torch.Tensor) -> None:
        """Add a token to each text."""
        blocks, starts, row = self._blocks, [], 0
        for block in blocks:
            block.prepare_step()
            starts.append(row)
            row += block.rows
        # A block computes rows of the next one beside its own, and drops them.
        whole = max(s + b.padded_rows for s, b in zip(starts, blocks, strict=True))
        fill = (0, _padded(whole, _ROW_STEP) - row)

        def attend(
            layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
        ) -> torch.Tensor:
            mixed = query.new_zeros(len(query), query.shape[1] * query.shape[2])
            for start, block in zip(starts, blocks, strict=True):
                end = start + block.rows
                mixed[start:end] = block.attend(
                    layer,
                    query[start : start + block.padded_rows],
                    key[start:end],
                    value[start:end],
                )
            return mixed

        pad = torch.nn.functional.pad
        hidden = self.model.forward(pad(tokens_B, fill), pad(self._positions, fill), attend)
        self.hidden_B_D = hidden[:row]
        self._positions = self._positions + 1
        for block in blocks:
            block.length += 1

    def keep(self, mask_B: torch.Tensor) -> torch.Tensor:
        """Drop texts; return the old row of each remaining row."""
        orders, row = [torch.zeros(0, dtype=torch.int64)], 0
        for block in self._blocks:
            rows = block.rows
            orders.append(row + block.keep(mask_B[row : row + rows]))
            row += rows
        order = torch.cat(orders)
        self._blocks = [block for block in self._blocks if block.rows]
        self._positions = self._positions[order]
        self.hidden_B_D = self.hidden_B_D[order]
        return order

    def _read(self, prompt: torch.Tensor) -> torch.Tensor:
        """Read the prompt; return the hidden state behind it: shape (1, width)."""
        model, block, count = self.model, self._prompt, len(prompt)
        ahead = torch.ones(count, count, dtype=torch.bool).triu(1)

        def attend(
            layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
        ) -> torch.Tensor:
            # Query heads that share keys and values are rows of one product.
            block.keys[layer, 0, ..., :count] = key.permute(1, 2, 0)
            block.values[layer, 0, :, :count] = value.transpose(0, 1)
            grouped = query.unflatten(1, (model.kv_heads, -1)).permute(1, 2, 0, 3)
            scores = _scores(model, grouped.flatten(1, 2), block.keys[layer, :1, ..., :count])
            scores = scores.unflatten(1, (-1, count)).masked_fill_(ahead, -torch.inf)
            values = block.values[layer, 0, :, :count]
            mixed = torch.bmm(scores.flatten(1, 2).softmax(dim=-1), values)
            mixed = mixed.view(model.kv_heads, -1, count, model.head_size)
            return mixed.permute(2, 0, 1, 3).reshape(count, -1)

        hidden = model.forward(prompt, torch.arange(count), attend)
        block.length = count
        return hidden[-1:]


def _scores(model: CpuLlama, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Return scaled products of queries with keys: (rows kv heads, queries, columns).

    Args:
        model: the network.
        query: shape (rows kv heads, queries, head size).
        keys: shape (rows, kv heads, head size, columns).
    """
    return torch.baddbmm(
        query.new_empty(1, 1, 1), query, keys.flatten(0, 1), beta=0, alpha=model.head_size**-0.5
    )


def _padded(count: int, step: int) -> int:
    return -(-count // step) * step

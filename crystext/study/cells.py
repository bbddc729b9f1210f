"""The cells of a grid: its pretrainings, the sizes of their networks, and their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from crystext.errors import SettingError
from crystext.study.grid import Grid, SizeSpec
from crystext.study.networks import (
    MAX_DEVIATION,
    TITLES,
    Architecture,
    Interface,
    NetworkSizes,
    count_parameters,
    match_sizes,
)

VocabularyKey = tuple[str, str, str]
"""Tokenizer, text and amount of data, from which a tokenizer is learned."""


class Vocabulary(NamedTuple):
    """What a tokenizer is, beside the texts of a pretraining."""

    size: int
    """Number of tokens."""
    mean_tokens: float
    """Of a text."""


class GridCell(NamedTuple):
    """A pretraining of a grid."""

    architecture: Architecture
    size: str
    data: str
    text: str
    tokenizer: str
    seed: int
    sizes: NetworkSizes
    parameters: int
    """Of the network with what it learns its objective by; targets that turn out constant count."""
    mean_tokens: float
    """Of a text; the most that it may have where no text is known."""

    @property
    def labels(self) -> dict[str, str]:
        """The levels of its factors, as the study's table has them."""
        return {
            "architecture": TITLES[self.architecture],
            "size": self.size,
            "data": self.data,
            "text": self.text,
            "tokenizer": self.tokenizer,
        }


def cell_name(index: int, cell: GridCell) -> str:
    """Return the name of a cell: its number from 1, and its levels."""
    levels = (cell.architecture, cell.size, cell.data, cell.text, cell.tokenizer)
    return f"{index + 1:03}-" + "-".join(levels) + f"-seed{cell.seed}"


def chosen_cells(cells: Sequence[GridCell], part: str | None) -> dict[str, GridCell]:
    """Return the cells of a part `I/K` by name: every K-th from the I-th; None is all.

    Raises:
        SettingError: it is no such part.
    """
    first, _, every = (part or "1/1").partition("/")
    if not (first.isdecimal() and every.isdecimal() and 1 <= int(first) <= int(every)):
        raise SettingError(f"--cells {part}: expected I/K, such as 1/2 and 2/2 for two machines")
    return {
        cell_name(i, cell): cell for i, cell in enumerate(cells) if i % int(every) == int(first) - 1
    }


def grid_cells(
    grid: Grid, n_targets: int, vocabularies: Mapping[VocabularyKey, Vocabulary] | None = None
) -> list[GridCell]:
    """Return all pretrainings of a grid, with the sizes of their networks.

    Args:
        grid: of any design.
        n_targets: outputs for its objective; 0 of the objective texts.
        vocabularies: of tokenizers; None takes the sizes that the grid states, which learned ones
            may not reach, and the crystal vocabulary does not have.

    Raises:
        SettingError: a size cannot be matched by an architecture, or its networks differ by more
            than 5% from their mean; the message lists all that do.
    """

    def vocabulary_of(key: VocabularyKey) -> Vocabulary:
        if vocabularies is None:
            stated = grid.tokenizers[key[0]].vocabulary
            return Vocabulary(stated, float(grid.pretraining.max_tokens))
        return vocabularies[key]

    faults: list[str] = []
    networks: dict[tuple[str, VocabularyKey, Architecture], tuple[NetworkSizes, int]] = {}
    keys = list(product(grid.tokenizers, grid.texts, grid.data.sizes))
    for (size, spec), key in product(grid.sizes.items(), keys):
        interface = Interface(vocabulary_of(key).size, grid.pretraining.max_tokens, n_targets)
        counts: dict[Architecture, int] = {}
        for architecture in grid.architectures:
            try:
                sizes = _network_sizes(architecture, spec, interface)
                counts[architecture] = count_parameters(architecture, sizes, interface)
            except SettingError as error:
                faults.append(f"the size {size}: {error}")
            else:
                networks[size, key, architecture] = sizes, counts[architecture]
        faults += _unequal(size, counts)
    if faults:
        listed = "".join(f"\n  {fault}" for fault in dict.fromkeys(faults))
        raise SettingError(f"the sizes of the grid cannot be compared:{listed}")
    return [
        GridCell(
            architecture, size, data, text, tokenizer, seed,
            *networks[size, (tokenizer, text, data), architecture],
            vocabulary_of((tokenizer, text, data)).mean_tokens,
        )
        for architecture, size, data, text, tokenizer, seed in product(
            grid.architectures, grid.sizes, grid.data.sizes, grid.texts, grid.tokenizers, grid.seeds
        )
    ]  # fmt: skip


def _network_sizes(
    architecture: Architecture, spec: SizeSpec, interface: Interface
) -> NetworkSizes:
    if spec.networks is not None:
        return spec.networks[architecture]
    assert spec.parameters is not None
    return match_sizes(
        architecture, spec.parameters, interface, heads=spec.heads, layers=spec.layers,
        intermediate_ratio=spec.intermediate_ratio,
    )  # fmt: skip


def _unequal(size: str, counts: Mapping[Architecture, int]) -> list[str]:
    mean = sum(counts.values()) / max(len(counts), 1)
    if all(abs(count - mean) <= MAX_DEVIATION * mean for count in counts.values()):
        return []
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return [
        f"the size {size} has {listed} parameters; expected at most {MAX_DEVIATION:.0%} from their "
        "mean, or size is mixed up with architecture"
    ]

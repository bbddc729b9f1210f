"""The training and validation examples of a run.

Knows what was left out. Does not know how examples are made (`example_stream`) or batched
(`batches`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crystext.training.example_stream import ExampleStream

LENGTH_SAMPLE_SIZE = 256
"""Number of examples that represent the whole stream."""


@dataclass(frozen=True)
class TrainingDatasets:
    """The training and validation examples of a run."""

    train: ExampleStream
    validation: Mapping[str, ExampleStream]
    """By name of the test, each with at least one example; `translated` is the unconditional task
    on randomly translated crystals, all others are tasks on crystals as in the data."""
    lengths: list[int]
    """Token counts of the first training examples, including those that are too long."""
    unscored_tasks: list[str]
    """Tasks without a validation example that is short enough."""
    notes: tuple[str, ...] = ()
    """Further omissions, a sentence each."""

    @property
    def scored_tasks(self) -> list[str]:
        """The recipe's tasks that have validation examples."""
        return [name for name in self.train.tasks if name in self.validation]

    @property
    def too_long_fraction(self) -> float:
        """Proportion of examples that are too long, estimated from the first ones."""
        return sum(n > self.train.max_tokens for n in self.lengths) / len(self.lengths)

    def sequences_per_batch(self, batch_tokens: int) -> int:
        """Return the number of examples that hold a number of tokens on average."""
        most = self.train.max_tokens
        # Examples that are too long and left out count in a batch, but add no tokens.
        rest = most if self.train.cuts_long_texts else 0
        tokens = sum(n if n <= most else rest for n in self.lengths)
        return max(1, round(batch_tokens * LENGTH_SAMPLE_SIZE / tokens))

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each omission."""
        most = self.train.max_tokens
        if self.too_long_fraction:
            done = "lose their end" if self.train.cuts_long_texts else "are left out"
            yield (
                f"about {self.too_long_fraction:.1%} of the examples are longer than {most} tokens "
                f"(optim.max_tokens) and {done}"
            )
        if self.unscored_tasks:
            yield (
                f"not scored: {', '.join(self.unscored_tasks)}, of which no validation record "
                f"gives an example of at most {most} tokens"
            )
        yield from self.notes

"""What a text format has to bring to be sampled by `crystal_vocabulary_sampler`.

A `Vocabulary` knows its token ids in a model; a `TokenReader`, which tokens its texts can take next
and what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from crystext.inference.types import Request
from crystext.structures.crystal import Ints
from crystext.structures.distances import Bools
from crystext.text import Format

if TYPE_CHECKING:
    from crystext.inference.sampling_model import SamplingModel
    from crystext.inference.text_batch import TextBatch
    from crystext.models.load import LoadedModel


class Step(NamedTuple):
    """The next token of each text of a batch."""

    tokens: Ints
    """Token ids, shape (texts,)."""
    ended: Bools
    """Texts that end with this token."""
    abandoned: Bools | None = None
    """Texts that cannot be finished, and restart; None if all can."""


class TokenReader(Protocol):
    """The texts of one batch in one format: their allowed next tokens, and what these mean."""

    max_tokens: int
    """Maximum number of tokens of a text."""
    extra_draws: int
    """Random numbers per text beyond one per token; `draw` takes them by number."""
    max_redrawn_fields: int
    """Most fields of a text that `TextBatch.draw_free_coordinate` samples."""

    def choose(self, batch: TextBatch) -> Step:
        """Sample the next token of each text."""

    def take(self, rows: Ints | None) -> None:
        """Take the chosen tokens.

        Args:
            rows: the texts that continue, by their former rows; None is all.
        """

    def accepts(self, row: int, text: str) -> bool:
        """Return whether a finished text is a sample; otherwise it restarts."""


class Vocabulary(Protocol):
    """The token ids of one format in one tokenizer.

    To add one: a class like this, constructed from a model and a format, and one line in
    `generate.VOCABULARIES`; or, from another distribution, an entry point of the group
    `crystext.vocabularies`.
    """

    @staticmethod
    def fits(model: LoadedModel | SamplingModel, fmt: Format) -> bool:
        """Return whether a model writes this format in these tokens."""

    def start(self, request: Request, count: int, *, final: bool) -> TokenReader:
        """Return a reader of new texts.

        Args:
            request: prompt and constraints of the texts.
            count: number of texts.
            final: whether texts that are not accepted can no longer restart.

        Raises:
            SettingError: no text can satisfy the request.
        """


@runtime_checkable
class GrowingVocabulary(Protocol):
    """A `Vocabulary` whose readers take more texts while others grow.

    The texts of such a reader can be at different tokens. So texts that restart, and those for
    which there was no room, take the places of finished ones, and no step is taken for a few texts.
    """

    def add(self, reader: Any, count: int, *, final: bool) -> None:
        """Begin more texts of a reader; they come after the others. Arguments as of `start`."""

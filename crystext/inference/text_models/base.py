"""The interface of a model that answers prompts in words, and how it is to decode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystext.errors import SettingError

if TYPE_CHECKING:
    from crystext.tasks.chat_prompt import ChatPrompt


@dataclass(frozen=True)
class ChatDecoding:
    """How a model writes its answers."""

    temperature: float = 0.0
    """0 decodes greedily: the most probable token each time."""
    top_k: int | None = None
    """Sample from so many most probable tokens; None samples from all."""
    max_new_tokens: int = 64
    """Longer answers are cut."""
    max_length: int | None = None
    """Limit of prompt and answer together; None is the model's context. A service has its own."""
    batch_size: int = 8
    """Prompts answered at once: in one batch here, or as concurrent requests to a service."""
    top_p: float | None = None
    """Sample from the most probable tokens that together have this probability; None from all."""
    frequency_penalty: float = 0.0
    """Subtracted from the logit of a token for each time that the answer has it already. It
    punishes repeated digits, and changes greedy answers too."""

    def __post_init__(self) -> None:
        """Refuse settings that would have no effect, or none that makes sense.

        Raises:
            SettingError: with all errors.
        """
        faults = []
        if self.temperature < 0:
            faults.append(f"temperature {self.temperature:g}: expected 0 (greedy) or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            faults.append(f"top_p {self.top_p:g}: expected a probability above 0, such as 0.9")
        if self.temperature == 0:
            faults += [
                f"{option} limits sampling; add --temperature 1"
                for option, value in (("--top-k", self.top_k), ("--top-p", self.top_p))
                if value is not None
            ]
        if faults:
            raise SettingError("; ".join(faults))

    def describe(self) -> str:
        """Return the settings in a few words, for reports."""
        words = ["greedy" if self.temperature == 0 else f"temperature {self.temperature:g}"]
        if self.temperature > 0:
            words.append(f"top_k {self.top_k or 'off'}")
        if self.top_p is not None:
            words.append(f"top_p {self.top_p:g}")
        if self.frequency_penalty:
            words.append(f"frequency penalty {self.frequency_penalty:g}")
        return ", ".join([*words, f"at most {self.max_new_tokens} tokens"])


class TextModel(ABC):
    """Answers prompts in words."""

    name: str
    """Short, for tables: the same on every machine."""
    decoding: ChatDecoding
    seed: int
    """Of sampling."""
    prompts_at_once: int
    """How many prompts to give to `answer` together: fewer waste time, and the answers to more of
    them are lost where a process is killed."""

    @abstractmethod
    def answer(self, prompts: Sequence[ChatPrompt]) -> list[tuple[str, str]]:
        """Return the answer to each prompt and an empty text, or no answer and the reason.

        The reason is one that belongs to the prompt, such as its length. With sampling, the answers
        depend on the seed and on the prompts that are given together, and on nothing before.

        Raises:
            ModelError: the model is missing, damaged, unsafe to load or cannot be reached: nothing
                can be said about any prompt.
        """

    @abstractmethod
    def identity(self) -> Any:
        """Return what the answers depend on besides the prompts, as JSON.

        Raises:
            ModelError: the model is missing.
        """

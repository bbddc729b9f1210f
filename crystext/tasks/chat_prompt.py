"""A prompt for a model that answers in words: a conversation, or a text with control tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Message(NamedTuple):
    """A turn of a conversation."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True)
class ChatPrompt:
    """What a model is given: a conversation, or a text with control tokens of its own."""

    messages: tuple[Message, ...] = ()
    text: str = ""
    """Used as it is if there are no messages."""

    @classmethod
    def of_question(cls, question: str, system: str = "") -> ChatPrompt:
        """Return a conversation with one question, after instructions if there are any."""
        instructions = (Message("system", system),) if system else ()
        return cls((*instructions, Message("user", question)))

    def as_text(self) -> str:
        """Return the words of the prompt, for a model without a chat template."""
        return self.text or "\n\n".join(message.content for message in self.messages) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Return the prompt as files and services have it: `messages`, or a `prompt`."""
        if self.messages:
            return {"messages": [message._asdict() for message in self.messages]}
        return {"prompt": self.text}

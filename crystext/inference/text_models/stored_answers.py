"""Answers in a file, appended as they come, so that no prompt is answered twice.

A line has a key, which is a digest of the prompt and of all that its answer depends on, and the
answer:

    {"id": "3f…", "answer": "3.2 eV"}

A file may have the answers of several models and of other prompts; each is found by its key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.errors import RunError
from crystext.inference.text_models.base import TextModel
from crystext.runtime.files import explain_os_errors, json_digest
from crystext.runtime.run_folder import JsonLines
from crystext.tasks.chat_prompt import ChatPrompt

_START = b'{"id": "'

ReportProgress = Callable[[str, int, int], object]
"""Takes the model's name, the number of prompts that are answered, and of all."""


@dataclass(frozen=True)
class StoredAnswer:
    """What was answered to a prompt."""

    id: str
    answer: str
    message: str = ""
    """Why there is no answer, such as a prompt that is too long."""

    def line(self) -> str:
        """Return the answer as a line of JSON."""
        values = {"id": self.id, "answer": self.answer}
        if self.message:
            values["message"] = self.message
        return json.dumps(values) + "\n"

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StoredAnswer:
        """Return the answer of a line."""
        return cls(str(values["id"]), str(values["answer"]), str(values.get("message", "")))


class StoringTextModel(TextModel):
    """A model whose answers are stored; those that a file has are not asked again."""

    def __init__(
        self, model: TextModel, path: Path | None, report: ReportProgress | None = None
    ) -> None:
        """Take a model and a file.

        Args:
            model: answers what the file does not.
            path: of the file, which need not exist; None stores nothing.
            report: takes the progress.
        """
        self.model, self.path, self.report = model, path, report
        self.name, self.decoding, self.seed = model.name, model.decoding, model.seed
        self.prompts_at_once = model.prompts_at_once

    def identity(self) -> Any:
        """Return that of the model."""
        return self.model.identity()

    def answer(self, prompts: Sequence[ChatPrompt]) -> list[tuple[str, str]]:
        """Return an answer or a reason for each prompt; see `TextModel.answer`.

        Prompts are answered in parts of `prompts_at_once`, each of which is stored before the next.
        A sampled answer depends on the prompts of its part, so that a part of which one is missing
        is sampled again whole: a run that was stopped gives the answers of one that was not.

        Raises:
            RunError: the file is damaged, or cannot be written.
        """
        identity = self.identity() if self.path is not None else None
        ids = [json_digest([identity, prompt.as_json()]) for prompt in prompts]
        stored = self._read()
        answers: list[tuple[str, str]] = []
        for start in range(0, len(prompts), self.prompts_at_once):
            part = range(start, min(start + self.prompts_at_once, len(prompts)))
            missing = [i for i in part if ids[i] not in stored]
            requested = missing if self.decoding.temperature == 0 or not missing else list(part)
            if requested:
                given = self.model.answer([prompts[i] for i in requested])
                new = {
                    ids[i]: StoredAnswer(ids[i], *x) for i, x in zip(requested, given, strict=True)
                }
                self._append([x for key, x in new.items() if key not in stored])
                stored |= new
            answers += [(stored[ids[i]].answer, stored[ids[i]].message) for i in part]
            if self.report is not None:
                self.report(self.name, len(answers), len(prompts))
        return answers

    def _read(self) -> dict[str, StoredAnswer]:
        if self.path is None or not self.path.is_file():
            return {}
        with self.path.open("rb") as file:
            if file.read(len(_START)) not in (b"", _START):
                raise RunError(f"{self.path} holds no stored answers; give another file for them")
        lines = JsonLines(self.path, StoredAnswer.parse, "a stored answer")
        lines.cut_torn_line()
        return {x.id: x for x in lines}

    def _append(self, answers: Sequence[StoredAnswer]) -> None:
        if self.path is None:
            return
        lines = JsonLines(self.path, StoredAnswer.parse, "a stored answer")
        with (
            explain_os_errors(
                self.path,
                if_full="what was answered so far is stored: free some space and run the same "
                "command again",
                otherwise="choose a file that you may write for the answers",
            ),
            lines.appending() as append,
        ):
            append(x.line() for x in answers)

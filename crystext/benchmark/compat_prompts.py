"""Prompts of LLM4Mat-Bench, learned from the benchmark's own file and data.

The file (`mp_inference_prompts_data.csv`) has a row for each row of `test.csv`, and a column
`PROPERTY_INPUT_zero_shot` and `PROPERTY_INPUT_few_shot` for each property and input type. One
prompt of each kind is taken apart at the places where the record's text, the examples' texts and
values, and the property's name stand; the rest are the words. All other prompts of the file must
then come out to the character, or the file is refused.

A text is cut to a number of words that is learned too (50 without examples, 10 with them); a cut
text has single spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from crystext.errors import InputError, SettingError
from crystext.predict.chat.prompts import Shot
from crystext.runtime.files import json_digest
from crystext.structures.property_schema import Property
from crystext.structures.record import Label
from crystext.tasks.chat_prompt import ChatPrompt

FEW_SHOT = 5
"""Number of examples in the benchmark's prompts."""

_HEADER = "# generated using pymatgen\n"
"""Left out of CIFs."""

_NAME, _VALUE = "\0name\0", "\0value\0"
"""Marks of the property's name and an example's value in learned words."""

_KINDS = {False: "zero_shot", True: "few_shot"}


@dataclass(frozen=True)
class CompatTemplate:
    """The words around the texts of one kind of prompt."""

    head: str
    """Before the first text."""
    between: str
    """Between two texts; empty in prompts without examples."""
    tail: str
    """After the record's text."""
    max_words: int | None
    """Longer texts are cut to this; None if no text of the file was cut."""


@dataclass(frozen=True)
class CompatPrompts:
    """The prompts of LLM4Mat-Bench."""

    templates: Mapping[str, CompatTemplate]
    """By `INPUT_zero_shot` and `INPUT_few_shot`."""

    @property
    def digest(self) -> str:
        """SHA-256 of the words."""
        return json_digest({name: asdict(x) for name, x in self.templates.items()})

    def render(
        self, target: Property, representation: str, title: str, text: str, shots: Sequence[Shot]
    ) -> ChatPrompt:
        """Return a prompt with its control tokens; see `prompts.ChatPrompts`."""
        kind = f"{representation}_{_KINDS[bool(shots)]}"
        if kind not in self.templates:
            raise SettingError(
                f"the benchmark's prompts do not ask for {representation!r} "
                f"({_KINDS[bool(shots)]}); they have {', '.join(self.templates)}"
            )
        template = self.templates[kind]
        parts = [template.head]
        for shot in shots:
            parts += [
                cut_words(shot.text, template.max_words),
                template.between.replace(_VALUE, write_value(shot.value)),
            ]
        parts += [cut_words(text, template.max_words), template.tail]
        return ChatPrompt(text="".join(parts).replace(_NAME, target.name))


class PromptColumn(NamedTuple):
    """The prompts of one column of the benchmark's file."""

    property: str
    representation: str
    is_few_shot: bool
    prompts: Sequence[str]
    """One a row of the test set."""


def cut_words(text: str, max_words: int | None) -> str:
    """Return a text of at most so many words; a text that is cut gets single spaces."""
    text = text.removeprefix(_HEADER)
    words = text.split()
    return text if max_words is None or len(words) <= max_words else " ".join(words[:max_words])


def write_value(value: Label) -> str:
    """Return a value as the benchmark writes those of its examples: as Python prints it."""
    return str(value)


def learn_compat_prompts(
    columns: Iterable[PromptColumn],
    texts: Mapping[str, Sequence[str]],
    shots: Mapping[tuple[str, str], Sequence[Shot]],
) -> CompatPrompts:
    """Return the prompts whose words stand in the benchmark's file.

    Args:
        columns: of the file.
        texts: of the test set, by representation, in the order of the file's rows.
        shots: the examples, by property and representation.

    Raises:
        InputError: the file does not belong to these data, or a prompt does not follow the pattern
            of the others.
    """
    templates: dict[str, CompatTemplate] = {}
    columns = list(columns)
    for column in columns:
        kind = f"{column.representation}_{_KINDS[column.is_few_shot]}"
        if kind not in templates:
            examples = shots[column.property, column.representation] if column.is_few_shot else ()
            templates[kind] = _learn(column, texts[column.representation], examples)
    prompts = CompatPrompts(templates)
    for column in columns:
        _check(prompts, column, texts[column.representation], shots)
    return prompts


def _learn(column: PromptColumn, texts: Sequence[str], shots: Sequence[Shot]) -> CompatTemplate:
    # A longer text shows better where the benchmark cuts.
    row = max(range(len(texts)), key=lambda i: len(texts[i].split()))
    prompt = column.prompts[row]
    written, max_words = _written(prompt, texts[row], column)
    end = prompt.rindex(written)
    tail = prompt[end + len(written) :]
    if not shots:
        return CompatTemplate(_mark(prompt[:end], column), "", _mark(tail, column), max_words)
    first = cut_words(shots[0].text, max_words)
    second = cut_words(shots[1].text if len(shots) > 1 else texts[row], max_words)
    start = prompt.find(first)
    after = prompt.find(second, start + len(first)) if start >= 0 else -1
    if after < 0:
        raise _not_its_data(column, row)
    between = prompt[start + len(first) : after]
    value = write_value(shots[0].value)
    # The name comes first: a value such as False must not be looked for in it.
    marked = _mark(between, column)
    if value not in marked:
        raise _not_its_data(column, row)
    return CompatTemplate(
        _mark(prompt[:start], column), marked.replace(value, _VALUE), _mark(tail, column), max_words
    )


def _written(prompt: str, text: str, column: PromptColumn) -> tuple[str, int | None]:
    """Return a record's text as it stands in a prompt, and the number of words it is cut to."""
    whole = text.removeprefix(_HEADER)
    if whole in prompt:
        return whole, None
    words = text.removeprefix(_HEADER).split()
    for count in range(len(words), 0, -1):
        if (written := " ".join(words[:count])) in prompt:
            return written, count
    raise _not_its_data(column, 0)


def _mark(words: str, column: PromptColumn) -> str:
    return words.replace(column.property, _NAME)


def _check(
    prompts: CompatPrompts,
    column: PromptColumn,
    texts: Sequence[str],
    shots: Mapping[tuple[str, str], Sequence[Shot]],
) -> None:
    if len(column.prompts) != len(texts):
        raise InputError(
            f"the file of prompts has {len(column.prompts):,} rows, and the test set "
            f"{len(texts):,}; expected a row of prompts for each"
        )
    target = Property(column.property, column.property)
    examples = shots[column.property, column.representation] if column.is_few_shot else ()
    for row, (text, prompt) in enumerate(zip(texts, column.prompts, strict=True)):
        if prompts.render(target, column.representation, "", text, examples).text != prompt:
            raise _not_its_data(column, row)


def _not_its_data(column: PromptColumn, row: int) -> InputError:
    name = f"{column.property}_{column.representation}_{_KINDS[column.is_few_shot]}"
    return InputError(
        f"the prompt of {name}, row {row + 1}, does not hold the text of that row of the test set "
        "as the other prompts do; give the file of prompts that belongs to the data"
    )

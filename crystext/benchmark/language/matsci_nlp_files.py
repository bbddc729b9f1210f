"""The files of MatSci-NLP, as the repository BangLab-UdeM-Mila/NLP4MatSci-ACL23 has them.

    glass_non_glass.json, sofc_sent.json    tables: a text and 0 or 1 a row
    sofc_token.json                         a table: tokens, and two lists of labels for them
    matscholar.json                         a table: tokens, and labels by word
    sc_comics.json, synthesis_procedures.json
                                            annotations in the manner of brat: spans of a text,
                                            relations of two of them, events with arguments
    structured_re.json                      JSON lines: a sentence with relations of two words
    synthesis_actions.json                  a list: tokens of a sentence with tags

Files may be compressed by gzip. What a reader returns is one question each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crystext.benchmark.language.data_files import read_json, read_rows, read_table
from crystext.benchmark.language.label_tasks import Word, number_words
from crystext.errors import InputError

OUTSIDE = "o"
"""The label of a word that belongs to nothing."""


@dataclass(frozen=True)
class LabelledText:
    """A text with one label, or with labels of some of its words."""

    id: str
    text: str
    label: str = ""
    words: Sequence[Word] = ()
    labels: Sequence[str] = ()
    """(words,), in lower case, as all labels here."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What else the question names, by placeholder: the words of a relation, the event."""


def read_classes(path: Path, text_column: str, label_column: str) -> Iterator[LabelledText]:
    """Yield texts that are labelled yes (1) or no (0)."""
    table = read_table(path)
    columns = table.column(text_column), table.column(label_column)
    for index, text, label in zip(table.index, *columns, strict=True):
        if not isinstance(text, str) or str(label) not in ("0", "1"):
            raise _unexpected(path, f"row {index}", f"a text and 0 or 1 in {label_column}")
        if text.strip():
            yield LabelledText(index, text.strip(), ("no", "yes")[int(label)])


def read_tagged_tokens(path: Path, label_column: str) -> Iterator[LabelledText]:
    """Yield sentences with the labels of their tokens, of which those outside are left out."""
    table = read_table(path)
    columns = table.column("tokens"), table.column(label_column)
    for index, tokens, labels in zip(table.index, *columns, strict=True):
        if not (_are_texts(tokens) and _are_texts(labels) and len(tokens) == len(labels)):
            raise _unexpected(path, f"row {index}", f"as many tokens as {label_column}")
        yield from _tagged(index, tokens, labels)


def read_labels_by_word(path: Path) -> Iterator[LabelledText]:
    """Yield texts whose labels stand by word: repeated words have one label in this file."""
    table = read_table(path)
    columns = table.column("tokens"), table.column("labels")
    for index, tokens, labels in zip(table.index, *columns, strict=True):
        text = " ".join(tokens) if _are_texts(tokens) else tokens
        if (
            not isinstance(text, str)
            or not isinstance(labels, dict)
            or not _are_texts(list(labels.values()))
        ):
            raise _unexpected(path, f"row {index}", "a text, and an object of labels by word")
        pairs = {str(x): y.lower() for x, y in labels.items() if y.lower() != OUTSIDE}
        if pairs:
            words = [(word, 1) for word in pairs]
            yield LabelledText(index, text, words=words, labels=list(pairs.values()))


def read_actions(path: Path) -> Iterator[LabelledText]:
    """Yield sentences on a synthesis, with the actions that their words stand for."""
    for index, row in enumerate(_list_of_objects(read_json(path), path)):
        annotations = row.get("annotations")
        if not isinstance(annotations, list) or not all(
            isinstance(x, dict) and _are_texts([x.get("token"), x.get("tag")]) for x in annotations
        ):
            raise _unexpected(path, f"item {index}", "annotations with token and tag")
        tokens = [x["token"] for x in annotations]
        yield from _tagged(str(index), tokens, [x["tag"] or OUTSIDE for x in annotations])


def read_relation_lines(path: Path) -> Iterator[LabelledText]:
    """Yield the relations of sentences; a relation that is listed twice is one."""
    for row in read_rows(path, ("id", "sentText", "relationMentions")):
        seen: set[tuple[str, ...]] = set()
        for mention in _list_of_objects(row["relationMentions"], path):
            parts = tuple(mention.get(x) for x in ("arg1Text", "arg2Text", "relText"))
            if not _are_texts(parts):
                raise _unexpected(path, f"id {row['id']}", "arg1Text, arg2Text and relText")
            first, second, label = (str(x).strip() for x in parts)
            if (first, second, label) not in seen:
                seen.add((first, second, label))
                yield LabelledText(
                    f"{row['id']}-{len(seen)}",
                    str(row["sentText"]),
                    label.lower(),
                    values={"first": first, "second": second},
                )


class AnnotatedFile:
    """A file with annotations in the manner of brat."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            InputError: it is something else.
        """
        data = read_json(path)
        self.path = path
        self._items = _list_of_objects(data.get("data") if isinstance(data, dict) else None, path)

    def entities(self) -> Iterator[LabelledText]:
        """Yield texts with the labels of their entities; of one span, the first."""
        for index, item in enumerate(self._items):
            with_labels: dict[Word, str] = {}
            types = self._mapping(item, "t_type_dict", index)
            spans = sorted(self._spans(item, index).items(), key=lambda x: x[1])
            for name, span in spans:
                word = self._word(item, span)
                if word[0]:
                    with_labels.setdefault(word, str(types.get(name, "")).lower())
            if with_labels:
                yield LabelledText(
                    str(index),
                    item["text"],
                    words=list(with_labels),
                    labels=list(with_labels.values()),
                )

    def relations(self) -> Iterator[LabelledText]:
        """Yield the relations of two entities or events, an event by its trigger."""
        for index, item in enumerate(self._items):
            spans, triggers = self._spans(item, index), self._mapping(item, "e_trig_dict", index)
            types = self._mapping(item, "r_type_dict", index)
            for name, ends in self._mapping(item, "r_args_dict", index).items():
                words = [
                    item["text"][slice(*spans[triggers.get(x, x)])]
                    for x in ends
                    if triggers.get(x, x) in spans
                ]
                if len(words) != 2 or name not in types:
                    raise _unexpected(self.path, f"item {index}, {name}", "two known ends")
                yield LabelledText(
                    f"{index}-{name}",
                    item["text"],
                    str(types[name]).lower(),
                    values={"first": words[0], "second": words[1]},
                )

    def events(self) -> Iterator[LabelledText]:
        """Yield the events that have arguments, with the roles of these."""
        for index, item in enumerate(self._items):
            spans, triggers = self._spans(item, index), self._mapping(item, "e_trig_dict", index)
            types = self._mapping(item, "e_type_dict", index)
            for name, arguments in self._mapping(item, "e_args_dict", index).items():
                roles: dict[Word, str] = {}
                for role, argument in arguments:
                    if argument in spans:
                        roles.setdefault(self._word(item, spans[argument]), str(role).lower())
                if roles and triggers.get(name) in spans:
                    yield LabelledText(
                        f"{index}-{name}",
                        item["text"],
                        words=list(roles),
                        labels=list(roles.values()),
                        values={
                            "event": str(types.get(name, "")).lower(),
                            "trigger": item["text"][slice(*spans[triggers[name]])],
                        },
                    )

    def _spans(self, item: Mapping[str, Any], index: int) -> dict[str, tuple[int, int]]:
        spans = {}
        for name, span in self._mapping(item, "t_span_dict", index).items():
            ends = span if isinstance(span, list) else []
            if len(ends) != 2 or not all(isinstance(x, int) for x in ends):
                raise _unexpected(self.path, f"item {index}, {name}", "a span of two numbers")
            spans[name] = (ends[0], ends[1])
        return spans

    def _mapping(self, item: Mapping[str, Any], key: str, index: int) -> dict[str, Any]:
        value = item.get(key)
        if not isinstance(value, dict) or not isinstance(item.get("text"), str):
            raise _unexpected(self.path, f"item {index}", f"a text, and an object {key}")
        return value

    @staticmethod
    def _word(item: Mapping[str, Any], span: tuple[int, int]) -> Word:
        """Return the text of a span, and which of its occurrences in the text it is."""
        text = item["text"]
        word = text[slice(*span)]
        # On one line, since answers name a word a line.
        return " ".join(word.split()), (text.count(word, 0, span[0]) + 1 if word else 1)


def _tagged(index: str, tokens: Sequence[str], labels: Sequence[str]) -> Iterator[LabelledText]:
    """Yield a sentence if some token has a label."""
    chosen = [
        (word, label.lower())
        for word, label in zip(number_words(tokens), labels, strict=True)
        if label.lower() != OUTSIDE
    ]
    if chosen:
        words, names = zip(*chosen, strict=True)
        yield LabelledText(index, " ".join(tokens), words=words, labels=names)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(x, str) for x in values)


def _list_of_objects(value: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(x, dict) for x in value):
        raise InputError(f"{path} is not what MatSci-NLP has there: expected a list of objects")
    return value


def _unexpected(path: Path, place: str, expected: str) -> InputError:
    return InputError(f"{path}, {place}: expected {expected}")

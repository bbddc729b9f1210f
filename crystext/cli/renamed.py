"""Other names of options, which work too: those of version 0.1, and those of other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RENAMED_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "sample": {
        "--max-tries": "--max-attempts-per-sample",
        "--min-distance": "--min-distance-ratio",
        "--text": "--text-format",
        "--format": "--to",
    },
    "infill": {"--min-distance": "--min-distance-ratio", "--format": "--to"},
    "relax": {"--format": "--to"},
    "decode": {"--forgiving": "--lenient"},
}
"""By command: the old name of an option, and its name now."""

OTHER_NAMES: Mapping[str, Mapping[str, str]] = {
    "sample": {"--contains-only": "--chemical-system"},
    "infill": {"--predict-cell": "--cell"},
}
"""By command: what an option is called elsewhere, and its name here. LLaMat generates from elements
that each occur, and no others; and predicts the cell of given atoms (arXiv:2412.09560)."""

RENAMED_VALUES: Mapping[str, Mapping[tuple[str, str], str]] = {
    "sample": {("--until", "matched"): "satisfied", ("--keep", "matched"): "satisfied"},
}
"""By command: an option with an old value, and that value now."""


def with_new_names(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments of a command line with today's names, and a note on each that changed.

    Args:
        arguments: those behind `crystext`.
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    renamed_options, others = (x.get(command, {}) for x in (RENAMED_OPTIONS, OTHER_NAMES))
    values = RENAMED_VALUES.get(command, {})
    renamed: list[str] = []
    notes: list[str] = []
    option = ""
    for i, word in enumerate(arguments):
        if "--" in arguments[:i]:
            renamed.append(word)
            continue
        name, equals, value = word.partition("=")
        if name in renamed_options:
            notes.append(f"{name} is now called {renamed_options[name]}")
            name = renamed_options[name]
        elif name in others:
            notes.append(f"{name} is called {others[name]} here")
            name = others[name]
        if equals or name.startswith("--"):
            option = name
        if equals and (option, value) in values:
            notes.append(f"{option} {value} is now called {option} {values[option, value]}")
            value = values[option, value]
        elif not equals and (option, name) in values:
            notes.append(f"{option} {name} is now called {option} {values[option, name]}")
            name = values[option, name]
        renamed.append(name + equals + value)
    return renamed, notes

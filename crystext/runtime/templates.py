"""Prompt sets of one phrasing: a folder with a text file for each template.

Placeholders stand in braces: {text}, {labels}. Other braces, such as those of JSON, are free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from pathlib import Path

from crystext.errors import SettingError, describe_error, did_you_mean
from crystext.runtime.shipped_files import shipped_path

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


def read_templates(
    source: str | Path, default: str, needed: Mapping[str, Set[str]], *, kind: str, other: str = ""
) -> dict[str, str]:
    """Return the templates of a set by name: of a folder, or the shipped one of a name.

    Args:
        source: the folder, or the name.
        default: the name of the shipped set.
        needed: the templates of the set, with the placeholders that each must have.
        kind: what the set is, for messages: `chat prompts`.
        other: what else is accepted, for the message about a source that does not exist.

    Raises:
        SettingError: the set does not exist, or a template is missing or has other placeholders;
            the message lists all errors.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = shipped_path("prompts", str(source))
    if not folder.is_dir() or (str(source) != default and not Path(source).is_dir()):
        raise SettingError(
            f"no {kind} {str(source)!r}: expected {default!r}, a folder with "
            f"{', '.join(f'{name}.txt' for name in needed)}{other}."
            + did_you_mean(str(source), [default])
        )
    errors, templates = [], {}
    for name, placeholders in needed.items():
        path = folder / f"{name}.txt"
        try:
            templates[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{path.name}: {describe_error(error, 'it cannot be read')}")
            continue
        present = set(_PLACEHOLDER.findall(templates[name]))
        if present != placeholders:
            errors.append(
                f"{path.name} has the placeholders {sorted(present)}, expected "
                f"{sorted(placeholders)}"
            )
    if errors:
        raise SettingError(f"the {kind} {folder} have errors:\n  " + "\n  ".join(errors))
    return templates


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Return a template with values in place of its placeholders; the values are not searched."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template).strip()

"""Settings files that ship under names: suites, grids, recipes.

Each kind has a folder of YAML files; a user names one of them, or gives a path. `SettingsFiles`
finds and reads the file, and says what is wrong with the name, the file or its contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from crystext.errors import SettingError, did_you_mean
from crystext.runtime.schema import read_yaml, setting_faults
from crystext.runtime.shipped_files import shipped_path

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class SettingsFiles:
    """The settings files of one kind."""

    kind: str
    """For messages: `suite`."""
    folder: Sequence[str]
    """Place of the shipped ones among the shipped files."""
    keys: str
    """What a file has, for the message about one that is something else."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the shipped ones."""
        return tuple(sorted(path.stem for path in shipped_path(*self.folder).glob("*.yaml")))

    def read(self, source: str | Path) -> tuple[Path, dict[str, Any]]:
        """Return the path and the settings of a file, or of a shipped one by its name.

        Raises:
            SettingError: there is none, or it is no mapping in YAML.
        """
        path, names = Path(source), self.names()
        if not path.is_file():
            path = shipped_path(*self.folder) / f"{source}.yaml"
        if str(source) not in names and not Path(source).is_file():
            raise SettingError(
                f"no {self.kind} or file {str(source)!r}.{did_you_mean(str(source), names)} The "
                f"shipped ones are {', '.join(names)}"
            )
        values = read_yaml(path)
        if not isinstance(values, dict):
            raise SettingError(
                f"{path} is not a {self.kind}: it holds no settings; expected a mapping with "
                f"{self.keys}, such as {shipped_path(*self.folder) / names[0]}.yaml"
            )
        return path, values


def check_settings(
    schema: type[_Model],
    values: Mapping[str, Any],
    origin: str,
    override_errors: Sequence[str] = (),
    file_errors: Sequence[str] = (),
) -> _Model:
    """Return settings that fit a schema.

    Args:
        schema: what they have to be.
        values: the settings.
        origin: names them in the message.
        override_errors: what is wrong with overrides of them.
        file_errors: what is known to be wrong with the file.

    Raises:
        SettingError: with every error.
    """
    lines = list(file_errors)
    try:
        settings = schema.model_validate(values)
    except ValidationError as error:
        lines += setting_faults(error, schema)
    else:
        if not lines and not override_errors:
            return settings
    where = f"{origin} has" if lines else "the overrides have"
    raise SettingError(f"{where} faults:\n  " + "\n  ".join([*override_errors, *lines]))

"""The interface of a potential that is known by name: how it is found, loaded and recognized.

To add one: one file here with a `PotentialLoader` and one line in `POTENTIALS`; or, from another
distribution, an entry point of the group `crystext.potentials`. The known energies that check it
come with the `Potential` that `load` returns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from crystext.energies.potential import Potential


class PotentialLoader(ABC):
    """A potential that can be given by name; nothing is loaded before `load`."""

    name: ClassVar[str]
    """Of the weights, with their version, as relaxations and hulls record it: the name of the
    `Potential` that `load` returns."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names that users may type; the name in the registry and `name` go without saying, and
    upper and lower case are the same."""
    files: ClassVar[tuple[str, ...]] = ()
    """Names of the files of a folder with its weights, where it reads such folders."""

    @abstractmethod
    def load(self, source: str | Path | None = None) -> Potential:
        """Load the potential; `check_energies` is called on what is returned.

        Args:
            source: a folder or a repository that `reads` accepts; None for its own weights.

        Raises:
            ModelError: its package or its weights are missing; the message says what to do.
        """

    def unavailable(self) -> str:
        """Return why the potential cannot be loaded here, found quickly; empty where it can."""
        return ""

    def reads(self, source: str | Path) -> bool:
        """Return whether a folder, or OWNER/NAME of a Hub repository, looks like its weights.

        Whether they are is found when they are loaded.
        """
        return bool(self.files) and all((Path(source) / name).is_file() for name in self.files)

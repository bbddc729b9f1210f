"""The interface of a potential that is available by name: how it is found, loaded, recognized.

To add one: one file here with a `PotentialLoader` and one line in `POTENTIALS`; or, from another
distribution, an entry point of the group `crystext.potentials`. Its known energies come with
the `Potential` that `load` returns.
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
    """Other names that users may type, besides the name in the registry and `name`; case is
    ignored."""
    files: ClassVar[tuple[str, ...]] = ()
    """File names of a folder with its weights, if it reads such folders."""

    @abstractmethod
    def load(self, source: str | Path | None = None) -> Potential:
        """Load the potential; the caller runs `check_energies` on it.

        Args:
            source: a folder or a repository that `reads` accepts; None for its own weights.

        Raises:
            ModelError: its package or its weights are missing; the message says what to do.
        """

    def unavailable(self) -> str:
        """Return why the potential cannot be loaded here, determined quickly; empty if it can."""
        return ""

    def reads(self, source: str | Path) -> bool:
        """Return whether a folder, or OWNER/NAME of a Hub repository, looks like its weights.

        Loading decides whether they are.
        """
        return bool(self.files) and all((Path(source) / name).is_file() for name in self.files)

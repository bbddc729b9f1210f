"""Registries: the members of one kind by name, from the package and from plugins.

A text format, a property, a metric, a stage, a potential, a task or a command is one file and one
line in its registry:

    POTENTIALS = Registry("potential", Loader, {
        "chgnet": "crystext.energies.potentials.chgnet:CHGNET",
        ...
    })

Another distribution adds a member by an entry point of the group `crystext.potentials`, without a
change here (https://packaging.python.org/en/latest/specifications/entry-points/):

    [project.entry-points."crystext.potentials"]
    mace = "my_package.mace:MACE"

Members are imported on first use. A plugin cannot replace a member of the package: the meaning of
`plain` never depends on what is installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from crystext.errors import SettingError, UserCodeError, did_you_mean

Member = TypeVar("Member")


class Registry(Mapping[str, Member], Generic[Member]):
    """Members of one kind by name, in order: the package's own, then those of plugins by name."""

    def __init__(
        self,
        kind: str,
        base: type[Member],
        members: Mapping[str, Member | str],
        *,
        plural: str | None = None,
    ) -> None:
        """Register the members of the package.

        Args:
            kind: one word for messages; the entry-point group is `crystext.` and its plural.
            base: the class of every member; a plugin's object of another class is refused.
            members: objects, or import paths `module:name` of objects to import on first use.
            plural: plural of the kind; None adds an s.
        """
        self.kind, self.base = kind, base
        self.group = f"crystext.{plural or kind + 's'}"
        self._members = dict(members)

    def __getitem__(self, name: str) -> Member:
        if name in self._members:
            member = self._members[name]
            if isinstance(member, str) and not issubclass(self.base, str):
                module, _, attribute = member.partition(":")
                member = getattr(import_module(module), attribute)
                self._members[name] = member
            return member  # type: ignore[return-value]
        return self._load(self._plugins[name])

    def __iter__(self) -> Iterator[str]:
        yield from self._members
        yield from sorted(name for name in self._plugins if name not in self._members)

    def __len__(self) -> int:
        return len({*self._members, *self._plugins})

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._plugins

    def find(self, name: str) -> Member:
        """Return the member with a name given by a user.

        Raises:
            SettingError: there is none; the message lists all members.
            UserCodeError: it is a plugin that cannot be imported, or has the wrong class.
        """
        if name not in self:
            raise SettingError(
                f"no {self.kind} is called {name!r}; there are {', '.join(self)}."
                + did_you_mean(str(name), self)
            )
        return self[name]

    def from_plugin(self, name: str) -> bool:
        """Return whether a member comes from a plugin."""
        return name not in self._members and name in self._plugins

    @cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def _load(self, point: EntryPoint) -> Member:
        try:
            member = point.load()
        except Exception as error:  # Plugin code may raise anything.
            raise UserCodeError(
                f"the {self.kind} {point.name!r} is a plugin ({point.value}) that cannot be "
                f"imported: {type(error).__name__}: {error}. Update or uninstall its package"
            ) from error
        if not isinstance(member, self.base):
            raise UserCodeError(
                f"the {self.kind} {point.name!r} is a plugin whose {point.value} is of the class "
                f"{type(member).__name__}; expected a {self.base.__name__}"
            )
        return member

"""Potentials by name, from a folder, or from Python; each proves itself before it is handed out.

m3gnet              M3GNet-MP-2021.2.8-PES, from the Hub
a folder            the same weights, as matgl keeps them
chgnet              CHGNet 0.3.0, from its package
a function          makes a `Potential` around any calculator of ASE's
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from crystext.energies.chgnet import CHGNET, load_chgnet
from crystext.energies.m3gnet import M3GNET, load_m3gnet
from crystext.energies.potential import Potential, prove
from crystext.errors import ModelError, SettingError, did_you_mean

Source = str | Path | Callable[[], Potential]
"""Where a potential comes from; see the module's text. A `functools.partial` will do."""

NAMES = ("m3gnet", "chgnet")


def load_potential(source: Source = "m3gnet") -> Potential:
    """Load a potential and have it prove itself.

    Args:
        source: see the module's text.

    Raises:
        ModelError: there is nothing of that name, it cannot be read, its weights are no known ones,
            or it gives other energies than it has to give.
    """
    potential = source() if callable(source) else _named(source)
    prove(potential)
    return potential


@cache
def loaded(source: Source) -> Potential:
    """Return a potential that is loaded and proved once in a process."""
    return load_potential(source)


def name_of(source: str | Path) -> str:
    """Return the name of the potential that a name or a folder means, without loading it."""
    # A folder or a repository that holds another one is refused when it is loaded.
    return CHGNET if str(source).lower() in ("chgnet", CHGNET.lower()) else M3GNET


def check_shareable(source: Source) -> None:
    """Raise `SettingError` where another process could not make the potential."""
    function = source.func if isinstance(source, partial) else source
    name = getattr(function, "__qualname__", "")
    if "<" in name:
        raise SettingError(
            f"the potential is made by {name}, which other processes cannot import; define the "
            "function at the top of a module"
        )


def _named(source: str | Path) -> Potential:
    name = str(source)
    if Path(source).is_dir():
        return load_m3gnet(source)
    if name.lower() in ("m3gnet", M3GNET.lower()):
        return load_m3gnet(M3GNET)
    if name.lower() in ("chgnet", CHGNET.lower()):
        return load_chgnet()
    owner, slash, model = name.partition("/")
    if isinstance(source, str) and slash and owner not in ("", ".", "..", "~") and "/" not in model:
        return load_m3gnet(name)
    raise ModelError(
        f"no potential is called {name!r}, and no folder either; expected {' or '.join(NAMES)}, a "
        f"folder with {M3GNET}, or OWNER/NAME of it on the Hub." + did_you_mean(name, NAMES)
    )

"""Potentials by name, from a folder, by import path or from Python.

auto                    m3gnet where its weights are in a cache or on the Hub, else chgnet
m3gnet                  M3GNet-MP-2021.2.8-PES, from a cache or the Hub
a folder                the same weights, as matgl keeps them
OWNER/NAME              the same weights in another repository of the Hub
chgnet                  CHGNet 0.3.0, whose weights are in its package
module:function         a function that makes a `Potential`; see `import_path`
a function              the same, from Python

Each is checked against known energies before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from crystext.data.source import checksum
from crystext.energies.import_path import (
    absolute_import_path,
    import_potential,
    is_import_path,
    source_file,
)
from crystext.energies.potential import Potential, check_energies, one_thread
from crystext.energies.potentials.chgnet import CHGNET, load_chgnet
from crystext.energies.potentials.m3gnet import load_m3gnet
from crystext.energies.potentials.m3gnet_weights import M3GNET, cached_weights, fetch_weights
from crystext.errors import ModelError, SettingError, did_you_mean
from crystext.runtime.files import file_digest

PotentialSource = str | Path | Callable[[], Potential]
"""Where a potential comes from; see the module's text. A `functools.partial` will do."""

AUTO = "auto"
POTENTIAL_NAMES = (AUTO, "m3gnet", "chgnet")


class PotentialChoice(NamedTuple):
    """A potential that can be had."""

    source: PotentialSource
    """Never `auto`."""
    reason: str = ""
    """A sentence, where it is not the first of those that were looked for."""


def choose_potential(
    source: PotentialSource = AUTO, previous: str | None = None
) -> PotentialChoice:
    """Return the potential that is meant; of `auto`, the first that can be had.

    Args:
        source: see the module's text.
        previous: name of the potential of the energies that there are already, which `auto`
            keeps to: energies of two potentials cannot be compared.
    """
    if source != AUTO:
        own = isinstance(source, str) and is_import_path(source)
        return PotentialChoice(absolute_import_path(str(source)) if own else source)
    if previous == M3GNET:
        return PotentialChoice("m3gnet")
    if previous == CHGNET:
        return PotentialChoice(
            "chgnet",
            f"{CHGNET}, with which the energies here were begun; for M3GNet give another folder, "
            "and --potential m3gnet",
        )
    return _first_available()


@cache
def _first_available() -> PotentialChoice:
    if cached_weights() is not None:
        return PotentialChoice("m3gnet")
    try:
        fetch_weights()
    except ModelError as error:
        return PotentialChoice("chgnet", f"{CHGNET}, since {M3GNET} is in no cache, and {error}")
    return PotentialChoice("m3gnet")


def load_potential(source: PotentialSource = AUTO) -> Potential:
    """Load a potential and check it against known energies.

    Args:
        source: see the module's text.

    Raises:
        ModelError: there is nothing of that name, it cannot be read, its weights are not known, or
            it gives wrong energies.
    """
    chosen = choose_potential(source).source
    potential = chosen() if callable(chosen) else _load_named(chosen)
    with one_thread():
        check_energies(potential)
    return potential


@cache
def load_potential_once(source: PotentialSource) -> Potential:
    """Return a potential that is loaded and checked once in a process."""
    return load_potential(source)


def potential_name(source: PotentialSource) -> str:
    """Return the name of the potential that a source means.

    M3GNet and CHGNet are not loaded for it: a folder or a repository that holds other weights than
    M3GNet's is refused when it is loaded.
    """
    if callable(source) or (isinstance(source, str) and is_import_path(source)):
        return load_potential_once(source).name
    chosen = str(choose_potential(source).source)
    return CHGNET if chosen.lower() in ("chgnet", CHGNET.lower()) else M3GNET


def potential_identity(source: PotentialSource) -> str:
    """Return what tells a source from others of the same name: the digests of its files."""
    if callable(source):
        return load_potential_once(source).name
    if (code := code_digest(source)) is not None:
        return f"{str(source).rpartition(':')[2]} {code}"
    return checksum(Path(source)) if Path(source).exists() else str(source)


def code_digest(source: PotentialSource) -> str | None:
    """Return the digest of the file of an import path; None of any other source."""
    if not isinstance(source, str) or not is_import_path(source):
        return None
    file = source_file(source)
    return source if file is None else file_digest(file)


def check_shareable(source: PotentialSource) -> None:
    """Raise `SettingError` where another process could not make the potential."""
    function = source.func if isinstance(source, partial) else source
    name = getattr(function, "__qualname__", "")
    if "<" in name:
        raise SettingError(
            "the potential is made by a function inside another one, or without a name; other "
            "processes cannot import it. Define the function at the top of a module"
        )


def _load_named(source: str | Path) -> Potential:
    name = str(source)
    if Path(source).is_dir():
        return load_m3gnet(source)
    if name.lower() in ("m3gnet", M3GNET.lower()):
        return load_m3gnet(M3GNET)
    if name.lower() in ("chgnet", CHGNET.lower()):
        return load_chgnet()
    if isinstance(source, str) and is_import_path(source):
        return import_potential(source)
    owner, slash, model = name.partition("/")
    if isinstance(source, str) and slash and owner not in ("", ".", "..", "~") and "/" not in model:
        return load_m3gnet(name)
    raise ModelError(
        f"no potential is called {name!r}, and no folder; expected {', '.join(POTENTIAL_NAMES)}, a "
        f"folder with {M3GNET}, OWNER/NAME of it on the Hub, or MODULE:FUNCTION."
        + did_you_mean(name, POTENTIAL_NAMES)
    )

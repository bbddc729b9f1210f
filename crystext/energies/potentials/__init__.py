"""Potentials by name, from a folder, by import path or from Python.

auto                    m3gnet where its weights are in a cache or on the Hub, else chgnet
m3gnet                  M3GNet-MP-2021.2.8-PES, from a cache or the Hub
a folder                the same weights, in matgl's layout
OWNER/NAME              the same weights in another repository of the Hub
chgnet                  CHGNet 0.3.0, whose weights are in its package
sevennet                SevenNet-0, whose weights are in its package; an extra
module:function         a function that returns a `Potential` or an ASE calculator; see
                        `import_path`
a function              the same, from Python
any other name          a plugin's; see `loader`

Each is checked against known energies before it is used. To add one: one file here with a
`PotentialLoader`, and one line in `POTENTIALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crystext.data.source import checksum
from crystext.energies.import_path import (
    absolute_import_path,
    as_potential,
    import_potential,
    is_import_path,
    source_file,
)
from crystext.energies.potential import Potential, check_energies
from crystext.energies.potentials.loader import PotentialLoader
from crystext.errors import ModelError, SettingError, did_you_mean
from crystext.runtime.files import file_digest
from crystext.runtime.registry import Registry
from crystext.runtime.threads import single_thread

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

PotentialSource = str | Path | Callable[[], "Potential | Calculator"]
"""Source of a potential; see the module's text. A `functools.partial` is accepted."""

AUTO = "auto"
POTENTIALS = Registry(
    "potential",
    PotentialLoader,  # type: ignore[type-abstract]  # no member is made of the class itself
    {
        "m3gnet": "crystext.energies.potentials.m3gnet:LOADER",
        "chgnet": "crystext.energies.potentials.chgnet:LOADER",
        "sevennet": "crystext.energies.potentials.sevennet:LOADER",
    },
)
"""Potentials by name. `auto` takes the first of the package's own that is available."""


class PotentialChoice(NamedTuple):
    """An available potential."""

    source: PotentialSource
    """Never `auto`."""
    reason: str = ""
    """A sentence, if it is not the first choice."""


def choose_potential(
    source: PotentialSource = AUTO, previous: str | None = None
) -> PotentialChoice:
    """Return the potential of a source; for `auto`, the first available one.

    Args:
        source: see the module's text.
        previous: name of the potential of existing energies, which `auto` keeps: energies of two
            potentials cannot be compared.
    """
    if source != AUTO:
        own = isinstance(source, str) and is_import_path(source)
        return PotentialChoice(absolute_import_path(str(source)) if own else source)
    recorded = None
    if previous is not None:
        recorded = next((x for x in POTENTIALS if POTENTIALS[x].name == previous), None)
    if recorded is None:
        return _first_available()
    first = next(iter(POTENTIALS))
    if recorded == first:
        return PotentialChoice(recorded)
    return PotentialChoice(
        recorded,
        f"{previous}, with which the energies here were begun; for {POTENTIALS[first].name} give "
        f"another folder, and --potential {first}",
    )


@cache
def _first_available() -> PotentialChoice:
    reasons: list[str] = []
    for name, loader in _package_potentials():
        reason = loader.unavailable()
        if not reason:
            since = f"{loader.name}, since {'; '.join(reasons)}" if reasons else ""
            return PotentialChoice(name, since)
        reasons.append(reason)
    raise ModelError(f"no potential is available: {'; '.join(reasons)}")


def _package_potentials() -> Iterator[tuple[str, PotentialLoader]]:
    """Yield the potentials of the package: the meaning of `auto` does not depend on plugins."""
    for name in POTENTIALS:
        if not POTENTIALS.from_plugin(name):
            yield name, POTENTIALS[name]


def load_potential(source: PotentialSource = AUTO) -> Potential:
    """Load a potential and check it against known energies.

    Args:
        source: see the module's text.

    Raises:
        ModelError: it does not exist, it cannot be read, its weights are unknown, or it gives wrong
            energies.
    """
    chosen = choose_potential(source).source
    potential = _call(chosen) if callable(chosen) else _load_source(chosen)
    with single_thread():
        check_energies(potential)
    return potential


@cache
def load_potential_once(source: PotentialSource) -> Potential:
    """Return a potential that is loaded and checked once per process."""
    return load_potential(source)


def potential_name(source: PotentialSource) -> str:
    """Return the name of the potential of a source.

    A potential given by name, folder or repository is not loaded for this: weights that do not
    belong to the name are refused when they are loaded.

    Raises:
        ModelError: it does not exist.
    """
    if callable(source) or (isinstance(source, str) and is_import_path(source)):
        return load_potential_once(source).name
    chosen = choose_potential(source).source
    assert not callable(chosen)
    return _find_loader(chosen)[0].name


def potential_identity(source: PotentialSource) -> str:
    """Return what distinguishes a source from others of the same name: the digests of its files."""
    if callable(source):
        return load_potential_once(source).name
    if (code := code_digest(source)) is not None:
        return f"{str(source).rpartition(':')[2]} {code}"
    return checksum(Path(source)) if Path(source).exists() else str(source)


def code_digest(source: PotentialSource) -> str | None:
    """Return the digest of the file of an import path; None for any other source."""
    if not isinstance(source, str) or not is_import_path(source):
        return None
    file = source_file(source)
    return source if file is None else file_digest(file)


def split_sources(text: str) -> list[str]:
    """Return the potentials of a list with commas; a file or folder of that name is one.

    Raises:
        SettingError: it names none.
    """
    if Path(text).exists():
        return [text]
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise SettingError("no potential is given; expected one or more, such as chgnet")
    return names


def check_available(source: PotentialSource) -> None:
    """Raise `ModelError` if a potential does not exist, or its package or weights are missing.

    Nothing is loaded; what is given as a function or an import path is not checked.
    """
    if callable(source) or (isinstance(source, str) and is_import_path(source)):
        return
    loader, weights = _find_loader(source)
    if weights is None and (reason := loader.unavailable()):
        raise ModelError(f"the potential {loader.name} is not available: {reason}")


def check_shareable(source: PotentialSource) -> None:
    """Raise `SettingError` if another process could not create the potential."""
    function = source.func if isinstance(source, partial) else source
    name = getattr(function, "__qualname__", "")
    if "<" in name:
        raise SettingError(
            "the potential is made by a function inside another one, or without a name; other "
            "processes cannot import it. Define the function at the top of a module"
        )


def _call(function: Callable[[], Potential | Calculator]) -> Potential:
    """Return the potential of a function, which may return an ASE calculator alone."""
    named = function.func if isinstance(function, partial) else function
    name = getattr(named, "__qualname__", type(named).__name__)
    return as_potential(function(), f"{getattr(named, '__module__', '')}:{name}", name)


def _load_source(source: str | Path) -> Potential:
    if isinstance(source, str) and is_import_path(source):
        return import_potential(source)
    loader, weights = _find_loader(source)
    return loader.load(weights)


def _find_loader(source: str | Path) -> tuple[PotentialLoader, str | Path | None]:
    """Return the loader of a name, folder or repository, and where it reads weights from."""
    name = str(source).lower()
    if not Path(source).is_dir():
        for key, loader in POTENTIALS.items():
            if name in {other.lower() for other in (key, loader.name, *loader.aliases)}:
                return loader, None
    for loader in POTENTIALS.values():
        if loader.reads(source):
            return loader, source
    if Path(source).is_dir():
        expected = [f"{', '.join(x.files)} of {x.name}" for x in POTENTIALS.values() if x.files]
        raise ModelError(
            f"the folder {source} holds no potential; expected {', or '.join(expected)}"
        )
    names = (AUTO, *POTENTIALS)
    raise ModelError(
        f"no potential is called {str(source)!r}, and no folder; expected {', '.join(names)}, a "
        "folder with weights, OWNER/NAME of them on the Hub, or MODULE:FUNCTION."
        + did_you_mean(str(source), names)
    )

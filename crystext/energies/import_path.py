"""A potential by import path: `package.module:function`, or `file.py:function`.

The function takes no argument, and returns a `Potential` or an ASE calculator. A bare calculator
has energies of an unknown kind (`EnergyCorrection.OWN`), and is checked against measured heats of
formation (`known_energies.FORMATION_ENERGIES`). See `examples/08_potential.py`.

What goes wrong otherwise: importing a module runs its code. So it is imported only if a user names
it, never because a file does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from crystext.energies.potential import Potential
from crystext.errors import ModelError, UserCodeError, did_you_mean

_EXAMPLE = "my_potential.py:make or package.module:make"


def is_import_path(source: str) -> bool:
    """Return whether a text is an import path, not a name or a folder."""
    return ":" in source and not Path(source).exists()


def absolute_import_path(source: str) -> str:
    """Return an import path that is valid in any working directory."""
    module, _, function = source.rpartition(":")
    return f"{Path(module).resolve()}:{function}" if module.endswith(".py") else source


def source_file(source: str) -> Path | None:
    """Return the file of an import path, without running it; None if not found."""
    module = source.rpartition(":")[0]
    if module.endswith(".py"):
        return Path(module) if Path(module).is_file() else None
    try:
        found = importlib.util.find_spec(module)
    # Finding a submodule imports its package, which may raise anything.
    except Exception:
        return None
    origin = None if found is None or found.origin is None else Path(found.origin)
    return origin if origin is not None and origin.is_file() else None


def import_potential(source: str) -> Potential:
    """Call a function by its import path, and return its potential, unchecked.

    Args:
        source: see the module's text.

    Raises:
        ModelError: the module or function does not exist, it raises an error, or it returns
            something else.
    """
    module, _, function = source.rpartition(":")
    made = _call(_import_function(source, module, function), source)
    name = Path(module).stem if module.endswith(".py") else module
    return as_potential(made, f"{name}:{function}", source)


def as_potential(returned: Any, name: str, source: str) -> Potential:
    """Return the result of a user's function as a potential, unchecked.

    Args:
        returned: a potential, or an ASE calculator, whose energies are then of an unknown kind.
        name: of the potential of a calculator.
        source: the function, for the message.

    Raises:
        ModelError: it is something else.
    """
    from ase.calculators.calculator import BaseCalculator

    if isinstance(returned, Potential):
        return returned
    if isinstance(returned, BaseCalculator):
        return Potential(name, returned)  # type: ignore[arg-type]
    what = "nothing" if returned is None else f"an object of type {type(returned).__name__}"
    raise ModelError(
        f"the function {source} returns {what}; expected a crystext.energies.potential.Potential, "
        "or an ASE calculator"
    )


def _import_function(source: str, module: str, name: str) -> Callable[[], Any]:
    if not module or not name:
        raise ModelError(
            f"the potential {source!r} is not an import path; expected MODULE:FUNCTION, such as "
            f"{_EXAMPLE}"
        )
    imported = _import_file(Path(module)) if module.endswith(".py") else _import_module(module)
    found = getattr(imported, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    functions = [x for x in vars(imported) if not x.startswith("_") and callable(vars(imported)[x])]
    what = (
        f"has no function {name!r}" if found is None else f"has {name!r}, which is not a function"
    )
    raise ModelError(
        f"the module {module} {what}; expected one that takes no argument and returns a Potential."
        + did_you_mean(name, functions)
    )


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ModelError(
                f"no module {error.name} is installed or on PYTHONPATH; a module in a file is "
                "given by its path, such as my_potential.py:make"
            ) from None
        raise _import_error(name, error) from error
    # A module may raise anything.
    except Exception as error:
        raise _import_error(name, error) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"no file {path}; expected MODULE:FUNCTION, such as {_EXAMPLE}")
    # A unique name, so that it hides no installed module.
    name = f"crystext_potential_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _import_error(str(path), error) from error
    return module


def _call(function: Callable[[], Any], source: str) -> Any:
    try:
        return function()
    # A function may raise anything, too.
    except Exception as error:
        raise UserCodeError(
            f"the function {source} fails: {_describe_error(error)}; expected one that takes no "
            "argument and returns a Potential"
        ) from error


def _import_error(module: str, error: Exception) -> ModelError:
    return UserCodeError(f"the module {module} cannot be imported: {_describe_error(error)}")


def _describe_error(error: Exception) -> str:
    """Return the message of an error from user code."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]

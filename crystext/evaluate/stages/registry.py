"""The stages by name, in the order in which they run; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crystext.errors import UserCodeError
from crystext.evaluate.stages.base import Stage
from crystext.runtime.registry import Registry

_STAGES = "crystext.evaluate.stages"

STAGES: Registry[Stage[Any]] = Registry(
    "stage",
    Stage,  # type: ignore[type-abstract]
    {
        "validity": f"{_STAGES}.validity:STAGE",
        "geometry": f"{_STAGES}.geometry:STAGE",
        "novelty": f"{_STAGES}.novelty:STAGE",
        "coverage": f"{_STAGES}.coverage:STAGE",
        "distributions": f"{_STAGES}.distributions:STAGE",
        "conditioning": f"{_STAGES}.conditioning:STAGE",
        "prediction": f"{_STAGES}.prediction:STAGE",
        "proposals": f"{_STAGES}.proposals:STAGE",
        "ipt": f"{_STAGES}.ipt:STAGE",
        "stability": f"{_STAGES}.stability:STAGE",
        "relaxation_change": f"{_STAGES}.relaxation_change:STAGE",
        "novelty_energies": f"{_STAGES}.novelty_energies:STAGE",
        "judges": f"{_STAGES}.judges:STAGE",
        "metrics": f"{_STAGES}.metrics:STAGE",
    },
)


def loadable_stages(names: Iterable[str] | None = None) -> list[Stage[Any]]:
    """Return stages in their order, without those of plugins that cannot be imported.

    A broken plugin is an error only if a protocol names it.

    Args:
        names: names of the stages to return; unknown ones are left out.
    """
    wanted = None if names is None else set(names)
    stages = []
    for name in STAGES:
        if wanted is not None and name not in wanted:
            continue
        try:
            stages.append(STAGES[name])
        except UserCodeError:
            if not STAGES.from_plugin(name):
                raise
    return stages

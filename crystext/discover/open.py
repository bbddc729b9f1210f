"""Opens a search: model, judges and known crystals, and whether they can serve it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crystext.chemistry.elements import SYMBOLS
from crystext.conditions import Conditions
from crystext.discover.checks import Check, ConditionCheck, check_structure
from crystext.discover.exchanges import ExchangeSampler
from crystext.discover.history import Candidate
from crystext.discover.keywords import parse_search, split_run
from crystext.discover.known_crystals import KnownCrystals
from crystext.discover.publish import publish
from crystext.discover.sampler import ArmSampler
from crystext.discover.search import Search, check_folder
from crystext.discover.settings import Budget, SearchSettings
from crystext.discover.tools import SearchTools
from crystext.energies.hull import Hull
from crystext.energies.judges import open_judges
from crystext.errors import SettingError
from crystext.models.layout import ModelFolder
from crystext.models.load import LoadedModel
from crystext.runtime.wording import format_count


def open_search(
    files: ModelFolder,
    settings: SearchSettings,
    out: Path | None = None,
    *,
    model: LoadedModel | None = None,
    checks: Sequence[Check] = (),
) -> Search:
    """Return a search that is ready to run; impossible requests are refused here.

    Args:
        files: folder of the model.
        settings: of the search.
        out: folder; None keeps nothing.
        model: the model in memory, if it is.
        checks: what a crystal must be, besides structurally valid; before relaxing and after.

    Raises:
        SettingError: no crystal can satisfy the conditions, or the hull lacks an element of them.
        ModelError: the model does not write crystals, or a potential cannot be used.
        InputError: a set of known crystals or the hull does not exist.
        RunError: the folder holds something else.
    """
    # Folder and conditions are checked before anything large is loaded.
    if out is not None:
        check_folder(out)
    sampler = ArmSampler(files, settings, model)
    for target in settings.targets:
        sampler.request(target)
    judges = open_judges(settings.potentials, settings.hull)
    settings = replace(settings, conditions=_within_hull(settings.conditions, judges[0].hull))
    sampler.settings = settings
    known = KnownCrystals(settings.known_crystals, shipped=settings.shipped_known)
    tools = SearchTools(
        settings,
        sampler,
        ExchangeSampler(sampler, known),
        judges,
        known,
        ConditionCheck(_checked_conditions(settings)),
        (check_structure, *checks),
    )
    return Search(tools, out, publish)


def run_search(
    files: ModelFolder, keywords: Mapping[str, Any], *, model: LoadedModel | None = None
) -> Iterator[Candidate]:
    """Open a search, and yield its candidates as they are found.

    Args:
        files: folder of the model.
        keywords: see `keywords.DiscoverKwargs`.
        model: the model in memory, if it is.

    Raises:
        CrystextError: as `open_search`, here and not at the first candidate; as `Search.run`.
    """
    run, rest = split_run(keywords)
    limits = [run.get(name) for name in ("n", "seconds", "rounds")]
    budget = Budget() if limits == [None] * 3 else Budget(*limits)
    out = run.get("out")
    search = open_search(
        files,
        parse_search(rest),
        None if out is None else Path(out),
        model=model,
        checks=run.get("checks", ()),
    )
    others = {name: run[name] for name in ("workers", "report") if name in run}
    return search.run(budget, **others)


def _within_hull(conditions: Conditions, hull: Hull) -> Conditions:
    """Return the conditions without the elements that the hull lacks.

    Raises:
        SettingError: they require one of these.
    """
    required = conditions.required_elements
    if unknown := [symbol for symbol in required if symbol not in hull.references]:
        raise SettingError(
            f"the hull {hull.name} has no {' and no '.join(unknown)}, so no crystal of "
            f"{'-'.join(required)} has an energy above it; it has "
            f"{format_count(len(hull.references), 'element')}. Search without "
            f"{' and '.join(unknown)}, or give a --hull that has it"
        )
    if conditions.composition or conditions.chemical_system or conditions.only:
        allowed = [symbol for symbol in conditions.only if symbol in hull.references]
        if conditions.only and not allowed:
            raise SettingError(
                f"the hull {hull.name} has none of {', '.join(conditions.only)}; allow other "
                "elements, or give a --hull that has them"
            )
        return replace(conditions, only=tuple(allowed)) if conditions.only else conditions
    lacking = [symbol for symbol in SYMBOLS if symbol not in hull.references]
    return replace(conditions, exclude=tuple(dict.fromkeys([*conditions.exclude, *lacking])))


def _checked_conditions(settings: SearchSettings) -> Conditions:
    """Return what each crystal is checked for; subsystems lack some elements."""
    conditions = settings.conditions
    if not settings.subsystems:
        return conditions
    return replace(conditions, chemical_system=(), only=conditions.chemical_system)

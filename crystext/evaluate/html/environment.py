"""The Jinja2 environment of the page: templates beside this file, autoescaping, and filters.

A page shows contents of foreign files: names, formulas, texts. Templates escape every value. Only
the styles and the script of this folder, and sections that are templates themselves, are marked as
safe.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from crystext.evaluate.html import numbers
from crystext.evaluate.report import LabelKind
from crystext.runtime.wording import format_count

_PACKAGE = "crystext.evaluate.html"


class Run(NamedTuple):
    """Part of a line of text."""

    text: str
    is_subscript: bool


def render(template: str, *, package: str = _PACKAGE, **values: Any) -> str:
    """Return a template filled with values.

    Args:
        template: name of its file.
        package: package with the folder `templates`; its templates can use those of this package.
        values: by name.
    """
    return _environment(package).get_template(template).render(values)


def formula_runs(formula: str) -> list[Run]:
    """Return a formula with its numbers as subscripts."""
    return [Run(run, run.isdecimal()) for run in re.findall(r"\d+|\D+", formula)]


def group_runs(symbol: str) -> list[Run]:
    """Return a space group's symbol with what follows a _ as a subscript: 194 P6_3/mmc."""
    runs = re.findall(r"_\d|[^_]+|_", symbol)
    return [Run(run[-1], True) if re.fullmatch(r"_\d", run) else Run(run, False) for run in runs]


def label_runs(label: str, kind: LabelKind) -> list[Run]:
    """Return a label of counts as its kind is written."""
    if kind == "formula":
        return formula_runs(label)
    return group_runs(label) if kind == "space_group" else [Run(label, False)]


def _coordinate(value: float) -> str:
    return f"{value:.6g}"


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, _PACKAGE))]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "coordinate": _coordinate,
        "count": format_count,
        "fixed": numbers.format_fixed,
        "formula_runs": formula_runs,
        "group_runs": group_runs,
        "integer": numbers.format_integer,
        "interval": numbers.format_interval,
        "number": numbers.format_number,
        "percent": numbers.format_percent,
        "published": numbers.format_published,
        "unit": numbers.format_unit,
    }
    environment.globals["MISSING"] = numbers.MISSING
    environment.globals["denominator_text"] = numbers.denominator_text
    return environment

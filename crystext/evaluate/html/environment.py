"""The Jinja2 environment of the page: templates beside this file, autoescaping, and filters.

What a page shows comes from files of others: names, formulas, texts. Every value is escaped where a
template writes it; only the results of the filters here, which escape their parts, are markup.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from crystext.evaluate.html import numbers
from crystext.evaluate.report import LabelKind
from crystext.runtime.wording import format_count


def render(template: str, **values: Any) -> Markup:
    """Return a template filled with values, as markup."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704


def typeset_formula(formula: str) -> Markup:
    """Return a formula with its numbers as subscripts."""
    return _with_subscripts(re.findall(r"\d+|\D+", formula), r"(\d+)")


def typeset_group(symbol: str) -> Markup:
    """Return a space group's symbol with what follows a _ as a subscript: 194 P6_3/mmc."""
    return _with_subscripts(re.findall(r"_\d|[^_]+|_", symbol), r"_(\d)")


def typeset_label(label: str, kind: LabelKind) -> Markup | str:
    """Return a label of counts as its kind is written."""
    if kind == "formula":
        return typeset_formula(label)
    return typeset_group(label) if kind == "space_group" else label


def _with_subscripts(runs: list[str], pattern: str) -> Markup:
    parts = []
    for run in runs:
        match = re.fullmatch(pattern, run)
        parts.append(Markup("<sub>{}</sub>").format(match[1]) if match else run)
    return Markup("").join(parts)


def _coordinate(value: float) -> str:
    return f"{value:.6g}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("crystext.evaluate.html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "coordinate": _coordinate,
        "count": format_count,
        "fixed": numbers.format_fixed,
        "formula": typeset_formula,
        "group": typeset_group,
        "integer": numbers.format_integer,
        "interval": numbers.format_interval,
        "number": numbers.format_number,
        "percent": numbers.format_percent,
        "published": numbers.format_published,
        "typeset": typeset_label,
        "unit": numbers.format_unit,
    }
    environment.globals["MISSING"] = numbers.MISSING
    environment.globals["denominator_text"] = numbers.denominator_text
    return environment

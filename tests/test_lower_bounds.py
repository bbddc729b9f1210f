"""The lower bounds of pyproject.toml are versions that are tried, as one set."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def pinned(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pins}


def required() -> Iterator[Requirement]:
    """Yield what the package, its extras and its build require."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    extras = project["optional-dependencies"].values()
    for requirements in (pyproject["build-system"]["requires"], project["dependencies"], *extras):
        yield from map(Requirement, requirements)


OLDEST, NEWEST = pinned("constraints-oldest.txt"), pinned("constraints.txt")


@pytest.mark.parametrize("requirement", sorted(set(map(str, required()))))
def test_each_lower_bound_is_the_oldest_version_that_is_tried(requirement: str) -> None:
    needed = Requirement(requirement)
    (bound,) = needed.specifier
    assert bound.operator == ">=", "expected one lower bound"
    assert Version(bound.version) == OLDEST[canonicalize_name(needed.name)]


def test_the_oldest_set_is_nowhere_newer_than_the_newest() -> None:
    newer = {name for name in OLDEST.keys() & NEWEST.keys() if OLDEST[name] > NEWEST[name]}
    assert newer == set()

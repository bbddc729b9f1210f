"""Measure close contacts of samples, by temperature and by the number of free coordinates.

    python -m evaluation.measure.close_contacts --n 1000 --out close_contacts.json

In the Wyckoff text the coordinates that symmetry leaves free are sampled one after another, and the
cell after them. The shares say from which of these the contacts come, and whether a temperature
repairs them.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crystext.conditions import Conditions
from crystext.generation.keywords import SamplerKwargs
from crystext.generation.requests import make_request, resolve_settings
from crystext.inference.generate import TextGenerator
from crystext.metrics.contact_distances import CLOSE_CONTACTS, contact_ratio
from crystext.models.layout import open_model
from crystext.text import WYCKOFF
from evaluation.result_file import Report, share, write_result

SETTINGS: dict[str, SamplerKwargs] = {
    "the model's own": {},
    "cell 0.6": {"cell_temperature": 0.6},
    "cell 0.3": {"cell_temperature": 0.3},
    "all 0.8, elements 1.56, coordinates 0.12": {
        "temperature": 0.8,
        "element_temperature": 1.56,
        "coordinate_temperature": 0.12,
    },
}
MANY_COORDINATES = 8
"""From so many free coordinates on, crystals are counted together."""


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="shipped")
    parser.add_argument("--n", type=int, default=1000, help="samples at each of the temperatures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args(arguments)
    return write_result(
        given.out,
        lambda: {name: measure(given, name) for name in SETTINGS},
        script=__file__,
        arguments=arguments,
        model=given.model,
    )


def measure(given: argparse.Namespace, name: str) -> Report:
    """Return the shares of samples with a close contact, at one of the settings."""
    files = open_model(given.model)
    settings = replace(resolve_settings(files, **SETTINGS[name]), seed=given.seed)
    request = make_request(Conditions(), files.prompts, fmt=WYCKOFF)
    sampler = TextGenerator(files, settings).sampler(WYCKOFF)
    print(name, file=sys.stderr, flush=True)
    return shares([attempt.text for attempt in sampler.draw(request, range(given.n))])


def shares(texts: Sequence[str]) -> Report:
    """Return the shares of Wyckoff texts with a close contact; a failure has none."""
    limit = CLOSE_CONTACTS[0]
    close, of = Counter[int](), Counter[int]()
    for text in texts:
        crystal = WYCKOFF.decode(text).crystal
        free = min(free_coordinates(text), MANY_COORDINATES)
        close[free] += crystal is not None and contact_ratio(crystal) < limit
        of[free] += 1
    return {
        f"a contact below {limit:g}": share(close.total(), len(texts)),
        "by free coordinates": {
            f"{free}{' or more' if free == MANY_COORDINATES else ''}": share(close[free], of[free])
            for free in sorted(of)
        },
    }


def free_coordinates(text: str) -> int:
    """Return how many coordinates a Wyckoff text has: what follows each element and position."""
    orbits = text.split("\n")[1:-1]
    return sum(len(orbit.split()) - 2 for orbit in orbits)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

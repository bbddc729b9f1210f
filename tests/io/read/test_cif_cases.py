"""The collected CIFs that were read as another crystal, with the right answer for each."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from crystext.errors import InputError
from crystext.io.read.cif import read_cif


def test_each_collected_cif_is_read_as_its_crystal_or_refused_where_that_may_be(
    shared_data: Path,
) -> None:
    folder = shared_data / "reading_cases"
    expected = json.loads((folder / "expected.json").read_text())
    wrong = {}
    for name in (name for name in expected if name.endswith(".cif")):
        cells = [
            {symbol: int(count) for symbol, count in re.findall(r"([A-Z][a-z]?)(\d+)", cell)}
            for cell in expected[name]["cell"]
        ]
        try:
            found = Counter(read_cif((folder / name).read_text()).crystal.symbols)
        except InputError as error:
            if not expected[name]["refusal_allowed"]:
                wrong[name] = str(error)
            continue
        if dict(found) not in cells:
            wrong[name] = str(dict(found))
    assert wrong == {}

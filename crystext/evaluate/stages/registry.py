"""The stages there are, in the order in which they run: a new one is a file and a line here."""

from __future__ import annotations

from crystext.evaluate.protocol import NAMES
from crystext.evaluate.stages.base import Stage
from crystext.evaluate.stages.validity import Validity

STAGES: tuple[Stage, ...] = (Validity(),)

assert [s.name for s in STAGES] == [name for name in NAMES if name in {s.name for s in STAGES}]

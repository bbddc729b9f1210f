"""The garbage collector of Python."""

from __future__ import annotations

import gc

_NEW_OBJECTS = 50_000


def collect_rarely() -> None:
    """Search for cycles of unused objects after 50,000 new objects, not after 700.

    Importing torch makes more than a million that stay: without this, a tenth of its time goes into
    looking through them again and again.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def keep_present_objects() -> None:
    """Leave the objects that are there now out of all searches, as those of imported libraries."""
    gc.freeze()

"""Wording of numbers in messages: singular, plural and sign."""

from __future__ import annotations

_PLURALS = {"try": "tries", "batch": "batches", "process": "processes"}


def format_count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 crystal`, `0 crystals`, `1,200 crystals`.

    Args:
        number: how many.
        noun: in the singular.
        plural: needed if it is neither the singular with an s nor known here.
    """
    many = plural or _PLURALS.get(noun, f"{noun}s")
    return f"{number:,} {noun if number == 1 else many}"


def without_sign_of_zero(text: str) -> str:
    """Return a number as it is written, and 0.000 for -0.000."""
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text

"""Texts with code between backticks, as nodes of a page."""

from __future__ import annotations

import re

from docutils import nodes


def paragraph(text: str) -> nodes.paragraph:
    """Return a paragraph; what stands between single backticks is code."""
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    node = nodes.paragraph()
    for place, part in enumerate(parts):
        if part:
            node += nodes.literal(part, part) if place % 2 else nodes.Text(part)
    return node


def definition(name: str, anchor: str, *paragraphs: str) -> nodes.definition_list_item:
    """Return an entry of a list of definitions, which links can point to by its anchor."""
    term = nodes.term("", "", nodes.literal(name, name), ids=[anchor])
    body = nodes.definition("", *(paragraph(text) for text in paragraphs if text))
    return nodes.definition_list_item("", term, body)


def slug(text: str) -> str:
    """Return the anchor that stands for a text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

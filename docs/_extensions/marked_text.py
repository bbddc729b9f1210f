"""Texts with code between backticks, as nodes of a page."""

from __future__ import annotations

import re

from docutils import nodes

_CODE = re.compile(r"`([^`]+)`|(?<![\w-])(--[a-z][\w-]*)")
"""What stands between single backticks, and the names of options."""


def paragraph(text: str) -> nodes.paragraph:
    """Return a paragraph in which code is set as code."""
    text = " ".join(text.split())
    node, end = nodes.paragraph(), 0
    for code in _CODE.finditer(text):
        node += nodes.Text(text[end : code.start()])
        node += nodes.literal(code[0], code[1] or code[2])
        end = code.end()
    node += nodes.Text(text[end:])
    return node


def definition(name: str, anchor: str, *paragraphs: str) -> nodes.definition_list_item:
    """Return an entry of a list of definitions, which links can point to by its anchor."""
    term = nodes.term("", "", nodes.literal(name, name), ids=[anchor])
    body = nodes.definition("", *(paragraph(text) for text in paragraphs if text))
    return nodes.definition_list_item("", term, body)


def slug(text: str) -> str:
    """Return the anchor that stands for a text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

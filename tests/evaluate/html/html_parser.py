"""A page as a browser's parser sees it: elements with their attributes and texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Node:
    """An element."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    def text(self) -> str:
        """All text inside it."""
        return "".join(c if isinstance(c, str) else c.text() for c in self.children)

    def all(self, tag: str) -> list[Node]:
        """All elements of a name inside it, in their order."""
        found = [self] if self.tag == tag else []
        for child in self.children:
            found += child.all(tag) if isinstance(child, Node) else []
        return found

    def of_class(self, name: str) -> list[Node]:
        """All elements of a class inside it."""
        found = [self] if name in self.attributes.get("class", "").split() else []
        for child in self.children:
            found += child.of_class(name) if isinstance(child, Node) else []
        return found

    def by_id(self, name: str) -> Node:
        """The one element with an id."""
        (found,) = [x for x in self._all() if x.attributes.get("id") == name]
        return found

    def _all(self) -> list[Node]:
        inner = [x for c in self.children if isinstance(c, Node) for x in c._all()]
        return [self, *inner]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("page")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Node:
    """Parse a page, all of whose elements have to be closed in their order."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert len(parser.open) == 1, f"<{parser.open[-1].tag}> is not closed"
    return parser.open[0]

"""Write the figures that stand in documents from the result files that hold them.

    python -m evaluation.update_figures           # rewrite figures in all *.md, and LEADERBOARD.md
    python -m evaluation.update_figures --check   # fail where a document differs from the results
    python -m evaluation.update_figures --list    # names of the figures

A document names a figure in a comment, which Markdown does not show. On lines of their own,
comments enclose a table or a paragraph, which is wrapped and indented like the comment; within a
line, they enclose a value:

    <!-- figure: NAME -->
    text that this command writes
    <!-- end -->

    The share is <!-- figure: NAME -->98.7%<!-- end --> of all samples.

The functions in `evaluation/documents` make the text; they read `evaluation/results`, where
`CURRENT` names the results of the shipped weights. Comments can be moved to any Markdown file.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from crystext.errors import CrystextError, InputError, did_you_mean
from evaluation import leaderboard
from evaluation.documents import (
    conditions,
    data,
    instruct,
    predictor,
    quality,
    speed,
    structure_prediction,
    study,
    training,
)
from evaluation.documents.sources import FIGURES
from evaluation.result_file import ROOT

# Importing a module registers its figures.
MODULES = (
    conditions,
    data,
    instruct,
    predictor,
    quality,
    speed,
    structure_prediction,
    study,
    training,
)

WIDTH = 120
"""Of a line of a document."""

_MARKED = re.compile(
    r"(?P<before>^[ \t]*|)<!-- figure: (?P<name>[a-z0-9_.]+) -->(?P<old>.*?)(?<!`)<!-- end -->",
    re.DOTALL | re.MULTILINE,
)
_OPEN, _END = re.compile(r"<!-- figure: [a-z0-9_.]+ -->"), "<!-- end -->"
_CLOSE = re.compile(rf"(?<!`){_END}")
_SKIPPED = {"venv", "build", "dist", "run", "runs"}


def documents(root: Path) -> Iterator[Path]:
    """Yield the Markdown files of a checkout that hold figures."""
    for path in sorted(root.rglob("*.md")):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") or part in _SKIPPED for part in parts[:-1]):
            continue
        if _OPEN.search(path.read_text(encoding="utf-8")):
            yield path


def updated(text: str, where: str) -> str:
    """Return a document with the figures as the results have them.

    Args:
        text: of the document.
        where: what errors call it.

    Raises:
        InputError: a figure has no such name, or its comments are not paired or placed as above.
    """
    begun, ended = len(_OPEN.findall(text)), len(_CLOSE.findall(text))
    if begun != ended:
        raise InputError(
            f"{where} begins {begun} figures and ends {ended}; each `<!-- figure: NAME -->` needs "
            f"`{_END}` behind it"
        )

    def write(match: re.Match[str]) -> str:
        name, before, old = match["name"], match["before"], match["old"]
        if name not in FIGURES:
            raise InputError(
                f"{where}: there is no figure {name!r}.{did_you_mean(name, FIGURES)} "
                "`python -m evaluation.update_figures --list` prints their names"
            )
        if _OPEN.search(old):
            raise InputError(f"{where}: the figure {name} is not ended before the next begins")
        starts_line = match.start() == 0 or text[match.start() - 1] == "\n"
        opened, value = f"{before}<!-- figure: {name} -->", FIGURES[name]()
        if old.startswith("\n") and starts_line:
            lines = textwrap.indent(block(value, len(before)), before)
            return f"{opened}\n{lines}\n{before}{_END}"
        if old.startswith("\n") or starts_line or "\n" in value:
            raise InputError(
                f"{where}: the comments of the figure {name} enclose neither whole lines nor part "
                "of one, so Markdown would not show it; put both on lines of their own"
                + ("" if "\n" in value else ", or text before them")
            )
        return f"{opened}{value}{_END}"

    return _MARKED.sub(write, text)


def block(text: str, indent: int) -> str:
    """Wrap a paragraph; leave a table as it is."""
    if text.startswith("|"):
        return text
    return textwrap.fill(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False)


def update(root: Path, check: bool) -> list[Path]:
    """Rewrite the documents of a checkout, or check them only; return those that differed."""
    differing = []
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        new = updated(text, path.relative_to(root).as_posix())
        if new != text:
            differing.append(path)
            if not check:
                path.write_text(new, encoding="utf-8")
    return differing


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where any differs"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the figures")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the documents")
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(sorted(FIGURES)))
        return 0
    try:
        differing = update(given.root, given.check)
    except (CrystextError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for path in differing:
        said = "differs from the results" if given.check else "updated"
        print(f"{path.relative_to(given.root)} {said}", file=sys.stderr)
    if given.check and differing:
        print("run `python -m evaluation.update_figures`", file=sys.stderr)
        return 2
    return leaderboard.main(["--check"] if given.check else [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

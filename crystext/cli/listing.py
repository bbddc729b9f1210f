"""Help texts that list the shipped files a command accepts by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.core import TyperCommand


class _ShippedFilesCommand(TyperCommand):
    """A command whose help ends with the shipped files that it accepts by name."""

    title = ""
    folder: tuple[str, ...] = ()

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the names, each with the title or first comment of its file."""
        from crystext.runtime.shipped_files import shipped_path

        files = sorted(shipped_path(*self.folder).glob("*.yaml"))
        if files:
            with formatter.section(self.title):
                formatter.write_dl([(path.stem, _describe_file(path)) for path in files])


class RecipeCommand(_ShippedFilesCommand):
    """A command that takes recipes."""

    title = "Shipped recipes"
    folder = ("recipes",)


class CorpusRecipeCommand(_ShippedFilesCommand):
    """A command that takes recipes of corpora."""

    title = "Shipped recipes"
    folder = ("recipes", "corpus")


class ProtocolCommand(_ShippedFilesCommand):
    """A command that takes protocols."""

    title = "Shipped protocols"
    folder = ("evaluation", "protocols")


class SuiteCommand(_ShippedFilesCommand):
    """A command that takes suites."""

    title = "Shipped suites of tables"
    folder = ("evaluation", "suites")

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the names of suites of tables, and then of questions."""
        from crystext.benchmark.language.suite import QUESTION_SUITES

        super().format_epilog(ctx, formatter)
        with formatter.section("Suites of questions in words"):
            formatter.write_dl([(name, suite.title) for name, suite in QUESTION_SUITES.items()])


def _describe_file(path: Path) -> str:
    """Return a file's title, else its first comment."""
    text = path.read_text(encoding="utf-8")
    title = re.search(r"^title:[ \t]*(.+)$", text, re.MULTILINE)
    comment = re.search(r"^#[ \t]*(.+)$", text, re.MULTILINE)
    found = title or comment
    return found[1].strip("'\" ") if found else ""

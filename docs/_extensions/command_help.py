"""The directive `command-help`: what `crystext COMMAND --help` prints, as part of a page."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from docutils import nodes
from marked_text import definition, paragraph, slug
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from crystext.cli.main import app


def find(name: str) -> Any:
    """Return the command of a name such as `data prepare`; an empty one is the program's."""
    command: Any = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]
    return command


class CommandHelp(SphinxDirective):
    """Usage, description, arguments and options of a command, from the command itself."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the nodes of one command."""
        name = self.arguments[0] if self.arguments else ""
        command = find(name)
        called = f"crystext {name}".strip()
        context = command.make_context(
            called, [], resilient_parsing=True, help_option_names=["-h", "--help"]
        )
        usage = f"{called} {' '.join(command.collect_usage_pieces(context))}"
        found: list[nodes.Node] = [nodes.literal_block(usage, usage, language="text")]
        found += [paragraph(text) for text in inspect.cleandoc(command.help).split("\n\n")]
        records = [
            (parameter.param_type_name, parameter.get_help_record(context))
            for parameter in command.get_params(context)
        ]
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            entries = nodes.definition_list()
            for parameter_kind, record in records:
                if parameter_kind == kind and record is not None:
                    entries += definition(record[0], slug(f"{name} {record[0]}"), record[1])
            if len(entries):
                found += [nodes.rubric(title, title), entries]
        formatter = context.make_formatter()
        command.format_epilog(context, formatter)
        if epilog := formatter.getvalue().strip():
            found.append(nodes.literal_block(epilog, epilog, language="text"))
        return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

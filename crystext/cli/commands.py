"""The commands of `crystext`, in the order in which `crystext --help` lists them."""

from __future__ import annotations

from crystext.cli.command import Command
from crystext.runtime.registry import Registry

COMMANDS: Registry[Command] = Registry(
    "command",
    Command,
    {
        "encode": "crystext.cli.encode:COMMAND",
        "decode": "crystext.cli.decode:COMMAND",
        "data": "crystext.cli.data:COMMAND",
        "instruct": "crystext.cli.instruct:COMMAND",
        "corpus": "crystext.cli.corpus:COMMAND",
        "train": "crystext.cli.train:COMMAND",
        "sample": "crystext.cli.sample:COMMAND",
        "infill": "crystext.cli.infill:COMMAND",
        "evaluate": "crystext.cli.evaluate:COMMAND",
        "predict": "crystext.cli.predict:COMMAND",
        "chat": "crystext.cli.chat:COMMAND",
        "benchmark": "crystext.cli.benchmark:COMMAND",
        "study": "crystext.cli.study:COMMAND",
        "discover": "crystext.cli.discover:COMMAND",
        "explain": "crystext.cli.explain:COMMAND",
        "relax": "crystext.cli.relax:COMMAND",
        "hull": "crystext.cli.hull:COMMAND",
        "export": "crystext.cli.export:COMMAND",
        "merge": "crystext.cli.merge:COMMAND",
        "pattern": "crystext.cli.pattern:COMMAND",
        "push": "crystext.cli.push:COMMAND",
        "view": "crystext.cli.view:COMMAND",
    },
)
"""Commands by name; a new one is a file and a line here."""

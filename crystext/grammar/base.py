"""The interface of a grammar, which constrains the sampling of one text format.

A format names its grammar by an import path (`Format.grammar`), since formats do not depend on
sampling; `grammar_of` imports it. A format without a grammar is sampled unconstrained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from importlib import import_module
from typing import ClassVar

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import UserCodeError
from crystext.grammar.field_automaton import ELEMENT_LETTERS, FieldAutomaton
from crystext.grammar.fields import FieldKind
from crystext.structures.crystal import Crystal
from crystext.text import Format


class Grammar(ABC):
    """Constrains the sampling of the texts of a format, or of completions."""

    letters: ClassVar[frozenset[str]] = ELEMENT_LETTERS
    """Letters that its texts contain, besides digits, points, spaces and newlines."""
    looks_back: ClassVar[bool] = False
    """Whether a finished text may have to be sampled again; see `must_be_redrawn`."""

    def __init__(self, fmt: Format) -> None:
        """Take the format of the texts."""
        self.format = fmt

    @abstractmethod
    def automaton(self, constraints: Constraints) -> FieldAutomaton:
        """Return the automaton of one text, for any tokenizer (`any_tokenizer`).

        Raises:
            SettingError: no text can satisfy the constraints.
        """

    @abstractmethod
    def kind_after(self, text: str) -> FieldKind:
        """Return the kind of the unfinished field at the end of a partial text, or of the next one.

        The text need not be valid.
        """

    def max_characters(self, constraints: Constraints) -> int:
        """Return an upper bound of the number of characters of a text."""
        return self.format.max_characters(constraints.max_atoms)

    def check(self, constraints: Constraints) -> None:  # noqa: B027  most have nothing to refuse
        """Check that some text can satisfy the constraints.

        Raises:
            SettingError: none can; the message says why, and names the nearest feasible request.
        """

    def must_be_redrawn(self, text: str, crystal: Crystal, constraints: Constraints) -> bool:
        """Return whether a text breaks a constraint that the grammar cannot enforce in advance."""
        return False


@cache
def grammar_of(fmt: Format) -> Grammar | None:
    """Return the grammar of a format; None where its texts are sampled unconstrained.

    Raises:
        UserCodeError: the format comes from a plugin, and its import path does not name a grammar.
    """
    if fmt.grammar is None:
        return None
    module, _, name = fmt.grammar.partition(":")
    try:
        made = getattr(import_module(module), name)(fmt)
    except Exception as error:  # Code of others fails in ways of its own.
        raise UserCodeError(
            f"the grammar of the format {fmt.name} ({fmt.grammar}) cannot be imported: "
            f"{type(error).__name__}: {error}. Update or uninstall the package of the format"
        ) from error
    if not isinstance(made, Grammar):
        raise UserCodeError(
            f"the grammar of the format {fmt.name} ({fmt.grammar}) is of the class "
            f"{type(made).__name__}; expected a subclass of crystext.grammar.base.Grammar"
        )
    return made

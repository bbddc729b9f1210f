"""What `crystext benchmark` was given, for every kind of suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystext.errors import SettingError, did_you_mean


@dataclass(frozen=True)
class BenchmarkRequest:
    """The options that all kinds of suites take."""

    suite: str
    data: Path
    methods: Sequence[str]
    answers: Sequence[Path]
    prompts_file: Path | None
    """Where to write the prompts instead of measuring."""
    tasks: Sequence[str]
    out: Path
    n: int | None
    seed: int
    decoding: Mapping[str, Any]
    """Fields of `ChatDecoding`; None leaves the default."""
    compat: str | None
    prompts: str = "chat"
    """Prompts of chat models; the default is that of suites of tables."""

    def is_compat(self, supported: str) -> bool:
        """Return whether to do as published code does.

        Args:
            supported: name of the code that the suite knows; empty if it knows none.

        Raises:
            SettingError: another code is given.
        """
        if self.compat not in (None, supported):
            raise SettingError(
                f"--compat {self.compat} is unknown; {self.suite} has {supported or 'none'}."
                + did_you_mean(str(self.compat), [supported])
            )
        return self.compat is not None

    def writes_prompts(self) -> bool:
        """Return whether to write prompts only.

        Raises:
            SettingError: something is to be measured as well.
        """
        if self.prompts_file is not None and (self.methods or self.answers):
            raise SettingError("--write-prompts measures nothing; leave out --method and --answers")
        return self.prompts_file is not None

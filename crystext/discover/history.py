"""What the rounds so far have found; a search that is resumed rebuilds it from their files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from crystext.discover.arms import ArmStatistics
from crystext.discover.known_crystals import CrystalMatcher
from crystext.discover.records import Outcome, RelaxedRecord, Round, SampledText
from crystext.errors import RunError
from crystext.structures.crystal import Crystal
from crystext.text import Format


@dataclass(frozen=True)
class Candidate:
    """A new crystal that is below the limit above the hull, relaxed."""

    sample: SampledText
    relaxed: RelaxedRecord
    round: int

    @property
    def crystal(self) -> Crystal:
        """The crystal as the first judge relaxed it."""
        assert self.relaxed.crystal is not None, "a candidate is relaxed"
        return self.relaxed.crystal

    @cached_property
    def name(self) -> str:
        """Index of the text and formula: 000012-Li3PO4."""
        return f"{self.sample.index:06d}-{self.sample.formula}"

    @property
    def above_hull(self) -> float:
        """Energy above the hull by the first judge, in eV/atom."""
        above = self.relaxed.above_hull
        assert above is not None, "a candidate has an energy"
        return above


@dataclass
class History:
    """The state of a search, which follows from its rounds."""

    text_format: Format
    """Of the texts."""
    hopeless_above: float = float("inf")
    """eV/atom above the hull as drawn, beyond which a crystal is never relaxed."""
    rounds: list[Round] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    statistics: ArmStatistics = field(default_factory=ArmStatistics)
    sampled_crystals: CrystalMatcher = field(default_factory=CrystalMatcher)
    """Crystals of texts that passed all checks, before relaxing."""
    candidate_crystals: CrystalMatcher = field(default_factory=CrystalMatcher)
    """Candidates, relaxed."""
    waiting: dict[int, SampledText] = field(default_factory=dict)
    """Texts that passed all checks and are not relaxed yet, by index."""
    unrelaxed: dict[int, float | None] = field(default_factory=dict)
    """Energies above the hull of crystals as they were drawn, by index, in eV/atom."""
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    """The outcome of every text so far, by index."""
    texts: dict[int, SampledText] = field(default_factory=dict)

    @property
    def next_index(self) -> int:
        """Index of the next text."""
        return len(self.texts)

    @property
    def rounds_without_candidate(self) -> int:
        """Number of rounds since the last one that found a candidate."""
        last = self.candidates[-1].round if self.candidates else 0
        return len(self.rounds) - last

    def crystal(self, text: SampledText) -> Crystal:
        """Return the crystal of a text that passed all checks.

        Raises:
            RunError: the file of its round was changed.
        """
        crystal = self.text_format.decode(text.text).crystal
        if crystal is None:
            raise RunError(
                f"text {text.index} of the search is no crystal: its round's file was changed; "
                "restore it, or give another --out"
            )
        return crystal

    def add(self, done: Round) -> list[Candidate]:
        """Add a round, whose crystals are in no matcher yet; return its candidates."""
        for text in done.texts:
            if text.outcome is Outcome.WAITING:
                self.sampled_crystals.add(str(text.index), self.crystal(text))
        return self.add_matched(done)

    def add_matched(self, done: Round) -> list[Candidate]:
        """Add a round whose texts were added to `sampled_crystals` as they were drawn."""
        self.rounds.append(done)
        for text in done.texts:
            self.texts[text.index] = text
            self.outcomes[text.index] = text.outcome
            self.statistics.add_text(text)
            if text.outcome is Outcome.WAITING:
                self.waiting[text.index] = text
        self.unrelaxed |= dict(done.unrelaxed)
        for index, above in done.unrelaxed:
            if above is None or above > self.hopeless_above:
                self.statistics.add_hopeless(self.texts[index])
        fresh = []
        for relaxed in done.relaxed:
            text = self.waiting.pop(relaxed.index)
            self.outcomes[text.index] = relaxed.outcome
            self.statistics.add_relaxed(text, relaxed)
            if relaxed.outcome is Outcome.CANDIDATE:
                candidate = Candidate(text, relaxed, done.number)
                self.candidate_crystals.add(candidate.name, candidate.crystal)
                fresh.append(candidate)
        self.candidates += fresh
        return fresh

    @property
    def relaxed(self) -> list[RelaxedRecord]:
        """All crystals that were relaxed."""
        return [row for done in self.rounds for row in done.relaxed]

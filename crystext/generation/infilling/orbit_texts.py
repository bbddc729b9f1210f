"""Samples texts that complete a crystal in a space group, reads them, and scores what they say.

The known orbits are given lines of a text, see `inference.orbit_completion`. Each completed crystal
is a candidate once, however often it is sampled, and has the log-probability of its text under one
prompt, which is the same for all candidates. Texts may be sampled after a longer prompt than that:
one with the formula, where the elements of a batch are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import ModelError, SettingError
from crystext.generation.infilling.clusters import Candidate
from crystext.generation.infilling.orbit_task import OrbitTask, as_numbers, atom_counts
from crystext.generation.infilling.result import has_atoms_too_close
from crystext.generation.infilling.wyckoff_task import WyckoffTask, free_parameters
from crystext.grammar.wyckoff.completion import OrbitGaps
from crystext.grammar.wyckoff.token_reader import WyckoffTokenReader
from crystext.inference.crystal_vocabulary_sampler import BatchSampler
from crystext.inference.orbit_completion import CellToFill, CompletionVocabulary
from crystext.inference.types import Request, SamplingSettings
from crystext.structures.properties import cell_formula
from crystext.tasks.crystal_generation import generation_prompt
from crystext.text import WYCKOFF

if TYPE_CHECKING:
    from crystext.inference.likelihood import LikelihoodScorer
    from crystext.models.load import LoadedModel


class OrbitTexts:
    """The texts that were sampled for one crystal."""

    def __init__(
        self,
        model: LoadedModel,
        scorer: LikelihoodScorer,
        constraints: Constraints,
        batch_size: int,
        task: WyckoffTask,
    ) -> None:
        """Set up; nothing is sampled yet.

        Raises:
            ModelError: the model has no prompt for texts of a space group.
        """
        self._model, self._scorer, self._task = model, scorer, task
        self._constraints, self._batch_size = constraints, batch_size
        self._ids = WyckoffTokenReader(model.tokenizer)
        self._cells = [
            CellToFill(part.lattice, free_parameters(part), constraints.min_distance_ratio)
            for part in task.parts
        ]
        self.candidates: dict[tuple[str, int], Candidate] = {}
        """By text and index of the part."""
        self.drawn, self.rejected = 0, 0
        self.prompt = self._make_prompt([part.gaps for part in task.parts])
        """Under which candidates are scored."""

    def sample(
        self, place: int, fillings: Sequence[OrbitGaps], settings: SamplingSettings, count: int
    ) -> list[Candidate]:
        """Sample texts, and return the crystals that agree with what is known.

        Args:
            place: index of the part.
            fillings: its gaps, or narrower ones, which texts take in turn.
            settings: of the sampler.
            count: number of texts.
        """
        vocabulary = CompletionVocabulary(self._ids, fillings, self._cells[place])
        sampler = BatchSampler(self._model, settings, vocabulary)
        request = Request(self._make_prompt(fillings), self._constraints, format=WYCKOFF)
        texts: dict[str, int] = {}
        for start in range(0, count, self._batch_size):
            batch = range(start, min(count, start + self._batch_size))
            for attempt in sampler.draw(request, batch):
                texts[attempt.text] = texts.get(attempt.text, 0) + 1
        found = []
        for text, times in texts.items():
            self.drawn += times
            made = _read(vocabulary, text, self._task.parts[place], place)
            if made is None:
                self.rejected += times
                continue
            one = self.candidates.setdefault((made.text, place), made)
            one.times_drawn += times
            found.append(one)
        return found

    def score(self, candidates: Sequence[Candidate]) -> None:
        """Give candidates their log-probability, and whether atoms are too close."""
        some = [each for each in candidates if np.isnan(each.score)]
        scored = self._scorer.score_texts(self.prompt, [each.text for each in some])
        for each, score in zip(some, scored, strict=True):
            crystal, requested = each.filled.crystal, each.filled.requested
            ratio = self._constraints.min_distance_ratio
            each.score = score.total
            each.too_close = has_atoms_too_close(crystal, requested, ratio)

    def _make_prompt(self, fillings: Sequence[OrbitGaps]) -> str:
        """Return the prompt with the space group, and with the formula if all have the same."""
        prompts = self._model.prompts
        lines = {"space_group": str(self._task.number)}
        counts = atom_counts(fillings[0])
        if counts and all(atom_counts(each) == counts for each in fillings[1:]):
            lines = {"formula": cell_formula(as_numbers(counts)), **lines}
        known = {name: value for name, value in lines.items() if name in prompts.conditions}
        try:
            return generation_prompt(prompts, known, WYCKOFF)
        except SettingError as error:
            raise ModelError(
                f"a space group is asked for, and this model has no Wyckoff texts: {error}"
            ) from None


def _read(
    vocabulary: CompletionVocabulary, text: str, task: OrbitTask, place: int
) -> Candidate | None:
    """Return what a text of the sampler completes; None if known values rule it out."""
    cell = vocabulary.cell
    parameters = list(cell.free_parameters)
    if cell.lattice is None:
        words = text.rpartition("\n")[2].split(" ")
        parameters = [
            float(word) if known is None else known
            for word, known in zip(words, parameters, strict=True)
        ]
    placements = vocabulary.placements[text]
    filled = task.fill(placements, [x for x in parameters if x is not None])
    if filled is None:
        return None
    return Candidate(filled, WYCKOFF.encode_wyckoff(filled.wyckoff), place, placements)

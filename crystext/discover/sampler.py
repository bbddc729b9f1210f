"""Draws the texts of an arm from the model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from crystext.conditions import Conditions
from crystext.discover.settings import SearchSettings
from crystext.generation.rejection_sampling import sample_until_satisfied
from crystext.generation.requests import make_request, resolve_settings
from crystext.inference.generate import TextGenerator
from crystext.inference.threads import single_thread_if_small
from crystext.inference.types import Attempt, Request, SamplingSettings
from crystext.models.layout import ModelFolder
from crystext.models.load import LoadedModel, load_model
from crystext.text import Format, get_format


class ArmSampler:
    """A model that draws texts for conditions; loaded at first use."""

    def __init__(
        self, files: ModelFolder, settings: SearchSettings, model: LoadedModel | None = None
    ) -> None:
        """Take a model.

        Args:
            files: its folder.
            settings: of the search.
            model: the same in memory, if it is.

        Raises:
            ModelError: the model does not write crystals.
        """
        files.require_generator()
        self.files, self.settings = files, settings
        self._loaded = model
        self._generators: dict[SamplingSettings, TextGenerator] = {}

    @cached_property
    def model(self) -> LoadedModel:
        """The model in memory."""
        return self._loaded or load_model(self.files)

    @property
    def text_format(self) -> Format:
        """The format of the texts: the model's default."""
        name = self.files.default_format
        return self.files.description.format if name is None else get_format(name)

    def request(self, conditions: Conditions) -> Request:
        """Return the request of conditions, without loading the model.

        Raises:
            SettingError: no crystal that the model writes can satisfy them.
        """
        return make_request(
            conditions,
            self.files.prompts,
            max_atoms=self.settings.max_atoms,
            min_distance_ratio=self.settings.min_distance_ratio,
            fmt=self.text_format,
        )

    def draw(self, conditions: Conditions, indices: Sequence[int]) -> list[Attempt]:
        """Draw a text for each index, in one batch on one thread.

        Args:
            conditions: on the crystals; they are not checked here.
            indices: among all texts of the search.

        Raises:
            SettingError: no crystal can satisfy the conditions.
            ModelError: the model has too few positions.
        """
        request = self.request(conditions)
        settings = self.sampling_settings(conditions)
        if settings not in self._generators:
            self._generators[settings] = TextGenerator(self.model, settings)
        with single_thread_if_small(self.model.network):
            return sample_until_satisfied(
                self._generators[settings],
                request,
                Conditions(),
                indices,
                fmt=self.model.format,
            )

    def sampling_settings(self, conditions: Conditions) -> SamplingSettings:
        """Return temperatures as `sample` has them: cooler elements where a formula is given."""
        given = self.settings
        in_prompt = bool(conditions.prompt_properties())
        return resolve_settings(
            self.files,
            [conditions],
            seed=given.seed,
            temperature=given.temperature,
            element_temperature=given.element_temperature,
            coordinate_temperature=given.coordinate_temperature,
            cell_temperature=given.cell_temperature,
            top_p=given.top_p,
            guidance=given.guidance if in_prompt else 1.0,
        )

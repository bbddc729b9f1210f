"""The inputs of a sampler (settings and requests) and its outputs (attempts)."""

from __future__ import annotations

from dataclasses import dataclass, field

from crystext.conditions import ConditionResult, all_satisfied
from crystext.conditions.sampling_constraints import Constraints
from crystext.errors import SettingError
from crystext.grammar.fields import FieldKind
from crystext.runtime.validate_numbers import real_number, whole_number
from crystext.structures.crystal import Crystal
from crystext.text import Format
from crystext.text.partial import PartialCrystal

DEFAULT_CONSTRAINTS = Constraints(min_distance_ratio=0.65)
"""The default constraints: minimum distances, and at most 20 atoms."""


_OPTIONAL_TEMPERATURES = ("element_temperature", "coordinate_temperature", "cell_temperature")


@dataclass(frozen=True)
class SamplingSettings:
    """How texts are sampled.

    Raises:
        SettingError: a number out of range.
    """

    seed: int = 0
    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most probable token."""
    element_temperature: float | None = None
    """For elements, and for whether another atom follows; None is `temperature`. Space groups and
    Wyckoff positions have `temperature`: they are structure, as the cell is. If this one is higher,
    compositions vary and coordinates stay precise."""
    coordinate_temperature: float | None = None
    """For coordinates; None is `temperature`."""
    cell_temperature: float | None = None
    """For lengths and angles of a Wyckoff text, which follow the atoms; None is `temperature`. A
    low one gives the cell that suits the atoms best. A text that begins with the cell has
    `temperature` for it, because the cell then determines which crystal follows."""
    top_p: float = 1.0
    """Sample from the smallest set of most probable tokens with this total probability."""
    guidance: float = 1.0
    """Scale of the effect of a prompt's conditions on the logits; 1 is off: see `guidance`."""
    constrained: bool = True
    """Whether only texts of crystals that satisfy the request's constraints are sampled."""

    def __post_init__(self) -> None:
        """Convert the values to plain numbers, and check the ranges."""
        object.__setattr__(self, "seed", whole_number("seed", self.seed))
        given = [name for name in _OPTIONAL_TEMPERATURES if getattr(self, name) is not None]
        for name in ("temperature", *given, "top_p", "guidance"):
            object.__setattr__(self, name, real_number(name, getattr(self, name)))
        if not 0 <= self.seed < 2**63:
            raise SettingError(f"a seed of {self.seed}: expected a whole number from 0 to 2^63 - 1")
        for name in ("temperature", *given):
            value = getattr(self, name)
            if not 0 <= value <= 10:
                raise SettingError(
                    f"a {name.replace('_', ' ')} of {value:g}: expected 0 (most probable) to 10; "
                    "try 1.0"
                )
        if not 0 < self.top_p <= 1:
            raise SettingError(f"a top-p of {self.top_p:g}: expected a number in (0, 1]; 1 is off")
        if not 0 <= self.guidance <= 10:
            raise SettingError(
                f"a guidance of {self.guidance:g}: expected 0 (conditions ignored) to 10; "
                "1 is off, try 1.5"
            )

    @property
    def has_one_temperature(self) -> bool:
        """Whether all fields have `temperature`."""
        return all(getattr(self, name) is None for name in _OPTIONAL_TEMPERATURES)

    def temperature_of(self, kind: FieldKind | None) -> float:
        """Return the temperature for fields of a kind; None for texts without a grammar."""
        own = None
        if kind is FieldKind.ELEMENT:
            own = self.element_temperature
        elif kind is FieldKind.COORDINATE:
            own = self.coordinate_temperature
        elif kind is FieldKind.CELL:
            own = self.cell_temperature
        return self.temperature if own is None else own


@dataclass(frozen=True)
class Request:
    """A prompt, and the constraints on the text that follows it."""

    prompt: str
    constraints: Constraints = DEFAULT_CONSTRAINTS
    """Without constrained sampling, `max_atoms` still bounds the length of a text."""
    unconditional_prompt: str | None = None
    """The prompt without conditions, for guidance; None turns guidance off."""
    partial: PartialCrystal | None = None
    """The partial crystal to complete; None for the text of a whole crystal."""
    format: Format | None = None
    """The format of the text; None is the model's own."""


@dataclass(frozen=True)
class Attempt:
    """One text that a model wrote."""

    index: int
    text: str
    failure: str | None
    """Name of the `text.DecodeFailure`; None where the text is a crystal."""
    log_probability: float
    """In nats, of the text in its format, under the model and the constraints at temperature 1,
    guidance included. The second coordinate of an atom counts as free: not all of its values are
    checked for room. In the Wyckoff format, all coordinates count as free."""
    tokens: int
    """Number of tokens, including the end."""
    attempts: int = 1
    """Number of texts sampled until this one was taken."""
    conditions: tuple[ConditionResult, ...] = ()
    """The conditions, and whether the crystal satisfies each."""
    refused: tuple[tuple[str, int], ...] = ()
    """How many of the texts sampled until this one, itself included, missed each condition; a text
    that is not a crystal counts as `no_crystal`. Empty if texts are sampled once."""
    checked_crystal: Crystal | None = field(default=None, compare=False, repr=False)
    """The decoded crystal if its conditions were checked; otherwise None. Not stored in files."""

    @property
    def satisfied(self) -> bool:
        """Whether it is a crystal that satisfies every condition that can be checked."""
        return self.failure is None and all_satisfied(self.conditions)

"""What is asked of a sampler, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from crystext.elements import ATOMIC_NUMBERS
from crystext.errors import SettingError, did_you_mean
from crystext.grammar.fields import Kind

_MOST_ATOMS = 1000


@dataclass(frozen=True)
class DrawSettings:
    """How texts are drawn.

    Raises:
        SettingError: a number out of range or an unknown element.
    """

    seed: int = 0
    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most probable token."""
    element_temperature: float | None = None
    """Its own value for elements, and for whether a further atom follows; None is `temperature`.
    Where it is the higher one, compositions are various and coordinates precise."""
    coordinate_temperature: float | None = None
    """Its own value for coordinates; None is `temperature`."""
    top_p: float = 1.0
    """Draw from the smallest set of most probable tokens that holds this much probability."""
    max_atoms: int = 20
    distance_scale: float = 0.65
    """Least distance of two atoms over the sum of their covalent radii; 0 is no limit."""
    exclude: tuple[str, ...] = ()
    """Elements that may not occur."""
    constrained: bool = True
    """Whether only texts that are crystals can be written."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.seed < 2**63:
            raise SettingError(f"a seed of {self.seed}: expected a whole number from 0 to 2^63 - 1")
        for name in ("temperature", "element_temperature", "coordinate_temperature"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 10:
                raise SettingError(
                    f"a {name.replace('_', ' ')} of {value:g}: expected 0 (most probable) to 10; "
                    "try 1.0"
                )
        if not 0 < self.top_p <= 1:
            raise SettingError(f"a top-p of {self.top_p:g}: expected a number in (0, 1]; 1 is off")
        if not 1 <= self.max_atoms <= _MOST_ATOMS:
            raise SettingError(f"at most {self.max_atoms} atoms: expected 1 to {_MOST_ATOMS}")
        if not 0 <= self.distance_scale <= 1:
            raise SettingError(
                f"a distance scale of {self.distance_scale:g}: expected 0 (off) to 1 "
                "(covalent spheres that touch)"
            )
        for symbol in self.exclude:
            if symbol not in ATOMIC_NUMBERS:
                raise SettingError(f"no element {symbol!r}." + did_you_mean(symbol, ATOMIC_NUMBERS))
        if len(set(self.exclude)) == len(ATOMIC_NUMBERS):
            raise SettingError("all elements are excluded; leave at least one")
        if self.exclude and not self.constrained:
            raise SettingError(
                "elements are excluded, but without constraints nothing keeps a model from writing "
                "them; draw constrained, or exclude none"
            )

    def temperature_of(self, kind: Kind) -> float:
        """Return the temperature at which fields of a kind are drawn."""
        own = {
            Kind.ELEMENT: self.element_temperature,
            Kind.COORDINATE: self.coordinate_temperature,
        }.get(kind)
        return self.temperature if own is None else own


@dataclass(frozen=True)
class Attempt:
    """One text that a model was asked for."""

    index: int
    text: str
    fault: str | None
    """Name of the `codec.Fault`; None where the text is a crystal."""
    log_probability: float
    """Of the text under the model and the constraints at temperature 1, in nats. The second
    coordinate of an atom counts as free: which values of it leave room is not looked up for all."""
    tokens: int
    """How many the text took, the end included."""

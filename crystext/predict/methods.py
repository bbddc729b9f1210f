"""The methods of property prediction by name; a new one is a file and a line here.

Another distribution adds one by an entry point of the group `crystext.methods`, an object of a
class derived from `predict.base.Method`.
"""

from __future__ import annotations

from crystext.predict.base import Method
from crystext.runtime.registry import Registry

_BASELINES = "crystext.predict.baselines"

METHODS: Registry[Method] = Registry(
    "method",
    Method,  # type: ignore[type-abstract]
    {
        "mean": f"{_BASELINES}.mean:MEAN",
        "forest": f"{_BASELINES}.forest:FOREST",
        "network": f"{_BASELINES}.network:NETWORK",
        "language": "crystext.predict.language_method:LANGUAGE",
        "encoder": "crystext.predict.encoder_method:ENCODER",
    },
)
"""All methods by name."""

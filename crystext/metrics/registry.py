"""The metrics by name; a new one is a file and a line here.

Each is measured by its name in the part `metrics` of a protocol. The stages of an evaluation report
the same quantities, with the thresholds of the protocol.
"""

from __future__ import annotations

from crystext.metrics.base import Metric
from crystext.runtime.registry import Registry

_METRICS = "crystext.metrics"

METRICS: Registry[Metric] = Registry(
    "metric",
    Metric,
    {
        "structure_valid": f"{_METRICS}.structure_validity:STRUCTURE_VALID",
        "composition_valid": f"{_METRICS}.composition_validity:COMPOSITION_VALID",
        "unique": f"{_METRICS}.uniqueness:UNIQUE",
        "unique_formulas": f"{_METRICS}.unique_formulas:UNIQUE_FORMULAS",
        "novel": f"{_METRICS}.novelty:NOVEL",
        "novel_by_fingerprint": f"{_METRICS}.novelty_by_fingerprint:NOVEL_BY_FINGERPRINT",
        "recall": f"{_METRICS}.coverage:RECALL",
        "precision": f"{_METRICS}.coverage:PRECISION",
        "structure_diversity": f"{_METRICS}.diversity:STRUCTURE_DIVERSITY",
        "composition_diversity": f"{_METRICS}.diversity:COMPOSITION_DIVERSITY",
        "density": f"{_METRICS}.distributions:DENSITY",
        "n_elements": f"{_METRICS}.distributions:N_ELEMENTS",
        "wasserstein_density": f"{_METRICS}.distributions:WASSERSTEIN_DENSITY",
        "wasserstein_n_elements": f"{_METRICS}.distributions:WASSERSTEIN_N_ELEMENTS",
        "space_groups": f"{_METRICS}.space_group_distribution:SPACE_GROUPS",
        "contact_below_75": f"{_METRICS}.contact_distances:CONTACT_BELOW_75",
        "contact_below_85": f"{_METRICS}.contact_distances:CONTACT_BELOW_85",
        "isolated_atom": f"{_METRICS}.contact_distances:ISOLATED_ATOM",
        "prototypes": f"{_METRICS}.prototype_diversity:PROTOTYPES",
        "elements_out_of_range": f"{_METRICS}.element_frequencies:ELEMENTS_OUT_OF_RANGE",
        "lowest_element_ratio": f"{_METRICS}.element_frequencies:LOWEST_ELEMENT_RATIO",
        "highest_element_ratio": f"{_METRICS}.element_frequencies:HIGHEST_ELEMENT_RATIO",
    },
)

"""Thresholds of structural validity: CDVAE's, Xie et al., ICLR 2022, arXiv:2110.06197."""

from __future__ import annotations

MIN_DISTANCE = 0.5
"""Å; the minimum distance between two atoms."""
MIN_VOLUME = 0.1
"""Å^3; the minimum cell volume."""

"""Thresholds of structural validity: CDVAE's, Xie et al., ICLR 2022, arXiv:2110.06197."""

from __future__ import annotations

MIN_DISTANCE = 0.5
"""Å; the smallest distance of two atoms."""
MIN_VOLUME = 0.1
"""Å^3; the smallest cell."""

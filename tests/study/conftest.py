"""The published study, read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystext.study.study_data import Study
from crystext.study.tables import read_study


@pytest.fixture(scope="session")
def published_folder(shared_data: Path) -> Path:
    """The 90 tables of arXiv:2405.00949."""
    folder = shared_data / "study" / "finetune_evaluations"
    if not folder.is_dir():
        pytest.skip(f"needs the tables of the published study; no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def published(published_folder: Path) -> Study:
    """The published study."""
    return read_study(published_folder)

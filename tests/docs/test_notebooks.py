"""The notebooks run from their first cell to their last, and keep the outputs of such a run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


FEWER = {
    'training="shipped"': 'training="mp20_val"',
    "max_attempts_per_sample=20": "max_attempts_per_sample=3",
}
"""What makes a notebook faster: a training set a quarter as large, fewer attempts."""


def test_there_are_notebooks_in_which_every_reduction_is_of_use() -> None:
    assert len(NOTEBOOKS) >= 4
    text = "".join(cell.source for n in NOTEBOOKS for cell in nbformat.read(n, as_version=4).cells)
    assert [shown for shown in FEWER if shown not in text] == []


@each_notebook
def test_a_notebook_runs(
    path: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setenv("CRYSTEXT_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for shown, fewer in FEWER.items():
            cell.source = cell.source.replace(shown, fewer)
    # Raises what a cell raises.
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()


@each_notebook
def test_a_notebook_is_small_and_was_run(path: Path) -> None:
    assert path.stat().st_size < 150_000
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)

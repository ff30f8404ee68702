"""The notebooks run from top to bottom, on the public API, without an error."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_both_journeys_are_there():
    assert [p.stem for p in NOTEBOOKS] == ["1_first_comparison", "2_define_a_pde"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::Warning")
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PINNSUITE_CACHE", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    assert any(o.output_type == "stream" for o in outputs)

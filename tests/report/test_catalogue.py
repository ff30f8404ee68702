"""Pages of the catalogue, in the terminal and as HTML."""

import xml.etree.ElementTree as ET

import pytest

from pinnsuite.errors import OptionError
from pinnsuite.problem.catalog import entries
from pinnsuite.report.catalogue import (
    as_json,
    as_text,
    describe,
    write_catalogue,
    write_picture,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PINNSUITE_CACHE", str(tmp_path / "cache"))


def page_of(name, **parameters):
    entry = entries()[name]
    return describe(entry, entry.make(**parameters))


def test_a_page_says_all_that_its_file_states():
    text = as_text(page_of("heat_l_shape"))
    assert "u_t − ∇·(0.5 ∇u) = 2 exp(" in text
    assert "0.5 ∂u/∂n + 2 u = 0  on cooled" in text
    assert "conductivity = 0.5" in text
    assert "claimed is a relative L2 error below 1e-05" in " ".join(text.split())
    assert "doi:10.1137/1.9781611972030" in text
    assert r"\nabla \cdot \left(0.5 \nabla u\right)" in as_text(
        page_of("heat_l_shape"), latex=True
    )


def test_traps_stand_apart_from_the_statement():
    page = page_of("black_scholes")
    assert len(page.traps) >= 1
    assert not any("Trap:" in p for p in page.statement)


def test_families_and_signals_have_pages(tmp_path):
    family, signal = page_of("burgers_family"), page_of("ecg")
    assert "GaussianRandomField" in as_text(family)
    assert as_json(family)["equations"]
    assert "held back" in as_text(signal)
    assert not as_json(signal)["equations"]


def test_the_html_page_needs_no_network_and_holds_formulas(tmp_path):
    names = ("burgers", "poisson_discs", "lorenz", "ecg")
    path = write_catalogue([page_of(n) for n in names], tmp_path / "c.html")
    text = path.read_text(encoding="utf-8")
    assert text.count("<section") == len(names)
    assert "<math>" in text
    assert "<svg" in text
    assert "<script" not in text
    assert "src=" not in text
    assert 'href="http' not in text


@pytest.mark.parametrize(
    ("name", "words"),
    [("burgers", "left: u = 0"), ("poisson_discs", "circles: u = 0")],
)
def test_the_domain_is_drawn_with_its_named_boundaries(name, words, tmp_path):
    made = entries()[name].make()
    write_picture(made, tmp_path / "domain.svg")
    text = (tmp_path / "domain.svg").read_text(encoding="utf-8")
    assert words in text
    ET.fromstring(text)
    write_picture(made, tmp_path / "domain.png")
    assert (tmp_path / "domain.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_says_so(tmp_path):
    with pytest.raises(OptionError, match="no domain of one to three dimensions"):
        write_picture(entries()["lorenz"].make(), tmp_path / "domain.png")
    with pytest.raises(OptionError, match=r"end in \.png"):
        write_picture(entries()["burgers"].make(), tmp_path / "domain.jpeg")

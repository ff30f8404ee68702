import base64
import re
from html.parser import HTMLParser

import pytest

from pinnsuite.errors import DataError
from pinnsuite.report.html import _equation, write_report
from pinnsuite.solution.solution import Status
from tests.records import lines, pinn, record
from tests.report.results import Folder, make, reference

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """Checks that every tag is closed in its turn, and keeps what the page says."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.tags = []
        self.ids = []
        self.links = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]
        self.links += [v for k, v in attrs if k in ("href", "src", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("results") / "core")


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "page.html"
    assert write_report(folder, out) == out
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(page):
    return read(page)


@pytest.fixture(scope="module")
def text(reader):
    words = " ".join(" ".join(reader.text).split())
    return words.replace("\u2011", "-").replace("\u00a0", " ")


def test_the_page_is_well_formed_with_unique_names(reader):
    assert reader.tags[0][0] == "html"
    assert len(reader.ids) == len(set(reader.ids))


def test_it_needs_no_network_and_no_scripts(page, reader):
    assert not {"script", "iframe", "object", "embed", "link"} & {
        tag for tag, _ in reader.tags
    }
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    for link in reader.links:
        assert link.startswith(("#", "data:image/png", "data:text/csv"))
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"@import|url\((?!#)", page)


def test_references_inside_figures_are_to_their_own_parts(page, reader):
    targets = set(re.findall(r"url\(#([^)]*)\)", page))
    targets |= {link[1:] for link in reader.links if link.startswith("#")}
    assert targets <= set(reader.ids)


def test_colours_follow_the_reader(page, reader):
    assert "prefers-color-scheme: dark" in page
    assert "var(--series-1)" in page
    # No stand-in colour is left, and no figure has a background of its own.
    assert not re.search(r"#0101\d\d|#0102\d\d", page)
    figures = [attrs for tag, attrs in reader.tags if tag == "svg"]
    assert len(figures) > 20
    for attrs in figures:
        assert len(attrs["aria-label"]) > 20
        assert attrs["role"] == "img"


def test_what_records_say_is_escaped(page, text):
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "cavity<script>alert(1)</script>" in text
    assert "pinn<img src=x onerror=alert(1)>" in text
    assert 'A name "that" <b>must</b> be escaped & $shown$.' in text


def test_every_status_is_shown_with_its_sentence(text):
    for status in Status:
        assert status.value in text
        assert status.sentence in text
    assert "The loss became NaN at step 1200, term 'residual of u'." in text


def test_damaged_records_are_listed_and_the_others_reported(text):
    assert "task-98/attempt-1/run.json cannot be read as a record" in text
    assert "task-99/attempt-1/run.json has schema 99, newer" in text
    assert "40 runs" in text


def test_verdicts_are_those_of_the_records(text):
    assert "lines reaches 5e-3 in 90 ms, pinn in" in text
    assert "between state-space (2.2 bits) and n-gram (2.41 bits)" in text
    assert "fno beside fourier: pays off after" in text
    assert "Weak baseline (1 classical candidate, 3 are needed): svm reaches" in text
    assert "In 10 comparisons the classical solver is ahead in 5" in text


@pytest.mark.parametrize(
    "label",
    [
        "Work-precision diagram of lines, deepxde, pinn",
        "Convergence of the reference: its error falls from 2.0e-03 to 1.1e-04",
        "CPU seconds by phase: lines, 32 unknowns 32 ms",
        "Error of each seed: deepxde 4 seeds; pinn 5 seeds",
        "Map of u, reference over t and x",
        "Map of |error|, deepxde over t and x",
        "Map of u, finite-element over x and y",
        "hare over t: reference and least-squares, pinn",
        "Break-even chart",
        "u worst member over x",
        "Confusion matrix of ode-net: 7 of 360 samples wrong",
        "states state 2 over t: reference and neural-ode",
        "Work-precision diagram of n-gram, state-space",
    ],
)
def test_every_kind_of_result_has_its_picture(reader, label):
    labels = [attrs.get("aria-label", "") for tag, attrs in reader.tags if tag == "svg"]
    assert any(found.startswith(label) for found in labels), labels


def test_numbers_stand_in_tables(text):
    assert "Errors solver relative l2 IQM runs max u boundary drift of mass" in text
    assert "deepxde" in text
    assert "4 of 5" in text
    assert "Identified coefficients" in text
    assert "Refined steps of ode-net, seed 0" in text
    assert "8 (trained)" in text
    assert "Time to error solver 1e-1 1e-2 1e-3 1e-4 1e-5 1e-6" in text


def test_the_table_of_runs_is_safe_in_a_spreadsheet(reader):
    (link,) = [v for v in reader.links if v.startswith("data:text/csv")]
    table = base64.b64decode(link.partition("base64,")[2]).decode()
    rows = table.splitlines()
    assert len(rows) == 41
    assert rows[0] == "problem,solver,status,error,metric,CPU s,wall s,options"
    assert not any(re.search(r'(^|,|")[=+@]', row) for row in rows)


def test_damaged_fields_are_named_and_the_rest_is_drawn(tmp_path):
    root = tmp_path / "r"
    folder = Folder(root)
    for run in lines((1e-2, 0.1), (1e-3, 0.3), (1e-4, 1.0)):
        place = folder.add(run)
    (place / "fields.h5").write_bytes(b"\x89HDF\r\n\x1a\n broken")
    page = write_report(root, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "task-03/attempt-1/fields.h5 cannot be read as a solution" in page
    assert "Work-precision diagram of lines" in page


def test_a_hash_that_is_a_path_is_not_followed(tmp_path):
    root = tmp_path / "r"
    part = reference("x", 1e-9).model_copy(update={"hash": "../../secret"})
    Folder(root).add(record(reference=part))
    (tmp_path / "secret.h5").write_bytes(b"secret")
    page = write_report(root, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "secret" not in page


def test_the_last_attempt_counts(tmp_path):
    root = tmp_path / "r"
    folder = Folder(root)
    folder.add(pinn([None], status=Status.TIMEOUT)[0])
    folder.count = 0
    folder.add(pinn([1e-3])[0], attempt=2)
    page = write_report(root, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "· 1 run<" in page
    assert "Statuses: 1 ok." in page


def test_a_folder_without_records_is_an_error_that_names_the_damaged_ones(tmp_path):
    (tmp_path / "r" / "task").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no record"):
        write_report(tmp_path / "r", tmp_path)
    (tmp_path / "r" / "task" / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"task/run\.json"):
        write_report(tmp_path / "r", tmp_path)
    with pytest.raises(DataError, match="no folder of results"):
        write_report(tmp_path / "none", tmp_path / "x.html")
    assert not (tmp_path / "report.html").exists()


def test_equations_are_written_as_in_a_book():
    assert _equation("u*u_x - 0.01*u_xx**2") == (
        "<i>u</i>\u202f<i>u</i><sub>x</sub> − 0.01\u202f<i>u</i><sub>xx</sub>"
        "<sup>2</sup>"
    )
    assert _equation("sin(pi*x)**(-1) < 1") == (
        "sin(<i>π</i>\u202f<i>x</i>)<sup>−1</sup> &lt; 1"
    )

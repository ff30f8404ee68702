from pinnsuite.report import tables
from pinnsuite.report.html import markdown
from tests.records import lines, pinn, record
from tests.report.results import Folder

LADDER = lines((1e-2, 0.1), (1e-4, 1.0), (1e-6, 10.0))


def changed(error, cpu_s=5.0, seed=0, **options):
    standard = {"optimiser": "lbfgs", "points": 100}
    return record("net", "pinn", error, cpu_s, seed=seed, options=standard | options)


def test_an_ablation_sets_each_change_against_the_solver_as_it_comes():
    runs = [
        changed(1e-4, seed=0),
        changed(3e-4, seed=1),
        changed(1e-2, optimiser="adam"),
        changed(5e-5, 2.0, points=400),
    ]
    (table,) = tables.ablation(runs)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["as it comes"][:3] == ["1e-4", "1", "1e-4 – 3e-4"]
    assert rows["optimiser=adam"] == ["1e-2", "100", "–", "1 of 1", "–"]
    assert rows["points=400"] == ["5e-5", "0.5", "–", "1 of 1", "2 s"]


def test_two_configurations_are_no_ablation():
    assert tables.ablation([changed(1e-4), changed(1e-2, optimiser="adam")]) == []


def test_beside_a_peer_times_to_its_own_error_are_given():
    peer = pinn([1e-4], cpu_s=60.0, trace=[(30.0, 30.0, 0.1, 5e-3)])
    others = [changed(1e-6, 2.0), changed(1e-3, 2.0, points=1)]
    table = tables.beside([[*LADDER, *peer, *others]], "pinn")
    (row,) = table.rows
    named = dict(zip(table.head, row, strict=True))
    assert named["pinn"] == "60 s"
    assert named["net, points=100"] == "2 s (30 x)"
    assert named["net, points=1"] == "–"
    assert named["classical"] == "lines 1 s (60 x)"


def test_markdown_has_a_cell_for_each_column_and_escapes_bars():
    text = tables.to_markdown(
        tables.Table("Caption", ["a", "b"], [["x|y", "1"]], "Note.", frozenset({1}))
    )
    assert text == "**Caption**\n\n| a | b |\n| --- | --- |\n| x\\|y | 1 |\n\nNote.\n"


def test_the_markdown_of_a_folder_says_machine_and_day(tmp_path):
    folder = Folder(tmp_path)
    for run in [*LADDER, *pinn([1e-3, 1e-4, 3e-5], cpu_s=50.0, spread=0.0)]:
        folder.add(run)
    text = markdown(tmp_path, "pinn")
    (row,) = [line for line in text.splitlines() if line.startswith("| burgers | pinn")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "burgers",
        "pinn",
        "1e-4",
        "3e-5 – 1e-3",
        "3 of 3",
        "50 s",
        "lines",
        "1 s",
        "50",
    ]
    assert "Test CPU @ 2 GHz" in text
    assert "2025-01-02" in text
    assert "CPU time to the error that pinn ended with" in text

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from pinnsuite.compare.comparison import compare, fields_on, on_support, trace
from pinnsuite.compare.metrics import FORMULAS
from pinnsuite.errors import DataError, SolveError
from pinnsuite.problem.conditions import Dirichlet, Initial
from pinnsuite.problem.definition import D, Problem, coordinates, field_of
from pinnsuite.problem.domain import Disk, Interval, TimeInterval
from pinnsuite.problem.signal import SignalProblem
from pinnsuite.solution.record import ErrorPart
from pinnsuite.solution.solution import Snapshot, Solution, Status, failed
from pinnsuite.solution.support import Grid, MeshNodes, common_support

t, x, y = coordinates("t x y")


def heat():
    u = field_of("u", t, x)
    return Problem(
        "heat",
        [u],
        [D(u, t) - D(u, x, 2)],
        [
            Initial(u, sp.sin(sp.pi * x)),
            Dirichlet(u, t / 10, on="left"),
            Dirichlet(u, 0, on="right"),
        ],
        Interval(x, 0, 1),
        TimeInterval(t, 0, 1, 41),
        invariants={"heat": u, "slope": D(u, x) ** 2},
        quantities={"middle": lambda at: float(at(np.array([[0.0, 0.5]]))["u"][0])},
    )


def travelling(points):
    return {"u": np.sin(np.pi * points[:, 1]) * (1 + 0.01 * points[:, 0])}


def test_a_known_mismatch_is_found_in_every_measure():
    problem = heat()
    support = common_support(problem)
    truth = {"u": np.sin(np.pi * support.points[:, 1]).reshape(support.shape)}
    solution = Solution(Grid({}), {}, evaluator=travelling)
    found = compare(
        solution, truth, support, problem=problem, quantities={"middle": 1.0}
    )
    # ‖0.01 t‖ / ‖1‖ over time, the same in space.
    assert found.value == pytest.approx(0.01 / np.sqrt(3), rel=1e-3)
    assert found.max["u"] == pytest.approx(0.01)
    assert found.invariant_drift["heat"] == pytest.approx(0.01)
    assert found.invariant_drift["slope"] == pytest.approx(1.01**2 - 1, rel=1e-4)
    assert found.quantities == {"middle": 1.0, "middle error": 0.0}
    # u = 0 on the left, where t/10 is due: ∫(t/10)² = 1/300, halved by the right end.
    assert found.boundary_violation == pytest.approx(np.sqrt(1 / 600), rel=0.05)
    part = found.part()
    assert isinstance(part, ErrorPart)
    assert "quadrature weights" in part.formula
    assert part.per_field["u"].relative_l2 == part.value


def test_a_problem_whose_solution_jumps_is_judged_in_l1():
    problem = replace(heat(), norm="L1")
    support = common_support(problem)
    truth = {"u": np.sin(np.pi * support.points[:, 1]).reshape(support.shape)}
    solution = Solution(Grid({}), {}, evaluator=travelling)
    found = compare(solution, truth, support, problem=problem)
    # ∫ 0.01 t |sin πx| / ∫ |sin πx|
    assert found.value == found.relative_l1["u"] == pytest.approx(0.005, rel=1e-3)
    part = found.part()
    assert part.metric == "relative_l1"
    assert part.formula.startswith(FORMULAS["relative_l1"])
    assert part.per_field["u"].relative_l1 == part.value
    assert part.per_field["u"].relative_l2 == pytest.approx(0.01 / 3**0.5, rel=1e-3)


def test_a_gauge_is_free_up_to_a_constant():
    support = Grid({"x": np.linspace(0, 1, 11)})
    truth = {"u": np.sin(support.axes["x"]), "p": np.cos(support.axes["x"])}
    shifted = Solution(support, {"u": truth["u"], "p": truth["p"] + 3})
    assert compare(shifted, truth, support).value > 1
    found = compare(shifted, truth, support, gauge="p")
    assert found.value == pytest.approx(0, abs=1e-14)
    assert "p: ‖(u − ū)" in found.formula


def test_the_worst_field_counts_and_holes_are_infinite():
    support = Grid({"x": np.linspace(0, 1, 11)})
    truth = {"u": np.ones(11), "v": np.ones(11)}
    bad = Solution(support, {"u": np.ones(11), "v": np.full(11, np.nan)})
    found = compare(bad, truth, support)
    assert found.value == np.inf
    assert found.relative_l2["u"] == 0
    assert found.part().value is None


def test_values_elsewhere_are_interpolated_and_mesh_values_kept():
    coarse = Grid({"x": np.linspace(0, np.pi, 33)})
    fine = Grid({"x": np.linspace(0, np.pi, 101)})
    solution = Solution(coarse, {"u": np.sin(coarse.axes["x"])})
    np.testing.assert_allclose(
        fields_on(solution, fine)["u"], np.sin(fine.axes["x"]), atol=3e-5
    )
    mesh = Disk(x, y, (0.0, 0.0), 1.0).mesh(0.4)
    nodes = MeshNodes(mesh, ("x", "y"))
    on_mesh = Solution(nodes, {"u": mesh.points[:, 0] + 2})
    assert compare(on_mesh, on_mesh.fields, nodes).value == 0
    kept = on_support(Solution(nodes, {}, evaluator=lambda p: {"u": p[:, 0]}), nodes)
    np.testing.assert_array_equal(kept.fields["u"], mesh.points[:, 0])
    with pytest.raises(SolveError, match="mesh nodes only"):
        compare(on_mesh, on_mesh.fields, Grid({"x": fine.axes["x"], "y": np.ones(1)}))


def test_what_cannot_be_compared_says_why():
    support = Grid({"x": np.linspace(0, 1, 11)})
    with pytest.raises(DataError, match="no field 'v'; it has u"):
        compare(Solution(support, {"u": np.ones(11)}), {"v": np.ones(11)}, support)
    with pytest.raises(DataError, match=r"shape \(11,\), its reference \(11, 2\)"):
        compare(Solution(support, {"u": np.ones(11)}), {"u": np.ones((11, 2))}, support)
    with pytest.raises(SolveError, match="Newton"):
        compare(failed(Status.DIVERGED, "Newton left."), {"u": np.ones(11)}, support)


def signal(task, metric, name, truth):
    axes = {"sample": np.arange(float(len(truth)))}
    return SignalProblem("s", task, {}, {name: truth}, axes, metric)


def test_signals_are_judged_by_their_own_metric():
    support = Grid({"sample": np.arange(4.0)})
    labels = np.eye(3)[[0, 1, 2, 1]]
    scores = Solution(support, {"scores": np.eye(3)[[0, 1, 2, 2]]})
    problem = signal("classify", "error_rate", "scores", labels)
    found = compare(scores, {"scores": labels}, support, problem=problem)
    assert (found.metric, found.value) == ("error_rate", 0.25)
    assert found.part().relative_l2 is None
    guess = Solution(support, {"log2_probability": np.full((4, 4), -2.0)})
    text = signal("language", "bits_per_character", "log2_probability", np.arange(4))
    truth = {"log2_probability": np.arange(4)}
    assert compare(guess, truth, support, problem=text).value == pytest.approx(2.0)
    clean = np.array([1.0, 2.0, 2.0, 4.0])
    restored = Solution(support, {"signal": clean + np.eye(4)[3]})
    problem = signal("restore", "relative_l2", "signal", clean)
    # Every sample counts alike: 1 / ‖(1, 2, 2, 4)‖.
    found = compare(restored, {"signal": clean}, support, problem=problem)
    assert found.value == pytest.approx(0.2)


def test_members_of_a_family_count_alike():
    support = Grid({"member": np.array([64.0, 65.0]), "x": np.arange(4) / 4})
    truth = np.array([[1.0] * 4, [10.0] * 4])
    found = compare(
        Solution(support, {"u": truth * [[1.1], [1.3]]}), {"u": truth}, support
    )
    assert found.value == pytest.approx(0.2)
    assert "mean over the test members" in found.formula


def test_identified_coefficients_are_compared_with_the_true_ones():
    support = Grid({"t": np.arange(3.0)})
    fields = {"u": np.ones(3)}
    solution = Solution(support, fields, coefficients={"a": 1.1, "b": 2.0})
    found = compare(solution, fields, support, coefficients={"a": 1.0})
    assert found.coefficients["a"]["relative_error"] == pytest.approx(0.1)
    assert found.coefficients["b"] == {"value": 2.0}


def test_snapshots_become_a_trace_of_errors():
    support = Grid({"x": np.linspace(0, 1, 11)})
    truth = {"u": np.ones(11)}
    states = [
        Snapshot(
            1.0 * k, 2.0 * k, 10.0**-k, lambda p, k=k: {"u": np.ones(len(p)) + 10.0**-k}
        )
        for k in (1, 2)
    ]
    solution = Solution(support, truth, snapshots=states)
    assert trace(solution, truth, support) == [
        (1, 2, 0.1, pytest.approx(0.1)),
        (2, 4, 0.01, pytest.approx(0.01)),
    ]

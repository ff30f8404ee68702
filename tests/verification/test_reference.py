import json

import numpy as np
import pytest
import sympy as sp

from pinnsuite.errors import OptionError, TruthError
from pinnsuite.problem import (
    D,
    Dirichlet,
    Initial,
    Interval,
    Ladder,
    Problem,
    TimeInterval,
    coordinates,
    data_file,
    field_of,
    load,
)
from pinnsuite.solution.support import common_support
from pinnsuite.verification import judge, reference

t, x = coordinates("t x")
u = field_of("u", t, x)
EXACT = sp.exp(-t) * sp.sin(sp.pi * x)


def cooling(**changes):
    """Heat with decay rate 1, whose solution is known but not told."""
    parts = {
        "name": "cooling",
        "fields": [u],
        "equations": [D(u, t) - D(u, x, 2) / sp.pi**2],
        "domain": Interval(x, 0, 1),
        "time": TimeInterval(t, 0, 1, num_outputs=11),
        "conditions": [Initial(u, sp.sin(sp.pi * x)), Dirichlet(u, 0)],
        "reference": Ladder("lines", {"points": 11, "order": 2, "rtol": 1e-7}),
    }
    return Problem(**{**parts, **changes})


def true_error(problem, truth):
    points = common_support(problem).points
    exact = sp.lambdify((t, x), EXACT)(*points.T)
    values = truth.fields(common_support(problem))["u"].ravel()
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))


def test_error_estimate_of_a_ladder_is_the_error(tmp_path):
    problem = cooling()
    truth = reference(problem, cache=tmp_path)
    assert truth.kind == "ladder"
    assert truth.observed_order == pytest.approx(2.0, abs=0.1)
    assert truth.error_estimate["u"] == pytest.approx(
        true_error(problem, truth), rel=0.15
    )


def test_the_error_estimate_is_in_the_norm_of_the_problem(tmp_path):
    problem = cooling(norm="L1")
    truth = reference(problem, cache=tmp_path)
    points = common_support(problem).points
    exact = sp.lambdify((t, x), EXACT)(*points.T)
    values = truth.fields(common_support(problem))["u"].ravel()
    true = np.abs(values - exact).sum() / np.abs(exact).sum()
    assert truth.error_estimate["u"] == pytest.approx(true, rel=0.15)
    assert truth.hash != reference(cooling(), cache=tmp_path).hash


def test_a_closed_form_is_exact(tmp_path):
    problem = cooling(exact={u: EXACT})
    truth = reference(problem, cache=tmp_path)
    assert truth.kind == "exact"
    assert true_error(problem, truth) < 1e-14


def test_a_ladder_is_chosen_where_none_is_named(tmp_path):
    truth = reference(cooling(reference=None), cache=tmp_path)
    assert truth.description.startswith("lines")
    assert truth.error_estimate["u"] <= 1e-5


def test_a_stored_reference_is_read_back_and_a_poisoned_one_redone(tmp_path):
    first = reference(cooling(), cache=tmp_path)
    (stored,) = tmp_path.glob("*.h5")
    before = stored.stat().st_mtime_ns
    second = reference(cooling(), cache=tmp_path)
    assert stored.stat().st_mtime_ns == before
    assert second.error_estimate == first.error_estimate
    assert second.part("x") == first.part("x")
    stored.write_bytes(b"poison")
    third = reference(cooling(), cache=tmp_path)
    np.testing.assert_array_equal(
        third.solution.fields["u"], first.solution.fields["u"]
    )
    (about,) = tmp_path.glob("*.json")
    about.write_text(json.dumps({"sha256": "0"}))
    assert reference(cooling(), cache=tmp_path).hash == first.hash


def test_another_number_in_the_equation_is_another_reference(tmp_path):
    one = reference(cooling(), cache=tmp_path)
    equations = [D(u, t) - 2 * D(u, x, 2) / sp.pi**2]
    assert reference(cooling(equations=equations), cache=tmp_path).hash != one.hash


def test_an_unknown_solver_in_the_ladder_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"'linse'.*Did you mean 'lines'"):
        reference(cooling(reference=Ladder("linse")), cache=tmp_path)


def test_a_ladder_that_cannot_take_the_problem_says_why(tmp_path):
    with pytest.raises(TruthError, match="not periodic in x"):
        reference(cooling(reference=Ladder("fourier")), cache=tmp_path)


def test_a_learned_solver_gives_no_reference(tmp_path):
    with pytest.raises(TruthError, match="cannot be refined"):
        reference(cooling(reference=Ladder("pinn")), cache=tmp_path)


def test_judging_the_reference_solver_gives_its_known_error(tmp_path):
    from pinnsuite.classical.lines import MethodOfLines

    problem = cooling(exact={u: EXACT})
    truth = reference(problem, cache=tmp_path)
    coarse = MethodOfLines(points=11, order=2).solve(problem.without_answer())
    fine = MethodOfLines(points=21, order=2).solve(problem.without_answer())
    errors = [judge(problem, s, truth).error.relative_l2 for s in (coarse, fine)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert judge(problem, fine, truth).error.boundary_violation < 1e-14


def test_kuramoto_sivashinsky_agrees_with_an_independent_computation():
    """Against the 512 x 251 values that JAXPI and PINNacle ship, good to 5e-9."""
    from pinnsuite.classical.spectral import FourierPseudospectral

    data = np.load(data_file("external/kuramoto_sivashinsky.npz"))
    problem = load("kuramoto_sivashinsky")
    solution = FourierPseudospectral(points=384, steps=12800).solve(
        problem.without_answer()
    )
    times, nodes = data["t"].ravel(), data["x"].ravel()
    # Our own output times; between them the solution is interpolated.
    shared = np.isin(times.round(9), problem.time.outputs.round(9))
    grid = np.meshgrid(times[shared], nodes, indexing="ij")
    ours = solution.at(np.stack([g.ravel() for g in grid], axis=1))["u"]
    theirs = data["u"] if data["u"].shape[0] == len(times) else data["u"].T
    theirs = theirs[shared].ravel()
    assert shared.sum() >= 50
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-6
